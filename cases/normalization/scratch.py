"""Variance and normalization of rows from their definitions."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def variance_of_squares(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Mean of the squares minus the square of the mean: a single pass, but two large numbers cancel.

    Notes
    -----
    The error is ``u mean(x^2)``, as for the squares: a spread below ``sqrt(u)`` times the mean is lost.
    """
    return (x**2).mean(dim=-1) - x.mean(dim=-1) ** 2


def variance(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Subtract the mean first, in a separate pass, and compute at least in float32.

    References
    ----------
    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance: analysis and recommendations",
    The American Statistician 37(3).
    """
    wide = widened(x)
    return ((wide - wide.mean(dim=-1, keepdim=True)) ** 2).mean(dim=-1).to(x.dtype)


def unbiased_variance(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Divide by ``d - 1``: the unbiased estimate of the variance of the distribution of the row."""
    wide = widened(x)
    return ((wide - wide.mean(dim=-1, keepdim=True)) ** 2).sum(dim=-1).div(x.shape[-1] - 1).to(x.dtype)


def textbook_layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition in the dtype of the input, with an eps of 1e-5: in 16 bits the mean itself is rounded."""
    mean = x.mean(dim=-1, keepdim=True)
    var = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5)


def layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition, computed at least in float32 and rounded once."""
    return textbook_layer_norm(widened(x)).to(x.dtype)


def scaled_layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale rows with large deviations, and eps, by a power of two first, so that no square overflows."""
    wide = widened(x)
    scale = power_of_two(wide - wide.mean(dim=-1, keepdim=True))
    centred = wide * scale - (wide * scale).mean(dim=-1, keepdim=True)
    var = (centred**2).mean(dim=-1, keepdim=True) + 1e-5 * scale**2
    # Equal large numbers have zero variance, and the scaled eps underflows: keep the divisor positive.
    return (centred / torch.sqrt(var).clamp_min(torch.finfo(wide.dtype).tiny)).to(x.dtype)


def textbook_rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition in the dtype of the input, with an eps of 1e-5: squares overflow from 256 in float16."""
    return x / torch.sqrt((x**2).mean(dim=-1, keepdim=True) + 1e-5)


def rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition, computed at least in float32 and rounded once."""
    return textbook_rms_norm(widened(x)).to(x.dtype)


def scaled_rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale rows of large numbers, and eps, by a power of two first."""
    wide = widened(x)
    scale = power_of_two(wide)
    square = ((wide * scale) ** 2).mean(dim=-1, keepdim=True) + 1e-5 * scale**2
    return (wide * scale / torch.sqrt(square)).to(x.dtype)


def power_of_two(x: Float[Tensor, "n d"]) -> Float[Tensor, "n 1"]:
    """Return 1 for most rows, and a small power of two for rows that are not finite or might overflow when squared."""
    bits = math.frexp(torch.finfo(x.dtype).max)[1]
    large = ~(x.detach().abs().amax(dim=-1, keepdim=True) <= 2.0 ** (bits // 2 - 10))
    return torch.ones_like(x[:, :1]).masked_fill(large, 2.0 ** (-bits // 2 - 10))


def widened(x: Tensor) -> Tensor:
    """Return the numbers at least in float32."""
    return x if x.itemsize >= 4 else x.float()
