"""Wrong functions under contracts, of kinds that the corpus does not have."""

from typing import Any

import mpmath as mp
import torch
from torch import Tensor
from torch.nn import functional as F
from unseen.specimen import wrong


def _softmax(x: list[float]) -> list[Any]:
    e = [mp.exp(v) for v in x]
    return [v / sum(e) for v in e]


@wrong("smoothed_cross_entropy", r"sum|mean", row=([1.0, -2.0, 0.5], 1),
       truth=lambda x, t: -(0.9 * mp.log(_softmax(x)[t]) + 0.1 * sum(map(mp.log, _softmax(x))) / 3))  # fmt: skip
def smoothing_is_summed(x: Tensor, t: Tensor) -> Tensor:
    """The term of all classes is a sum instead of a mean."""
    y = torch.log_softmax(x, -1)
    return -(0.9 * y.gather(-1, t[..., None]).squeeze(-1) + 0.1 * y.sum(-1))


@wrong("huber", r"\b2\b|0\.5|half|factor", row=(0.5, 0.1), truth=lambda x, y: mp.mpf(x - y) ** 2 / 2)
def huber_without_a_half(x: Tensor, y: Tensor) -> Tensor:
    """The quadratic part is not halved."""
    d = (x - y).abs()
    return torch.where(d <= 1, d**2, d - 0.5)


@wrong("poisson_nll", r"missing|without|factor", row=(0.5, 3.0), truth=lambda x, y: mp.exp(x) - y * mp.mpf(x))
def poisson_without_the_rate(x: Tensor, y: Tensor) -> Tensor:
    """The count is not multiplied by the logarithm of the rate."""
    return torch.exp(x) - y


@wrong("kl_of_gaussians", r"exchange", row=(0.5, 2.0, 0.1, 3.0),
       truth=lambda x, s, y, t: mp.log(mp.mpf(t) / s) + (s * s + (x - y) ** 2) / mp.mpf(2 * t * t) - 0.5)  # fmt: skip
