"""Variance and normalisation of rows from their definitions."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


def variance_of_squares(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Mean of the squares less the square of the mean: one pass, and two large numbers that cancel.

    Notes
    -----
    The error is that of the squares, ``u mean(x^2)``: nothing is left of a spread below ``sqrt(u)`` times the mean.
    """
    return (x**2).mean(dim=-1) - x.mean(dim=-1) ** 2


def variance(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Take the mean off first, in a pass of its own, and compute in float32 at least.

    References
    ----------
    Chan, Golub & LeVeque (1983), "Algorithms for computing the sample variance: analysis and recommendations",
    The American Statistician 37(3).
    """
    wide = widened(x)
    return ((wide - wide.mean(dim=-1, keepdim=True)) ** 2).mean(dim=-1).to(x.dtype)


def unbiased_variance(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """Divide by ``d - 1``: the estimate whose expectation is the variance of what the row was drawn from."""
    wide = widened(x)
    return ((wide - wide.mean(dim=-1, keepdim=True)) ** 2).sum(dim=-1).div(x.shape[-1] - 1).to(x.dtype)


def textbook_layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition in the dtype as it comes, with eps of 1e-5: in 16 bits the mean itself is rounded to those."""
    mean = x.mean(dim=-1, keepdim=True)
    var = ((x - mean) ** 2).mean(dim=-1, keepdim=True)
    return (x - mean) / torch.sqrt(var + 1e-5)


def layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition in float32 at least, rounded once."""
    return textbook_layer_norm(widened(x)).to(x.dtype)


def scaled_layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale rows of large deviations by a power of two first, so that no square overflows; eps is scaled with them."""
    wide = widened(x)
    scale = power_of_two(wide - wide.mean(dim=-1, keepdim=True))
    centred = wide * scale - (wide * scale).mean(dim=-1, keepdim=True)
    var = (centred**2).mean(dim=-1, keepdim=True) + 1e-5 * scale**2
    # Equal large numbers have no variance, and eps underflows beside them: zero is divided by anything but zero.
    return (centred / torch.sqrt(var).clamp_min(torch.finfo(wide.dtype).tiny)).to(x.dtype)


def textbook_rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition in the dtype as it comes, with eps of 1e-5: float16's squares overflow from 256."""
    return x / torch.sqrt((x**2).mean(dim=-1, keepdim=True) + 1e-5)


def rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """The definition in float32 at least, rounded once."""
    return textbook_rms_norm(widened(x)).to(x.dtype)


def scaled_rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Scale rows of large numbers by a power of two first, and eps with them."""
    wide = widened(x)
    scale = power_of_two(wide)
    square = ((wide * scale) ** 2).mean(dim=-1, keepdim=True) + 1e-5 * scale**2
    return (wide * scale / torch.sqrt(square)).to(x.dtype)


def power_of_two(x: Float[Tensor, "n d"]) -> Float[Tensor, "n 1"]:
    """One for each row, and a small power of two for those whose squares might overflow, or that are not finite."""
    bits = math.frexp(torch.finfo(x.dtype).max)[1]
    large = ~(x.detach().abs().amax(dim=-1, keepdim=True) <= 2.0 ** (bits // 2 - 10))
    return torch.ones_like(x[:, :1]).masked_fill(large, 2.0 ** (-bits // 2 - 10))


def widened(x: Tensor) -> Tensor:
    """The same numbers in float32 at least."""
    return x if x.itemsize >= 4 else x.float()
