"""Deliberately wrong implementations of the variance."""

import torch
from controls.variance import two_passes
from mutants.mutant import Mutant
from torch import Tensor


def unbiased(x: Tensor) -> Tensor:
    """Divides by d - 1, without a declaration."""
    return two_passes(x) * (x.shape[-1] / max(x.shape[-1] - 1, 1))


def over_the_batch(x: Tensor) -> Tensor:
    """Subtracts the mean of the column."""
    return (x - x.mean(0, keepdim=True)).square().mean(-1)


def of_squares(x: Tensor) -> Tensor:
    """mean(x^2) - mean(x)^2: cancels, below zero too."""
    return x.square().mean(-1) - x.mean(-1).square()


def updating(x: Tensor) -> Tensor:
    """Welford: exact about its running mean, which is rounded at every step."""
    mean, squares = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0])
    for k, entry in enumerate(x.unbind(-1), 1):
        delta = entry - mean
        mean = mean + delta / k
        squares = squares + delta * (entry - mean)
    return squares / x.shape[-1]


def about_zero(x: Tensor) -> Tensor:
    """The mean is not taken off."""
    return x.square().mean(-1)


def with_a_floor(x: Tensor) -> Tensor:
    """Adds an eps for later divisions."""
    return two_passes(x) + 1e-5


def about_a_narrow_mean(x: Tensor) -> Tensor:
    """The mean is rounded to the 16-bit format before it is taken off."""
    return (x.float() - x.mean(-1, keepdim=True).float()).square().mean(-1).to(x.dtype)


def half_detached(x: Tensor) -> Tensor:
    """One factor of the square is a constant to autograd."""
    centred = x - x.mean(-1, keepdim=True)
    return (centred * centred.detach()).mean(-1)


def clipped(x: Tensor) -> Tensor:
    """Infinities become the largest numbers whose squares are finite."""
    return two_passes(x.clamp(-1e15, 1e15))


def counted_in_the_dtype(x: Tensor) -> Tensor:
    """65,536 entries are infinitely many in float16."""
    count = torch.ones_like(x).sum(-1)
    return (x - x.mean(-1, keepdim=True)).square().sum(-1) / count


MUTANTS = [
    Mutant(unbiased, "variance", "value"),
    Mutant(over_the_batch, "variance", "value"),
    Mutant(about_a_narrow_mean, "variance", "value", dtype="bfloat16"),
    Mutant(updating, "variance", "digits_kept_at_an_offset"),
    Mutant(of_squares, "variance", "not_negative"),
    Mutant(about_zero, "variance", "shift_invariant"),
    Mutant(with_a_floor, "variance", "doubling_quadruples"),
    Mutant(with_a_floor, "variance", "constant_rows_vary_by_nothing"),
    Mutant(half_detached, "variance", "gradient"),
    Mutant(clipped, "variance", "infinite_entry"),
    Mutant(clipped, "variance", "value_on_extreme_numbers"),
    Mutant(counted_in_the_dtype, "variance", "value_on_long_rows", dtype="float16"),
]
