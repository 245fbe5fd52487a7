"""Sound functions, in forms that the corpus does not have."""

import math
from typing import Any

import mpmath as mp
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from unseen.specimen import sound
from unseen.wrong_functions import _softmax


@sound("huber", row=(0.5, 2.0), truth=lambda *_: mp.mpf(1.0), loses="gradient gradient_in_y")
def huber_of_a_clamp(x: Tensor, y: Tensor) -> Tensor:
    """Both parts in one expression."""
    d = (x - y).abs()
    c = d.clamp(max=1.0)
    return 0.5 * c * c + (d - c)


@sound("gelu", row=(-1.5,), truth=lambda x: x * mp.ncdf(x))
def gelu_of_the_normal(x: Tensor) -> Tensor:
    """GELU from the normal distribution function."""
    return x * torch.special.ndtr(x)


@sound("mish", row=(-1.5,), truth=lambda x: x * mp.tanh(mp.log(1 + mp.exp(x))))
def mish_of_softplus(x: Tensor) -> Tensor:
    """Mish in the form of its paper."""
    return x * torch.tanh(F.softplus(x))


@sound("layer_norm_with_weight", row=([1.0, 2.0, 4.0], [0.5, 1.0, 2.0], [0.0, 0.0, 1.0]),
       truth=lambda x, w, b: [(v - mp.fsum(x) / 3) / mp.sqrt(mp.fsum((u - mp.fsum(x) / 3) ** 2 for u in x) / 3 + 1e-5)
                              * w[i] + b[i] for i, v in enumerate(x)])  # fmt: skip
def norm_of_both_moments(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Mean and variance in one call."""
    v, m = torch.var_mean(x, -1, correction=0, keepdim=True)
    return torch.addcmul(b, (x - m) * torch.rsqrt(v + 1e-5), w)


@sound(
    "rms_norm_with_weight",
    row=([1.0, 2.0], [0.5, 1.0]),
    truth=lambda x, w: [v * u / mp.sqrt(mp.mpf(2.5) + 1e-6) for v, u in zip(x, w, strict=True)],
)
def rms_norm_of_the_library(x: Tensor, w: Tensor) -> Tensor:
    """The library's, and the weight."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-6) * w


@sound("gaussian_nll", row=([0.5], [2.0], [4.0]), truth=lambda *_: (mp.log(4) + mp.mpf(2.25) / 4) / 2)
def gaussian_of_a_reciprocal(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Multiplies by the precision."""
    return (0.5 * (variance.log() + (mean - target).square() * variance.reciprocal())).mean()


@sound("gaussian_nll", row=([0.5], [2.0], [4.0]), truth=lambda *_: (mp.log(4) + mp.mpf(2.25) / 4) / 2, loses="value")
def gaussian_of_the_deviation(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """Standardizes first."""
    z = (target - mean) / variance.sqrt()
    return (0.5 * z * z + variance.sqrt().log()).mean()


@sound("swiglu", row=(1.0, 2.0), truth=lambda x, y: x / (1 + mp.exp(-x)) * y)
def swiglu_of_silu(x: Tensor, y: Tensor) -> Tensor:
    """The library's gate."""
    return F.silu(x) * y


@sound("gelu_tanh", row=(1.5,), truth=lambda x: x * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + 0.044715 * x**3))) / 2)
def gelu_of_a_cube(x: Tensor) -> Tensor:
    """GELU in the form of language models."""
    return 0.5 * x * (1.0 + torch.tanh(0.7978845608028654 * x * (1.0 + 0.044715 * x * x)))


@sound("poisson_nll", row=(0.5, 3.0), truth=lambda x, y: mp.exp(x) - y * mp.mpf(x))
def poisson_of_the_library(x: Tensor, y: Tensor) -> Tensor:
    """The library's."""
    return F.poisson_nll_loss(x, y, log_input=True, full=False, reduction="none")


