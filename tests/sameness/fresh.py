"""Ten further pairs, settled before the first run: kinds that the other sets lack. A place is marked with ``here``."""

# ruff: noqa: D103

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_WEIGHTS = torch.linspace(-1.0, 1.0, 5)
_COEFFICIENTS = (0.5, -0.25, 0.125, 2.0, -1.5)


# Rounding


def rounding_attention_a(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    scores = query @ key.T / math.sqrt(query.shape[-1])
    return scores.softmax(-1) @ value


def rounding_attention_b(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(query[None], key[None], value[None])[0]


def rounding_convolution_a(x: Tensor) -> Tensor:
    return functional.conv1d(x[:, None], _WEIGHTS[None, None])[:, 0]


def rounding_convolution_b(x: Tensor) -> Tensor:
    return x.unfold(1, 5, 1) @ _WEIGHTS


def rounding_polynomial_a(x: Tensor) -> Tensor:
    result = torch.zeros_like(x)
    for coefficient in reversed(_COEFFICIENTS):
        result = result * x + coefficient
    return result


def rounding_polynomial_b(x: Tensor) -> Tensor:
    return torch.stack([coefficient * x**power for power, coefficient in enumerate(_COEFFICIENTS)]).sum(0)


def rounding_cumulative_a(x: Tensor) -> Tensor:
    return x.cumsum(-1)


def rounding_cumulative_b(x: Tensor) -> Tensor:
    return x @ torch.ones(x.shape[-1], x.shape[-1]).triu()


class _Silu(torch.autograd.Function):
    """The sigmoid linear unit with its derivative by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * x.sigmoid()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        y = x.sigmoid()
        return gradient * y * (1.0 + x * (1.0 - y))


def rounding_own_gradient_a(x: Tensor) -> Tensor:
    result: Tensor = _Silu.apply(x)
    return result


def rounding_own_gradient_b(x: Tensor) -> Tensor:
    return functional.silu(x)


# Different


class _WrongSilu(_Silu):
    """The same values; the derivative lacks the second term of the product rule."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradient * x.sigmoid()  # here


def different_own_gradient_a(x: Tensor) -> Tensor:
    result: Tensor = _WrongSilu.apply(x)  # here
    return result


def different_own_gradient_b(x: Tensor) -> Tensor:
    return functional.silu(x)  # here


def different_causal_mask_a(x: Tensor) -> Tensor:
    mask = torch.ones(len(x), len(x), dtype=torch.bool).tril()
    return (x @ x.T).masked_fill(~mask, -math.inf).softmax(-1) @ x  # here


def different_causal_mask_b(x: Tensor) -> Tensor:
    mask = torch.ones(len(x), len(x), dtype=torch.bool).tril(1)
    return (x @ x.T).masked_fill(~mask, -math.inf).softmax(-1) @ x  # here


def different_corners_a(x: Tensor) -> Tensor:
    return functional.interpolate(x[:, None], 96, mode="linear", align_corners=True)[:, 0]  # here


def different_corners_b(x: Tensor) -> Tensor:
    return functional.interpolate(x[:, None], 96, mode="linear", align_corners=False)[:, 0]  # here


def different_groups_a(x: Tensor) -> Tensor:
    return functional.group_norm(x, 8)  # here


def different_groups_b(x: Tensor) -> Tensor:
    groups = x.reshape(len(x), -1, 8)
    deviation = groups.var(1, correction=0, keepdim=True)  # here
    return ((groups - groups.mean(1, keepdim=True)) / (deviation + 1e-5).sqrt()).reshape(x.shape)  # here


def different_median_a(x: Tensor) -> Tensor:
    return x - x.median(-1, keepdim=True).values  # here


def different_median_b(x: Tensor) -> Tensor:
    return x - x.quantile(0.5, -1, keepdim=True)  # here
