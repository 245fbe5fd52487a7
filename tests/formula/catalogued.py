"""For each formula of the catalog: torch's implementation, a mutant, and the laws that torch is known to break."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from formula import catalogued_steps as of
from torch import Tensor
from torch.nn import functional as F


class Catalogued(NamedTuple):
    """Implementations of one formula: torch's, a wrong one, and the laws that torch's breaks in float32, with reasons.

    ``torch`` is torch's function, or the usual code in torch. ``breaks`` does not list lost digits.
    """

    torch: Callable[..., Tensor]
    mutant: Callable[..., Tensor]
    breaks: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


def focal(x: Tensor, y: Tensor) -> Tensor:
    """Torchvision's implementation, without alpha."""
    p = torch.sigmoid(x)
    return (1 - (p * y + (1 - p) * (1 - y))) ** 2 * F.binary_cross_entropy_with_logits(x, y, reduction="none")


def focal_with_eps(x: Tensor, y: Tensor) -> Tensor:
    """Adds an eps to probabilities in the logarithms."""
    p = torch.sigmoid(x)
    of_log = y * (p + 1e-7).log() + (1 - y) * (1 - p + 1e-7).log()
    return -((1 - (p * y + (1 - p) * (1 - y))) ** 2) * of_log


def adam(p: Tensor, g: Tensor, m: Tensor, v: Tensor) -> Tensor:
    """The formula of torch's single-tensor loop."""
    m = m.lerp(g, 0.1)
    v = v * 0.999 + g * g * 0.001
    return p - (0.001 / 0.1) * m / (v.sqrt() / math.sqrt(0.001) + 1e-8)


def adam_without_correction(p: Tensor, g: Tensor, m: Tensor, v: Tensor) -> Tensor:
    """Does not correct the moments."""
    m = m.lerp(g, 0.1)
    v = v * 0.999 + g * g * 0.001
    return p - 0.001 * m / (v.sqrt() + 1e-8)


def label_smoothing(x: Tensor, p: Tensor) -> Tensor:
    """Uses log_softmax."""
    logs = torch.log_softmax(x, -1)
    return -(0.9 * (p * logs).sum(-1) + 0.1 * logs.mean(-1))


ERF = {
    "value": "the vector kernel's error function errs by 15 roundings of one, on AVX-512",
    "not_nan_where_infinite": "the vector kernel's error function is NaN at infinity",
}
NOTHING_TIMES = {"not_nan_where_infinite": "a weight of zero is multiplied by infinity"}
LESS = {"not_nan_where_infinite": "infinity is taken off infinity, in an order of the sum that finite numbers allow"}
EARLY = {
    "finite": "the vector kernel overflows from 88.72 where the truth does from 89.42",
    "gradient_finite": "the vector kernel overflows from 88.72 where the truth does from 89.42",
}
CUMULATIVE = {"gradient": "it is formed of the difference of logarithms, which cancels"}

SIGMOID = {"gradient": "its sigmoid is zero from -88.72, where exp overflows, and half of the product is lost"}
NAIVE = dict.fromkeys(
    ("value", "finite", "gradient", "gradient_finite"),
    "log(1 + exp) is computed as it is written: exp overflows at 88.72",
)

OUTPUT = {"gradient": "it is formed of the output, exp(x - logsumexp), and shows how that was rounded"}