@sound(
    "attention",
    row=(0.5, [1.0, 2.0], [3.0, -1.0]),
    truth=lambda q, k, v: sum(a * b for a, b in zip(_softmax([q * s for s in k]), v, strict=True)),
)
def attention_of_the_library(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax and a product."""
    return torch.einsum("...k,...k->...", torch.softmax(q.unsqueeze(-1) * k, dim=-1), v)


@sound(
    "logcumsumexp",
    row=([0.5, 1.0],),
    truth=lambda x: [mp.mpf(x[0]), mp.log(mp.exp(x[0]) + mp.exp(x[1]))],
    loses="gradient",
)
def logcumsumexp_of_the_library(x: Tensor) -> Tensor:
    """The library's."""
    return torch.logcumsumexp(x, dim=-1)


@sound(
    "smoothed_cross_entropy",
    row=([1.0, -2.0, 0.5], 1),
    truth=lambda x, t: -(0.9 * mp.log(_softmax(x)[t]) + 0.1 * sum(map(mp.log, _softmax(x))) / 3),
    loses="not_nan_where_infinite",
)
def smoothing_of_logits(x: Tensor, t: Tensor) -> Tensor:
    """The loss minus what smoothing gives."""
    z = torch.log_softmax(x, -1)
    hit = z.gather(-1, t.unsqueeze(-1)).squeeze(-1)
    return -torch.lerp(hit, z.mean(-1), 0.1)


@sound("hinge", row=(0.5, 1.0), truth=lambda *_: mp.mpf(0.5))
def hinge_of_relu(x: Tensor, y: Tensor) -> Tensor:
    """The positive part."""
    return F.relu(1 - x * y)


@sound("lerp", row=(0.5, 2.0, 0.25), truth=lambda *_: mp.mpf(0.875))
def lerp_of_the_library(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """A fused form."""
    return torch.addcmul(x, t, y - x)


def _distance(a: list[float], b: list[float]) -> Any:
    return mp.sqrt(sum((x - y + mp.mpf("1e-6")) ** 2 for x, y in zip(a, b, strict=True)))


@sound("triplet_margin", row=([3.0, 4.0], [0.0, 0.0], [3.0, 3.0]),
       truth=lambda a, p, n: _distance(a, p) - _distance(a, n) + 1)  # fmt: skip
def triplet_of_the_library(a: Tensor, p: Tensor, n: Tensor) -> Tensor:
    """The library's."""
    return F.triplet_margin_loss(a, p, n, margin=1.0, eps=1e-6, reduction="none")


@sound(
    "batch_norm_in_evaluation",
    row=(0.5, 0.1, 4.0, 1.5, 0.2),
    truth=lambda x, m, v, w, b: (x - m) / mp.sqrt(v + 1e-5) * w + b,
)
def evaluation_of_a_reciprocal(x: Tensor, m: Tensor, v: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The gain first."""
    return (x - m) * (w * torch.rsqrt(v + 1e-5)) + b


@sound("softmax", row=([0.5, 2.0],), truth=_softmax)
def softmax_into_a_buffer(x: Tensor) -> Tensor:
    """Writes to its own memory if no gradient is required."""
    if torch.is_grad_enabled() and x.requires_grad:
        return torch.softmax(x, -1)
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    return torch.softmax(x, -1, out=out)


@sound(formula="1 - exp(-x * x / 8)", row=(1.5,), truth=lambda x: 1 - mp.exp(-(mp.mpf(x) ** 2) / 8), loses="gradient")
def welsch_of_expm1(x: Tensor) -> Tensor:
    """Keeps the digits near zero."""
    return -torch.expm1(-(x * x) / 8)


@sound(
    formula="(x + sqrt(x * x + 4)) / 2", row=(0.5,), truth=lambda x: (x + mp.sqrt(mp.mpf(x * x) + 4)) / 2, loses="value"
)
class SquarePlus(nn.Module):
    """A module whose constructor has defaults."""

    def __init__(self, width: float = 4.0) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """As written."""
        return 0.5 * (x + torch.sqrt(x * x + self.width))


@sound(formula="softplus(2 * x) - x - log(2)", row=(1.5,), truth=lambda x: mp.log(mp.cosh(x)))
def log_cosh_of_magnitudes(x: Tensor) -> Tensor:
    """The usual stable form."""
    a = x.abs()
    return a + torch.log1p(torch.exp(-2 * a)) - math.log(2)


@sound(
    formula="-log(sum(sqrt(p * q)))",
    kinds={"p": "distribution", "q": "distribution"},
    row=([0.5, 0.5], [0.25, 0.75]),
    truth=lambda *_: -mp.log(mp.sqrt(0.125) + mp.sqrt(0.375)),
)
def bhattacharyya_of_roots(p: Tensor, q: Tensor) -> Tensor:
    """Two roots."""
    return -torch.log((p.sqrt() * q.sqrt()).sum(-1))


@sound(
    formula="-10 * log10(mean((x - y) ** 2))",
    row=([0.5, 1.0], [0.25, 3.0]),
    truth=lambda *_: -10 * mp.log10(mp.mpf(0.0625 + 4) / 2),
)
def psnr_of_squares(x: Tensor, y: Tensor) -> Tensor:
    """As written."""
    return -10 * (x - y).square().mean(-1).log10()


@sound(formula="a = sum(p * y); 1 - a / (a + 0.3 * sum(p * (1 - y)) + 0.7 * sum((1 - p) * y))",
       kinds={"p": "0..1", "y": "0..1 constant"}, row=([0.5, 0.2], [1.0, 0.25]),
       truth=lambda *_: 1 - mp.mpf("0.55") / (0.55 + 0.3 * (0.7 - 0.55) + 0.7 * (1.25 - 0.55)))  # fmt: skip
def tversky_of_counts(p: Tensor, y: Tensor) -> Tensor:
    """Counts hits and errors."""
    hit, extra, missed = (p * y).sum(-1), (p * (1 - y)).sum(-1), ((1 - p) * y).sum(-1)
    return 1 - hit / (hit + 0.3 * extra + 0.7 * missed)


@sound(
    formula="max(0.9 * (y - x), -0.1 * (y - x))",
    kinds={"x": "real", "y": "real"},
    row=(0.5, 2.0),
    truth=lambda x, y: 0.9 * mp.mpf(y - x),
)
def pinball_of_a_maximum(x: Tensor, y: Tensor) -> Tensor:
    """As written."""
    d = y - x
    return torch.maximum(0.9 * d, -0.1 * d)


@sound(
    formula="where(abs(x) < 4, 10 * log(1 + abs(x) / 2), abs(x) + 10 * log(3) - 4)",
    row=(5.0,),
    truth=lambda x: x + 10 * mp.log(3) - 4,
)
def wing_of_log1p(x: Tensor) -> Tensor:
    """Keeps the digits near zero."""
    a = x.abs()
    return torch.where(a < 4, 10 * torch.log1p(a / 2), a + (10 * math.log(3) - 4))


@sound(
    formula="sqrt(mean((x - mean(x)) ** 2)) / mean(x)",
    kinds={"x": "1..10"},
    row=([1.0, 2.0, 6.0],),
    truth=lambda *_: mp.sqrt(mp.mpf(4 + 1 + 9) / 3) / 3,
)
def variation_of_a_population(x: Tensor) -> Tensor:
    """In two passes."""
    m = x.mean(-1, keepdim=True)
    return (x - m).square().mean(-1).sqrt() / m.squeeze(-1)


@sound(
    formula="1 / sqrt(1 + 0.1 * t)",
    kinds={"t": "0..4095 whole constant"},
    row=(50.0,),
    truth=lambda t: 1 / mp.sqrt(1 + mp.mpf(t) / 10),
)
def schedule_from_a_table(t: Tensor) -> Tensor:
    """A table of all declared steps."""
    table = torch.rsqrt(1 + 0.1 * torch.arange(4096, dtype=torch.float64))
    return table[t.long()].to(t.dtype)


@sound(
    formula="sum(x * softmax(-x))",
    row=([0.5, 2.0],),
    truth=lambda x: (x[0] * mp.exp(-x[0]) + x[1] * mp.exp(-x[1])) / (mp.exp(-x[0]) + mp.exp(-x[1])),
)
def soft_minimum_of_softmin(x: Tensor) -> Tensor:
    """The library's weights."""
    return (x * F.softmin(x, dim=-1)).sum(-1)


@sound(
    formula="mean(2 * abs(x - y) / (x + y))",
    kinds={"x": "positive", "y": "positive"},
    row=([0.5, 1.0], [0.25, 3.0]),
    truth=lambda *_: (2 * mp.mpf(0.25) / 0.75 + 2 * mp.mpf(2) / 4) / 2,
)
def smape_of_a_ratio(x: Tensor, y: Tensor) -> Tensor:
    """As written."""
    return (2 * (x - y).abs() / (x + y)).mean(-1)
