"""What torch's optimizers, norms and attention make of the formulas of the catalogue, and a mutant of each."""

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
"""What torch has of an optimizer on this device; a capturable one is for accelerators alone."""

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam_steps": torch.optim.Adam,
    "adam_steps_with_decay": functools.partial(torch.optim.Adam, weight_decay=0.01),
    "adamw_steps": torch.optim.AdamW,
    "momentum_steps": functools.partial(torch.optim.SGD, lr=0.1, momentum=0.9),
}
"""By the formula that they carry out, with the defaults of torch."""


def row_by_row(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """What takes one weight for all rows, called with each row's own."""
    return lambda *inputs: torch.stack([function(*row) for row in zip(*inputs, strict=True)])


@row_by_row
def layer_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Torch's."""
    return F.layer_norm(x, x.shape, w, b)


@row_by_row
def layer_norm_whose_bias_is_scaled(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The weight multiplies the bias, too."""
    return (F.layer_norm(x, x.shape) + b) * w


@row_by_row
def rms_norm(x: Tensor, w: Tensor) -> Tensor:
    """Torch's."""
    return F.rms_norm(x, x.shape, w, eps=1e-6)


@row_by_row
def rms_norm_of_one_more(x: Tensor, w: Tensor) -> Tensor:
    """The weight is one more, as some models store it."""
    return F.rms_norm(x, x.shape, 1 + w, eps=1e-6)


def batch_norm(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Torch's, on the transposed rows; it refuses a batch of one, whose deviation is zero."""
    if x.shape[-1] == 1:
        return (x - x) * w[:, None] + b[:, None]
    return F.batch_norm(x.T, None, None, w, b, training=True).T


def batch_norm_of_the_sample(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """By the unbiased variance."""
    d = x - x.mean(-1, keepdim=True)
    scale = (d.square().sum(-1, keepdim=True) / max(x.shape[-1] - 1, 1) + 1e-5).rsqrt()
    return d * scale * w[:, None] + b[:, None]


@row_by_row
def batch_norm_in_evaluation(x: Tensor, m: Tensor, v: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Torch's."""
    return F.batch_norm(x.reshape(1, 1), m.reshape(1), v.reshape(1), w.reshape(1), b.reshape(1)).reshape(())


def _running(x: Tensor, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    if x.shape[-1] == 1:
        return 0.9 * mean + 0.1 * x[:, 0], variance * torch.nan
    mean, variance = mean.clone(), variance.clone()
    F.batch_norm(x.T, mean, variance, training=True, momentum=0.1)
    return mean, variance


def running_mean(m: Tensor, x: Tensor) -> Tensor:
    """Torch's."""
    return _running(x, m, torch.ones_like(m))[0]


def running_variance(v: Tensor, x: Tensor) -> Tensor:
    """Torch's."""
    return _running(x, torch.zeros_like(v), v)[1]


def attention(q: Tensor, k: Tensor, v: Tensor, keep: Tensor | None = None) -> Tensor:
    """Torch's, of one query and one feature a head."""
    heads = [x[:, None, :, None] for x in (k, v)]
    mask = None if keep is None else keep[:, None, None, :]
    return F.scaled_dot_product_attention(q[:, None, None, None], *heads, mask, scale=1.0).reshape(len(q))


def weighted_cross_entropy(x: Tensor, t: Tensor, w: Tensor) -> Tensor:
    """Torch's, with each row's own weights."""
    rows = zip(x, t, w, strict=True)
    return torch.stack([F.cross_entropy(row[None], at[None], weight, reduction="sum") for row, at, weight in rows])


def bilinear(a: Tensor, b: Tensor, c: Tensor, d: Tensor, s: Tensor, t: Tensor) -> Tensor:
    """Of linear ones."""
    return torch.lerp(torch.lerp(a, b, t), torch.lerp(c, d, t), s)
