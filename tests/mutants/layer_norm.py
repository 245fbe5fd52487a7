"""Deliberately wrong implementations of the layer normalization."""

import torch
from controls.layer_norm import EPS, scaled_two_passes
from mutants.mutant import Mutant
from torch import Tensor


def _parts(x: Tensor) -> tuple[Tensor, Tensor]:
    """Deviations and biased variance."""
    centred = x - x.mean(-1, keepdim=True)
    return centred, centred.square().mean(-1, keepdim=True)


def textbook(x: Tensor) -> Tensor:
    """The definition: squares overflow."""
    centred, variance = _parts(x)
    return centred / (variance + EPS).sqrt()


def unbiased(x: Tensor) -> Tensor:
    """The variance is divided by d - 1."""
    centred, variance = _parts(x)
    return centred / (variance * (x.shape[-1] / max(x.shape[-1] - 1, 1)) + EPS).sqrt()


def eps_outside(x: Tensor) -> Tensor:
    """Eps is added to the root."""
    centred, variance = _parts(x)
    return centred / (variance.sqrt() + EPS)


def over_the_batch(x: Tensor) -> Tensor:
    """Statistics of the columns."""
    return textbook(x.T).T.contiguous()


def about_a_narrow_mean(x: Tensor) -> Tensor:
    """The mean is rounded to the 16-bit format before it is taken off."""
    centred = x.float() - x.mean(-1, keepdim=True).float()
    return (centred / (centred.square().mean(-1, keepdim=True) + EPS).sqrt()).to(x.dtype)


def without_mean(x: Tensor) -> Tensor:
    """The mean is not taken off."""
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt()


def by_absolute_deviation(x: Tensor) -> Tensor:
    """The mean absolute deviation is less than the standard one."""
    centred, _ = _parts(x)
    return centred / (centred.abs().mean(-1, keepdim=True) + EPS)


def of_squares(x: Tensor) -> Tensor:
    """mean(x^2) - mean(x)^2, clamped at zero."""
    mean = x.mean(-1, keepdim=True)
    variance = x.square().mean(-1, keepdim=True) - mean.square()
    return (x - mean) / (variance.clamp_min(0) + EPS).sqrt()


def of_magnitudes(x: Tensor) -> Tensor:
    """Signs are lost."""
    return scaled_two_passes(x.abs())


def without_root(x: Tensor) -> Tensor:
    """Divided by the variance."""
    centred, variance = _parts(x)
    return centred / (variance + EPS)


def folded(x: Tensor) -> Tensor:
    """X * rstd - mean * rstd, where only one product is rounded, as in a fused multiply-add."""
    _, variance = _parts(x)
    rstd = (variance + EPS).rsqrt()
    return (x.double() * rstd - (x.mean(-1, keepdim=True) * rstd)).to(x.dtype)


def detached(x: Tensor) -> Tensor:
    """The divisor is a constant to autograd."""
    centred, variance = _parts(x)
    return centred / (variance + EPS).sqrt().detach()


def clipped(x: Tensor) -> Tensor:
    """Infinities become the largest numbers whose squares are finite."""
    return scaled_two_passes(x.clamp(-1e18, 1e18))


def counted_in_the_dtype(x: Tensor) -> Tensor:
    """65,536 entries are infinitely many in float16."""
    count = torch.ones_like(x).sum(-1, keepdim=True)
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().sum(-1, keepdim=True) / count + EPS).sqrt()


def by_the_reciprocal_root(x: Tensor) -> Tensor:
    """The cube of the reciprocal root, which the backward pass forms, underflows."""
    wide = x if x.itemsize >= 4 else x.float()
    centred = wide - wide.mean(-1, keepdim=True)
    return (centred * (centred.square().mean(-1, keepdim=True) + EPS).rsqrt()).to(x.dtype)


MUTANTS = [
    Mutant(unbiased, "layer_norm", "value"),
    Mutant(eps_outside, "layer_norm", "value"),
    Mutant(eps_outside, "layer_norm", "value", declares={"eps": 0.0}),
    Mutant(over_the_batch, "layer_norm", "value"),
    Mutant(about_a_narrow_mean, "layer_norm", "value", dtype="bfloat16"),
    Mutant(textbook, "layer_norm", "value", dtype="float16"),
    Mutant(without_mean, "layer_norm", "rows_have_mean_zero"),
    Mutant(by_absolute_deviation, "layer_norm", "mean_square_at_most_one"),
    Mutant(of_squares, "layer_norm", "shift_invariant"),
    Mutant(of_magnitudes, "layer_norm", "odd"),
    Mutant(without_root, "layer_norm", "doubling_at_most_doubles"),
    Mutant(folded, "layer_norm", "constant_rows_become_zeros"),
    Mutant(folded, "layer_norm", "drowned_rows_stay_bounded"),
    Mutant(detached, "layer_norm", "gradient"),
    Mutant(by_the_reciprocal_root, "layer_norm", "gradient_digits_not_lost"),
    Mutant(clipped, "layer_norm", "infinite_entry"),
    Mutant(textbook, "layer_norm", "value_on_extreme_numbers"),
    Mutant(counted_in_the_dtype, "layer_norm", "value_on_long_rows", dtype="float16"),
]