def kl_with_exchanged_scales(x: Tensor, s: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """The two Gaussians are in the other order."""
    return torch.log(s / t) + (t * t + (x - y) ** 2) / (2 * s * s) - 0.5


@wrong("laplace_nll", r"\b2\b|factor", row=(0.5, 1.0, 2.0), truth=lambda x, y, s: mp.log(2 * s) + abs(x - y) / s)
def laplace_without_the_two(x: Tensor, y: Tensor, s: Tensor) -> Tensor:
    """The density is not normalized."""
    return torch.log(s) + (x - y).abs() / s


@wrong("student_t_nll", r"\b2\b", row=(0.5, 2.0), truth=lambda x, y: mp.log(1 + mp.mpf(x - y) ** 2 / 4) * 2.5)
def student_with_another_freedom(x: Tensor, y: Tensor) -> Tensor:
    """The square is divided by another number."""
    return torch.log1p((x - y) ** 2 / 2) * 2.5


@wrong("layer_norm_with_weight", r"\b1\b.*add|add.*\b1\b|1 \+", row=([1.0, 2.0, 4.0], [0.5, 1.0, 2.0], [0.0, 0.0, 1.0]),
       truth=lambda x, w, b: [(v - mp.fsum(x) / 3) / mp.sqrt(mp.fsum((u - mp.fsum(x) / 3) ** 2 for u in x) / 3 + 1e-5)
                              * w[i] + b[i] for i, v in enumerate(x)])  # fmt: skip
def gain_around_one(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The weight is taken for an offset from one."""
    return F.layer_norm(x, x.shape[-1:], eps=1e-5) * (1 + w) + b


@wrong("batch_norm_in_evaluation", r"root", row=(0.5, 0.1, 4.0, 1.5, 0.2),
       truth=lambda x, m, v, w, b: (x - m) / mp.sqrt(v + 1e-5) * w + b)  # fmt: skip
def variance_for_deviation(x: Tensor, m: Tensor, v: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Divides by the variance."""
    return (x - m) / (v + 1e-5) * w + b


@wrong("running_mean", r"exchange|0\.1", row=(2.0, [1.0, 4.0]), truth=lambda m, x: 0.9 * m + 0.1 * sum(x) / 2)
def momentum_the_other_way(m: Tensor, x: Tensor) -> Tensor:
    """The old mean has the small weight."""
    return 0.1 * m + 0.9 * x.mean(-1)


@wrong("adam", r"0\.1\b|missing|factor|\b1\b", row=(0.001, 0.5, 0.2, 0.04),
       truth=lambda p, g, m, v: p - 0.001 * ((0.9 * m + 0.1 * g) / 0.1)
       / (mp.sqrt((0.999 * v + 0.001 * g * g) / 0.001) + 1e-8))  # fmt: skip
def adam_without_the_first_correction(p: Tensor, g: Tensor, m: Tensor, v: Tensor) -> Tensor:
    """The bias of the first moment stays."""
    return p - 0.001 * (0.9 * m + 0.1 * g) / (torch.sqrt((0.999 * v + 0.001 * g * g) / 0.001) + 1e-8)


@wrong("cosine_similarity", r"norm|factor|missing|root", row=([1.0, 2.0], [3.0, -1.0]),
       truth=lambda x, y: (x[0] * y[0] + x[1] * y[1]) / mp.sqrt(5 * 10))  # fmt: skip
def cosine_of_squared_lengths(x: Tensor, y: Tensor) -> Tensor:
    """The root of the product is missing."""
    return (x * y).sum(-1) / ((x * x).sum(-1).clamp(min=1e-16) * (y * y).sum(-1).clamp(min=1e-16))


@wrong(
    "dice",
    r"\b1\b|term|missing",
    row=([0.5, 0.25], [1.0, 0.0]),
    truth=lambda *_: 1 - mp.mpf(2 * 0.5 + 1) / (0.75 + 1 + 1),
)
def dice_smoothed_below_only(p: Tensor, y: Tensor) -> Tensor:
    """The numerator has no smoothing."""
    return 1 - 2 * (p * y).sum(-1) / (p.sum(-1) + y.sum(-1) + 1)


@wrong("swiglu", r"exchange", row=(1.0, 2.0), truth=lambda x, y: x / (1 + mp.exp(-x)) * y)
def gate_from_the_other_half(x: Tensor, y: Tensor) -> Tensor:
    """The second half is the gate."""
    return x * F.silu(y)


@wrong(
    "selu",
    r"1\.67",
    row=(-1.0,),
    truth=lambda x: mp.mpf("1.0507009873554805") * mp.mpf("1.6732632423543772") * mp.expm1(x),
)
def selu_with_a_rounded_constant(x: Tensor) -> Tensor:
    """Three digits."""
    return 1.0507009873554805 * torch.where(x < 0, 1.66 * torch.expm1(x), x)


@wrong("hardswish", r"\b5\b", row=(1.0,), truth=lambda x: mp.mpf(x) * 4 / 6)
def hardswish_by_five(x: Tensor) -> Tensor:
    """Another divisor."""
    return x * F.relu6(x + 3) / 5


@wrong("attention", r"exchange|\bk\b", row=(0.5, [1.0, 2.0], [3.0, -1.0]),
       truth=lambda q, k, v: sum(a * b for a, b in zip(_softmax([q * s for s in k]), v, strict=True)))  # fmt: skip
def attention_over_the_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Keys and values are in the other order."""
    return (torch.softmax(q[..., None] * v, -1) * k).sum(-1)


@wrong("logmeanexp", r"mean|sum|count", row=([0.5, 1.0, -1.0],), truth=lambda x: mp.log(mp.fsum(map(mp.exp, x)) / 3))
def logmeanexp_of_a_sum(x: Tensor) -> Tensor:
    """The number of entries is not subtracted."""
    return torch.logsumexp(x, -1)


@wrong("standard_deviation", r"biased|count|n - 1|\b1\b", row=([0.5, 1.0, -1.0],),
       truth=lambda x: mp.sqrt(mp.fsum((v - mp.fsum(x) / 3) ** 2 for v in x) / 2))  # fmt: skip
def deviation_of_a_population(x: Tensor) -> Tensor:
    """Divides by the number of entries."""
    return x.std(-1, correction=0)


@wrong("rotary", r"sin|cos", row=(1.0, 2.0, 0.5), truth=lambda x, y, t: x * mp.cos(t) - y * mp.sin(t))
def rotary_from_the_other_axis(x: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """Sine and cosine are in the other order."""
    return x * torch.sin(t) - y * torch.cos(t)


@wrong("layer_norm", r"any_rank", mode="rank 3")
def normalized_over_all_but_the_batch(x: Tensor) -> Tensor:
    """Right for two axes only."""
    return F.layer_norm(x, x.shape[1:], eps=1e-5)


@wrong("softmax", r"any_rank", mode="rank 3")
def classes_on_the_second_axis(x: Tensor) -> Tensor:
    """Right for two axes only."""
    return torch.softmax(x, 1 if x.ndim > 1 else 0)


@wrong("relu", r"output_is_its_own", mode="alias")
def relu_of_what_is_positive(x: Tensor) -> Tensor:
    """Returns its input where nothing is to do."""
    return x if bool((x > 0).all()) else torch.relu(x)


@wrong("silu", r"torch\.compile", mode="compile")
def another_kernel(x: Tensor) -> Tensor:
    """The approximation replaces the formula in compiled code."""
    return F.hardswish(x) if torch.compiler.is_compiling() else F.silu(x)


class _Sigmoid(torch.autograd.Function):
    """A logistic function with a backward pass by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.sigmoid(x)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *by: Any) -> Tensor:
        (y,) = ctx.saved_tensors
        return by[0] * y


@wrong("sigmoid", r"gradient", mode="gradient")
def slope_without_a_factor(x: Tensor) -> Tensor:
    """The slope lacks a factor."""
    return _Sigmoid.apply(x)
