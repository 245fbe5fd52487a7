"""Torch's implementations of the optimizers, norms and attention in the catalog, and a mutant for each formula."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

Step = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def steps_of(optimizer: Callable[..., torch.optim.Optimizer], **options: Any) -> Step:
    """Three steps of an optimizer on one parameter."""

    def steps(p: Tensor, *gradients: Tensor) -> Tensor:
        parameter = p.detach().clone().requires_grad_()
        stepping = optimizer([parameter], **options)
        for gradient in gradients:
            parameter.grad = gradient.clone()
            stepping.step()
        return parameter.detach()

    return steps


VARIANTS = {"single": {"foreach": False}, "foreach": {"foreach": True}, "fused": {"fused": True}}
"""Variants of torch's optimizers on the CPU. Capturable optimizers need an accelerator."""

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam_steps": torch.optim.Adam,
    "adam_steps_with_decay": functools.partial(torch.optim.Adam, weight_decay=0.01),
    "adamw_steps": torch.optim.AdamW,
    "momentum_steps": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9),
}
"""Optimizers with torch's defaults, by the name of their formula."""


def row_by_row(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Call a function that takes one weight for all rows on each row with its weight."""
    return lambda *inputs: torch.stack([function(*row) for row in zip(*inputs, strict=True)])


@row_by_row
def layer_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Torch's function."""
    return F.layer_norm(x, x.shape, w, b)


@row_by_row
def layer_norm_whose_bias_is_scaled(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Multiplies the bias by the weight."""
    return (F.layer_norm(x, x.shape) + b) * w


@row_by_row
def rms_norm(x: Tensor, w: Tensor) -> Tensor:
    """Torch's function."""
    return F.rms_norm(x, x.shape, w, eps=1e-6)


@row_by_row
def rms_norm_of_one_more(x: Tensor, w: Tensor) -> Tensor:
    """Adds 1 to the weight, as some models store it."""
    return F.rms_norm(x, x.shape, 1 + w, eps=1e-6)


def batch_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Torch's function on the transposed rows. It refuses a batch of one, whose deviation is zero."""
    if x.shape[-1] == 1:
        return (x - x) * w[:, None] + b[:, None]
    return F.batch_norm(x.T, None, None, w, b, training=True).T


def batch_norm_of_the_sample(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Divides by the unbiased variance."""
    d = x - x.mean(-1, keepdim=True)
    scale = (d.square().sum(-1, keepdim=True) / max(x.shape[-1] - 1, 1) + 1e-5).rsqrt()
    return d * scale * w[:, None] + b[:, None]


@row_by_row
def batch_norm_in_evaluation(x: Tensor, m: Tensor, v: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Torch's function."""
    return F.batch_norm(x.reshape(1, 1), m.reshape(1), v.reshape(1), w.reshape(1), b.reshape(1)).reshape(())


def _running(x: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape[-1] == 1:
        return 0.9 * mean + 0.1 * x[:, 0], variance * torch.nan
    mean, variance = mean.clone(), variance.clone()
    F.batch_norm(x.T, mean, variance, training=True, momentum=0.1)
    return mean, variance


def running_mean(m: Tensor, x: Tensor) -> Tensor:
    """Torch's running mean."""
    return _running(x, m, torch.ones_like(m))[0]


def running_variance(v: Tensor, x: Tensor) -> Tensor:
    """Torch's running variance."""
    return _running(x, torch.zeros_like(v), v)[1]


def attention(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None) -> Tensor:
    """Torch's function, with one query and one feature per head."""
    keys, values = (x[:, None, :, None] for x in (k, v))
    mask = None if keep is None else keep[:, None, None, :]
    return F.scaled_dot_product_attention(q[:, None, None, None], keys, values, mask, scale=1.0).reshape(len(q))


def weighted_cross_entropy(x: Tensor, t: Tensor, w: Tensor) -> Tensor:
    """Torch's loss with the weights of each row."""
    rows = zip(x, t, w, strict=True)
    return torch.stack([F.cross_entropy(row[None], at[None], weight, reduction="sum") for row, at, weight in rows])


def weighted_smoothed_cross_entropy(x: Tensor, t: Tensor, w: Tensor) -> Tensor:
    """Torch's smoothed loss with the weights of each row."""
    rows = zip(x, t, w, strict=True)
    smoothed: dict[str, Any] = {"label_smoothing": 0.1, "reduction": "sum"}
    return torch.stack([F.cross_entropy(row[None], at[None], weight, **smoothed) for row, at, weight in rows])


IGNORED = -100


def cross_entropy_with_ignored(x: Tensor, t: Tensor, keep: Tensor) -> Tensor:
    """Torch's loss."""
    return F.cross_entropy(x, torch.where(keep, t, IGNORED), ignore_index=IGNORED, reduction="none")


def cross_entropy_of_padding(x: Tensor, t: Tensor, keep: Tensor) -> Tensor:
    """Ignored positions have a separate label, which is learned."""
    return F.cross_entropy(x, torch.where(keep, t, 0), ignore_index=IGNORED, reduction="none")


def smoothed_over_the_others(x: Tensor, t: Tensor) -> Tensor:
    """Spreads the smoothed part over the wrong classes only."""
    logs = torch.log_softmax(x, -1)
    own = logs.gather(-1, t[:, None])[:, 0]
    return -(0.9 * own + 0.1 * (logs.sum(-1) - own) / max(x.shape[-1] - 1, 1))


def weighted_by_the_label(x: Tensor, t: Tensor, w: Tensor) -> Tensor:
    """Weights the smoothed part by the weight of the label."""
    logs = torch.log_softmax(x, -1)
    own = logs.gather(-1, t[:, None])[:, 0]
    return -w.gather(-1, t[:, None])[:, 0] * (0.9 * own + 0.1 * logs.mean(-1))


MICROBATCH = 3


def accumulated(g: Tensor, w: Tensor, of_batch: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Accumulate the gradients of microbatches; the last one has fewer samples.

    Each row is a batch of samples. The loss of a sample is its gradient times the parameter of the row.
    """
    parameter = torch.ones(len(g), dtype=g.dtype, requires_grad=True)
    for part, own in zip(g.split(MICROBATCH, -1), w.split(MICROBATCH, -1), strict=True):
        loss = (parameter[:, None] * torch.where(own > 0, part, 0.0) * own).sum(-1)
        (loss / of_batch(w, own)).sum().backward()
    gradient = parameter.grad
    assert gradient is not None
    return gradient


def of_the_full_batch(w: Tensor, _: Tensor) -> Tensor:
    """Divides every microbatch by the total weight of the batch."""
    return w.sum(-1)


def of_each_microbatch(w: Tensor, own: Tensor) -> Tensor:
    """Divides each microbatch by its weight: the mean of means differs from the mean of the batch."""
    return own.sum(-1).clamp(min=0.1) * -(-w.shape[-1] // MICROBATCH)


def heads(x: Tensor) -> Tensor:
    """Reshape rows to a batch with one head and one feature."""
    return x[:, None, :, None]


def attention_of_many(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Torch's function with all queries for the keys of each row; a row returns the result for its query."""
    queries = heads(q.expand(len(q), len(q)))
    return F.scaled_dot_product_attention(queries, heads(k), heads(v), scale=1.0)[:, 0, :, 0].diagonal()


def attention_of_two_features(
    q: Tensor, r: Tensor, k: Tensor, h: Tensor, v: Tensor, *, scale: float | None = None
) -> Tensor:
    """Torch's function with one query per row, whose features are separate arguments."""
    query, keys = torch.stack([q, r], -1)[:, None, None], torch.stack([k, h], -1)[:, None]
    return F.scaled_dot_product_attention(query, keys, v[:, None, :, None], scale=scale).reshape(len(q))


def attention_over_queries(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Takes the softmax along the queries, not the keys."""
    scores = q[None, :, None] * k[:, None, :]
    return (scores.softmax(1) * v[:, None, :]).sum(-1).diagonal()


def linear_upsampling(a: Tensor, b: Tensor, *, corners: bool = False) -> Tensor:
    """Torch's function: the second of four outputs from two inputs."""
    return F.interpolate(torch.stack([a, b], -1)[:, None], 4, mode="linear", align_corners=corners)[:, 0, 1]


def cubic_upsampling(a: Tensor, b: Tensor, c: Tensor, d: Tensor, *, antialias: bool = False) -> Tensor:
    """Torch's function: the fourth of eight outputs from four inputs; `antialias` uses the slope of image libraries."""
    image = torch.stack([a, b, c, d], -1)[:, None, None]
    return F.interpolate(image, (1, 8), mode="bicubic", antialias=antialias)[:, 0, 0, 3]


def bilinear(a: Tensor, b: Tensor, c: Tensor, d: Tensor, s: Tensor, t: Tensor) -> Tensor:
    """Torch's bilinear interpolation."""
    return torch.lerp(torch.lerp(a, b, t), torch.lerp(c, d, t), s)
