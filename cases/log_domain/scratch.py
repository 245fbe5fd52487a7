"""Sums of exponentials in the log domain, from scratch: the definitions, and stable forms."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def logsumexp(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Logarithm of the sum of exponentials: the definition.

    Notes
    -----
    ``exp`` overflows above ``ln(max)``, 88.72 in float32; far below zero all terms underflow and ``ln 0 = -inf``.
    """
    return logits.exp().sum(dim=-1).log()


def shifted_logsumexp(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """Subtract the row maximum unless it is infinite, and add it again after the logarithm.

    Notes
    -----
    Absolute error at most about ``u (|y| + k + ln k + 3)``. If a term dominates, the others are lost in the sum.

    References
    ----------
    Blanchard, Higham & Higham (2021), "Accurately computing the log-sum-exp and softmax functions",
    IMA J. Numer. Anal. 41(4).
    """
    maximum = logits.amax(dim=-1, keepdim=True)
    shift = torch.where(maximum.isinf(), 0.0, maximum)
    return (logits - shift).exp().sum(dim=-1).log() + shift.squeeze(-1)


def accurate_logsumexp(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``maximum + log1p(sum over the others)``: even a tiny contribution of the others is kept.

    Notes
    -----
    The sum is taken in float32 at least: 65,520 equal logits overflow float16, and bfloat16 counts to 256.
    """
    maximum, argmax = logits.max(dim=-1, keepdim=True)
    shift = torch.where(maximum.isinf(), 0.0, maximum)
    others = (logits - shift).exp().scatter(-1, argmax, 0.0)
    rest = others.sum(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32)).log1p()
    return maximum.squeeze(-1) + rest.to(logits.dtype)


def logaddexp(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Logarithm of the sum of two exponentials: the definition."""
    return (a.exp() + b.exp()).log()


def stable_logaddexp(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``max + log1p(exp(-|a - b|))``; equal numbers, including infinities, are handled separately.

    Notes
    -----
    Absolute error at most about ``u (|y| + 3)``, and the same relative error if the larger number is zero.
    """
    larger = torch.maximum(a, b)
    return torch.where(a == b, larger + math.log(2.0), larger + (-(a - b).abs()).exp().log1p())