CATALOGUED = {
    "relu": Catalogued(F.relu, lambda x: x.abs()),
    "relu6": Catalogued(F.relu6, lambda x: x.clamp(0, 5)),
    "leaky_relu": Catalogued(F.leaky_relu, lambda x: F.leaky_relu(x, 0.1)),
    "squared_relu": Catalogued(lambda x: F.relu(x).square(), lambda x: x.square()),
    "elu": Catalogued(F.elu, lambda x: torch.where(x > 0, x, x.exp() + 1)),
    "selu": Catalogued(F.selu, lambda x: 1.05 * F.elu(x, 1.67)),
    "gelu": Catalogued(F.gelu, lambda x: F.gelu(x, approximate="tanh"), ERF),
    "gelu_tanh": Catalogued(
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.044715 * x**3))),
    ),
    "silu": Catalogued(F.silu, lambda x: x * x.exp() / (1 + x.exp())),
    "mish": Catalogued(F.mish, lambda x: x * torch.tanh((1 + x.exp()).log()), SIGMOID),
    "tanh": Catalogued(torch.tanh, lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
    "tanhshrink": Catalogued(F.tanhshrink, lambda x: x - torch.tanh(x).detach()),
    "hardtanh": Catalogued(F.hardtanh, lambda x: x.clamp(-1, 0.99)),
    "hardsigmoid": Catalogued(F.hardsigmoid, lambda x: (0.2 * x + 0.5).clamp(0, 1)),
    "hardswish": Catalogued(F.hardswish, lambda x: x * F.relu6(x + 3) / 5),
    "softsign": Catalogued(F.softsign, lambda x: x / (1 + x.abs()).detach()),
    "softshrink": Catalogued(F.softshrink, lambda x: F.softshrink(x, 0.4)),
    "glu": Catalogued(lambda x, y: F.glu(torch.cat([x, y])), lambda x, y: torch.sigmoid(x) * y),
    "swiglu": Catalogued(lambda x, y: F.silu(x) * y, lambda x, y: F.silu(y) * x),
    "geglu": Catalogued(lambda x, y: F.gelu(x) * y, lambda x, y: F.gelu(y) * x, ERF),
    "exp": Catalogued(torch.exp, lambda x: torch.exp2(1.4427 * x)),
    "expm1": Catalogued(torch.expm1, lambda x: x.exp() - 1),
    "log1p": Catalogued(torch.log1p, lambda x: (1 + x).log()),
    "log2": Catalogued(torch.log2, lambda x: x.log() * 1.4427),
    "erf": Catalogued(torch.erf, lambda x: torch.tanh(1.1283 * x)),
    "erfc": Catalogued(torch.erfc, lambda x: 1 - torch.erf(x)),
    "logit": Catalogued(torch.logit, lambda x: torch.logit(x, eps=0.01)),
    "xlogy": Catalogued(torch.xlogy, lambda x, y: x * (y + 0.01).log()),
    "hypot": Catalogued(torch.hypot, lambda x, y: (x * x + y * y + 1e-4).sqrt()),
    "reciprocal": Catalogued(torch.reciprocal, lambda x: 1 / (x + 1e-6)),
    "rsqrt": Catalogued(torch.rsqrt, lambda x: 1 / (x + 1e-6).sqrt()),
    "atan": Catalogued(torch.atan, lambda x: torch.asin(x / (1 + x * x))),
    "sinh": Catalogued(torch.sinh, lambda x: (x.exp() - (-x).exp()) / 2, EARLY),
    "cosh": Catalogued(torch.cosh, lambda x: x.abs().exp() / 2, EARLY),
    "lerp": Catalogued(torch.lerp, lambda x, y, t: y + t * (x - y), NOTHING_TIMES),
    "normal_cdf": Catalogued(lambda x: torch.erfc(-x / math.sqrt(2)) / 2, torch.special.ndtr),
    "mean": Catalogued(lambda x: x.mean(-1), lambda x: x.sum(-1) / (x.shape[-1] + 1)),
    "dot": Catalogued(lambda x, y: (x * y).sum(-1), lambda x, y: (x * y.abs()).sum(-1)),
    "matrix_product": Catalogued(
        lambda x, y: torch.bmm(x[:, None], y[..., None]).reshape(len(x)),
        lambda x, y: torch.bmm(x[:, None].bfloat16(), y[..., None].bfloat16()).reshape(len(x)).to(x.dtype),
    ),
    "vector_norm": Catalogued(lambda x: torch.linalg.vector_norm(x, dim=-1), lambda x: x.abs().sum(-1)),
    "standard_deviation": Catalogued(
        lambda x: x.std(-1), lambda x: ((x * x).mean(-1) - x.mean(-1).square()).clamp(min=0).sqrt()
    ),
    "cumsum": Catalogued(lambda x: x.cumsum(-1), lambda x: x.flip(-1).cumsum(-1).flip(-1)),
    "logcumsumexp": Catalogued(lambda x: x.logcumsumexp(-1), lambda x: x.exp().cumsum(-1).log(), CUMULATIVE),
    "logmeanexp": Catalogued(
        lambda x: x.logsumexp(-1) - math.log(x.shape[-1]), lambda x: x.exp().mean(-1).log(), OUTPUT
    ),
    "normalize": Catalogued(lambda x: F.normalize(x, dim=-1), lambda x: x / x.abs().sum(-1, keepdim=True)),
    "cosine_similarity": Catalogued(
        lambda x, y: F.cosine_similarity(x, y, -1),
        lambda x, y: (x * y).sum(-1) / ((x * x).sum(-1) * (y * y).sum(-1) + 1e-2).sqrt(),
        breaks={"gradient": "the clamp of a norm below eps is hidden from autograd, which differentiates the norm"},
    ),
    "pairwise_distance": Catalogued(F.pairwise_distance, lambda x, y: F.pairwise_distance(x, y, eps=1e-2)),
    "clip_by_norm": Catalogued(
        lambda x: x * (1 / (torch.linalg.vector_norm(x, dim=-1, keepdim=True) + 1e-6)).clamp(max=1),
        lambda x: x / torch.linalg.vector_norm(x, dim=-1, keepdim=True),
    ),
    "l1": Catalogued(lambda x, y: F.l1_loss(x, y, reduction="none"), lambda x, y: x - y),
    "huber": Catalogued(
        lambda x, y: F.huber_loss(x, y, reduction="none"),
        lambda x, y: torch.where((x - y).abs() <= 1, (x - y) ** 2 / 2, (x - y).abs()),
    ),
    "hinge": Catalogued(lambda x, y: (1 - x * y).clamp(min=0), lambda x, y: (1 - x).clamp(min=0) * y),
    "soft_margin": Catalogued(
        lambda x, y: F.soft_margin_loss(x, y, reduction="none"), lambda x, y: F.softplus(x * y), NAIVE
    ),
    "poisson_nll": Catalogued(
        lambda x, y: F.poisson_nll_loss(x, y, reduction="none"), lambda x, y: x.exp() - y * (x + 0.1)
    ),
    "focal": Catalogued(focal, focal_with_eps, NOTHING_TIMES),
    "laplace_nll": Catalogued(
        lambda x, y, s: (2 * s).log() + (x - y).abs() / s, lambda x, y, s: s.log() + (x - y).abs() / s
    ),
    "student_t_nll": Catalogued(
        lambda x, y: 2.5 * torch.log1p((x - y) ** 2 / 4), lambda x, y: 2.5 * (1 + (x - y) ** 2).log()
    ),
    "kl_of_gaussians": Catalogued(
        lambda x, s, y, t: (t / s).log() + (s * s + (x - y) ** 2) / (2 * t * t) - 0.5,
        lambda x, s, y, t: (s / t).log() + (s * s + (x - y) ** 2) / (2 * t * t) - 0.5,
    ),
    "dice": Catalogued(
        lambda p, y: 1 - (2 * (p * y).sum(-1) + 1) / (p.sum(-1) + y.sum(-1) + 1),
        lambda p, y: 1 - 2 * (p * y).sum(-1) / (p.sum(-1) + y.sum(-1) + 1),
    ),
    "cross_entropy_of_distributions": Catalogued(
        lambda x, p: F.cross_entropy(x, p, reduction="none"), lambda x, p: -(p * torch.softmax(x, -1).log()).sum(-1)
    ),
    "label_smoothing": Catalogued(label_smoothing, lambda x, p: F.cross_entropy(x, p, reduction="none")),
    "triplet_margin": Catalogued(
        lambda a, p, n: F.triplet_margin_loss(a, p, n, reduction="none"),
        lambda a, p, n: F.triplet_margin_loss(a, n, p, reduction="none"),
    ),
    "normal_log_prob": Catalogued(
        lambda x, m, s: -(((x - m) / s) ** 2) / 2 - s.log() - math.log(2 * math.pi) / 2,
        lambda x, m, s: -(((x - m) / s) ** 2) / 2 - math.log(2 * math.pi) / 2,
    ),
    "adam": Catalogued(adam, adam_without_correction, LESS),
    "adam_steps": Catalogued(of.steps_of(torch.optim.Adam), of.steps_of(torch.optim.Adam, betas=(0.9, 0.99))),
    "adam_steps_with_decay": Catalogued(
        of.steps_of(torch.optim.Adam, weight_decay=0.01), of.steps_of(torch.optim.AdamW, weight_decay=0.01)
    ),
    "adamw_steps": Catalogued(of.steps_of(torch.optim.AdamW), of.steps_of(torch.optim.Adam, weight_decay=0.01)),
    "momentum_steps": Catalogued(
        of.steps_of(torch.optim.SGD, lr=0.1, momentum=0.9),
        of.steps_of(torch.optim.SGD, lr=0.1, momentum=0.9, dampening=0.1),
    ),
    "layer_norm_with_weight": Catalogued(of.layer_norm, of.layer_norm_whose_bias_is_scaled),
    "rms_norm_with_weight": Catalogued(of.rms_norm, of.rms_norm_of_one_more),
    "batch_norm": Catalogued(of.batch_norm, of.batch_norm_of_the_sample),
    "batch_norm_in_evaluation": Catalogued(
        of.batch_norm_in_evaluation, lambda x, m, v, w, b: (x - m) / (v.sqrt() + 1e-5) * w + b, LESS
    ),
    "running_mean": Catalogued(of.running_mean, lambda m, x: 0.1 * m + 0.9 * x.mean(-1)),
    "running_variance": Catalogued(of.running_variance, lambda v, x: 0.9 * v + 0.1 * x.var(-1, correction=0)),
    "attention": Catalogued(of.attention, lambda q, k, v: (torch.softmax(k, -1) * q[:, None] * v).sum(-1)),
    "masked_attention": Catalogued(
        of.attention,
        lambda q, k, v, keep: (torch.softmax(q[:, None] * k * keep, -1) * v).sum(-1),
        breaks={"not_nan_where_infinite": "the mask is added as -inf, and an infinite score plus -inf is NaN"},
    ),
    "rotary_at_position": Catalogued(
        lambda x, y, p, f: x * torch.cos(p * f) - y * torch.sin(p * f),
        lambda x, y, p, f: x * torch.cos(p.bfloat16().to(p.dtype) * f) - y * torch.sin(p.bfloat16().to(p.dtype) * f),
    ),
    "linear_upsampling": Catalogued(of.linear_upsampling, lambda a, b: of.linear_upsampling(a, b, corners=True)),
    "cubic_upsampling": Catalogued(
        of.cubic_upsampling, lambda a, b, c, d: of.cubic_upsampling(a, b, c, d, antialias=True), NOTHING_TIMES
    ),
    "bilinear": Catalogued(of.bilinear, lambda a, b, c, d, s, t: of.bilinear(a, c, b, d, s, t), NOTHING_TIMES),
    "embedding": Catalogued(
        lambda x, t: x.gather(-1, t[:, None])[:, 0], lambda x, t: x.gather(-1, (t[:, None] - 1) % x.shape[-1])[:, 0]
    ),
    "masked_mean": Catalogued(
        lambda x, keep: torch.where(keep, x, 0.0).sum(-1) / keep.sum(-1),
        lambda x, keep: torch.where(keep, x, 0.0).mean(-1),
    ),
    "weighted_cross_entropy": Catalogued(
        of.weighted_cross_entropy, lambda x, t, w: F.cross_entropy(x, t, reduction="none") + 0 * w[:, 0]
    ),
    "cross_entropy_with_ignored": Catalogued(of.cross_entropy_with_ignored, of.cross_entropy_of_padding),
    "smoothed_cross_entropy": Catalogued(
        lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1, reduction="none"), of.smoothed_over_the_others
    ),
    "weighted_smoothed_cross_entropy": Catalogued(of.weighted_smoothed_cross_entropy, of.weighted_by_the_label),
    "accumulated_gradient": Catalogued(
        lambda g, keep: of.accumulated(g, keep.to(g.dtype), of.of_the_full_batch),
        lambda g, keep: of.accumulated(g, keep.to(g.dtype), of.of_each_microbatch),
    ),
    "accumulated_gradient_with_weights": Catalogued(
        lambda g, w: of.accumulated(g, w, of.of_the_full_batch),
        lambda g, w: of.accumulated(g, w, of.of_each_microbatch),
    ),
    "moving_average": Catalogued(lambda x, y: 0.99 * x + 0.01 * y, lambda x, y: 0.99 * x + y),
    "rotary": Catalogued(lambda x, y, t: x * t.cos() - y * t.sin(), lambda x, y, t: x * t.cos() + y * t.sin()),
}
"""Implementations by the name of their formula."""
