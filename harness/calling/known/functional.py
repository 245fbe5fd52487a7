"""``torch.nn.functional``: activations, norms, losses, distances, pooling and attention.

A function that takes one weight for all rows, or refuses rows, is called row by row or with the rows as channels.
"""

from harness.calling.known.elementwise import ACTIVATIONS
from harness.calling.known.entry import Known, Table, plain

_DIM = "lambda f, x: f(x, dim=-1)"
_EACH = "lambda f, {0}: f({0}, reduction='none')"


def _make_loss_claim(claim: str, inputs: str) -> Known:
    """Return the entry of a loss, called without a reduction."""
    return Known(claim, _EACH.format(inputs))


def _make_pooling_claim(claim: str, arguments: str, axes: int = 1) -> Known:
    """Return the entry of a pooling whose window is the whole row."""
    ones = "1, " * (axes - 1)
    shape = f"x.reshape(-1, 1, {ones}x.shape[-1])"
    window = arguments.replace("WINDOW", "x.shape[-1]" if axes == 1 else f"({ones}x.shape[-1])")
    return Known(claim, f"lambda f, x: f({shape}, {window}).reshape(x.shape[:-1])")


_MEAN, _MAX, _NORM = "mean", "formula(x): max(x)", "vector_norm"

_ACTIVATIONS: Table = {
    **{name: entry for name, entry in ACTIVATIONS.items() if name != "swish"},
    **plain("tanhshrink hardtanh hardsigmoid hardswish softsign softshrink logsigmoid"),
    "hardshrink": Known("formula(x): where(abs(x) <= 0.5, 0, x)"),
    "threshold": Known("formula(x): where(x <= 1, 20, x)", "lambda f, x: f(x, 1.0, 20.0)"),
    "rrelu": Known("formula(x): where(x < 0, 11 / 48 * x, x)"),
    "prelu": Known(
        "formula(x, w: -8..8): where(x < 0, w * x, x)",
        "lambda f, x, w: f(x.reshape(1, -1), w.reshape(-1)).reshape(x.shape)",
    ),
    "glu": Known("glu", "lambda f, x, y: f(torch.stack([x, y], -1)).squeeze(-1)"),
    **plain("softmax log_softmax", _DIM),
    "softmin": Known("formula(x): softmax(-x)", _DIM),
}

_TWICE = "torch.cat([x, x], -1).reshape(1, -1, 2 * x.shape[-1])"
"""Repeats each row, which keeps mean and variance, because torch refuses a row with one entry."""

_PADDED = "F.pad(x.reshape(-1), (0, 1))"
"""Adds a channel, because torch requires one."""

_NORMS: Table = {
    "layer_norm": Known("layer_norm", "lambda f, x: f(x, x.shape[-1:])", ("input", "normalized_shape")),
    "rms_norm": Known("rms_norm", "lambda f, x: f(x, x.shape[-1:])", ("input", "normalized_shape")),
    "group_norm": Known(
        "layer_norm",
        f"lambda f, x: f({_TWICE}.transpose(0, 1), 1).reshape(*x.shape[:-1], 2 * x.shape[-1])[..., :x.shape[-1]]",
        ("input", "num_groups"),
    ),
    "instance_norm": Known(
        "layer_norm", f"lambda f, x: f({_TWICE}).reshape(*x.shape[:-1], 2 * x.shape[-1])[..., :x.shape[-1]]"
    ),
    "batch_norm": Known(
        "formula(x, m: -64..64 constant, v: positive constant, w: -8..8, b: -8..8): "
        "(x - m) / sqrt(v + 0.00001) * w + b",
        f"lambda f, x, m, v, w, b: f({_PADDED}[None], *({_PADDED} for x in (m, v, w, b)))[0, :-1].reshape(x.shape)",
    ),
    "local_response_norm": Known(
        "formula(x): x / (1 + 0.0001 * x * x) ** 0.75", "lambda f, x: f(x.reshape(1, 1, -1), 1).reshape(x.shape)"
    ),
    "normalize": Known("normalize", _DIM),
}

_LABEL_MARGIN = "formula(x, t: index): (sum(max(0, 1 - x[t] + x)) - 1) / count(x)"

_LOSSES: Table = {
    **plain("cross_entropy binary_cross_entropy_with_logits"),
    "nll_loss": _make_loss_claim("formula(x, t: index): -x[t]", "x, t"),
    "binary_cross_entropy": _make_loss_claim(
        "formula(p: 0.001..0.999, y: unit constant): -(y * log(p) + (1 - y) * log(1 - p))", "p, y"
    ),
    "mse_loss": Known("squared_error"),
    "l1_loss": _make_loss_claim("l1", "x, y"),
    "smooth_l1_loss": _make_loss_claim("huber", "x, y"),
    "huber_loss": _make_loss_claim("huber", "x, y"),
    "kl_div": Known("kl_divergence", "lambda f, log_q, p: f(log_q, p, reduction='none').sum(-1)"),
    "poisson_nll_loss": _make_loss_claim("poisson_nll", "x, y"),
    "gaussian_nll_loss": Known("gaussian_nll"),
    "hinge_embedding_loss": Known(
        "formula(x, y: constant): where(y > 0, x, max(0, 1 - x))",
        "lambda f, x, y: f(x, torch.where(y > 0, 1.0, -1.0).to(x.dtype), reduction='none')",
    ),
    "cosine_embedding_loss": Known(
        # Torch adds 1e-12 in float32, also to float64 numbers.
        "formula(x, y): e = 9.999999960041971802e-13; 1 - sum(x * y) / sqrt((sum(x * x) + e) * (sum(y * y) + e))",
        "lambda f, x, y: f(x, y, torch.ones(x.shape[:-1], dtype=x.dtype), reduction='none')",
    ),
    "margin_ranking_loss": _make_loss_claim("formula(x, y, s: constant): max(0, -s * (x - y))", "x, y, s"),
    "soft_margin_loss": _make_loss_claim("soft_margin", "x, y"),
    "multi_margin_loss": _make_loss_claim(_LABEL_MARGIN, "x, t"),
    "multilabel_margin_loss": Known(
        _LABEL_MARGIN, "lambda f, x, t: f(x, F.pad(t[..., None], (0, x.shape[-1] - 1), value=-1), reduction='none')"
    ),
    "multilabel_soft_margin_loss": _make_loss_claim(
        "formula(x, y: unit constant): mean(y * log(1 + exp(-x)) + (1 - y) * log(1 + exp(x))) | "
        "mean(y * softplus(-x) + (1 - y) * softplus(x))",
        "x, y",
    ),
    "triplet_margin_loss": _make_loss_claim("triplet_margin", "a, p, n"),
    "triplet_margin_with_distance_loss": Known("triplet_margin", "lambda f, a, p, n: f(a, p, n, reduction='none')"),
    "ctc_loss": Known(
        "formula(a: -30..0 constant, b: -30..0 constant, c: -30..0 constant, d: -30..0 constant): "
        "-log(exp(a + c) + exp(a + d) + exp(b + c)) | -logaddexp(a + c, logaddexp(a + d, b + c))",
        # One more sample, since torch refuses an empty batch.
        "lambda f, a, b, c, d: f(F.pad(torch.stack([torch.stack([b, a], -1), torch.stack([d, c], -1)]), (0, 0, 0, 1)), "
        "torch.ones(len(a) + 1, 1, dtype=torch.long), torch.full((len(a) + 1,), 2), "
        "torch.ones(len(a) + 1, dtype=torch.long), reduction='none')[:-1]",
    ),
}

_DISTANCES: Table = {
    "cosine_similarity": Known("cosine_similarity", "lambda f, x, y: f(x, y, dim=-1)"),
    "pairwise_distance": Known("pairwise_distance"),
    "pdist": Known(
        "formula(x, y): sqrt(sum((x - y) ** 2))",
        "lambda f, x, y: torch.cat([x[:0, 0], *(f(torch.stack(rows)) for rows in zip(x, y))])",
    ),
}

_PRODUCTS: Table = {
    **plain("linear one_hot"),
    "bilinear": Known(
        "formula(s: per_row, w, y): sum(s * w * y)",
        "lambda f, s, w, y: torch.cat([s[:0], *(f(a.reshape(1, 1), c[None], b[None, None])[0] "
        "for a, b, c in zip(s, w, y))])",
    ),
    "embedding": Known(
        "embedding", "lambda f, x, t: f(t + x.shape[-1] * torch.arange(len(t)), x.reshape(-1, 1))[..., 0]"
    ),
    "embedding_bag": Known(
        "mean", "lambda f, x: f(torch.arange(x.numel()).reshape(x.shape), x.reshape(-1, 1))[..., 0]"
    ),
    "scaled_dot_product_attention": Known(
        "attention",
        "lambda f, q, k, v: f(q[:, None, None, None], k[:, None, :, None], v[:, None, :, None], scale=1.0)"
        ".reshape(q.shape)",
    ),
    "conv1d": Known(
        "dot",
        "lambda f, x, y: f(F.pad(x, (0, 0, 0, 1))[None], F.pad(y, (0, 0, 0, 1))[:, None], groups=len(x) + 1)"
        "[0, :-1, 0]",
    ),
}

_POOLING: Table = {
    **{f"avg_pool{n}d": _make_pooling_claim(_MEAN, "WINDOW", n) for n in (1, 2, 3)},
    **{f"max_pool{n}d": _make_pooling_claim(_MAX, "WINDOW", n) for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": _make_pooling_claim(_MEAN, "1", n) for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _make_pooling_claim(_MAX, "1", n) for n in (1, 2, 3)},
    **{f"lp_pool{n}d": _make_pooling_claim(_NORM, "2.0, WINDOW", n) for n in (1, 2, 3)},
}

FUNCTIONAL: Table = {**_ACTIVATIONS, **_NORMS, **_LOSSES, **_DISTANCES, **_PRODUCTS, **_POOLING}
"""Entries of ``torch.nn.functional``."""
