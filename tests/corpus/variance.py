"""Deliberately wrong implementations of the variance."""

import torch
from controls.variance import two_passes
from corpus.specimen import loses, mutant, reported
from torch import Tensor


@mutant("variance", "value")
def unbiased(x: Tensor) -> Tensor:
    """Divides by d - 1, without a declaration."""
    return two_passes(x) * (x.shape[-1] / max(x.shape[-1] - 1, 1))


@mutant("variance", "value")
def over_the_batch(x: Tensor) -> Tensor:
    """Subtracts the mean of the column."""
    return (x - x.mean(0, keepdim=True)).square().mean(-1)


@mutant("variance", "not_negative")
@loses("variance", "value", "cancellation sub", float32={"x": [[4099.3, 4100.7, 4103.1]]})
@loses("variance", "digits_kept_at_an_offset", "cancellation sub", float32={"x": [[10000.0, 10003.0]]})
@loses(
    "variance", "value", "cancellation sub", float64={"x": [[1e8, 1e8 + 1.5, 1e8 + 7]]}, float16={"x": [[100.0, 103.0]]}
)
@reported("variance", "value", "cancels")
def of_squares(x: Tensor) -> Tensor:
    """mean(x^2) - mean(x)^2: cancels, below zero too."""
    mean = x.mean(-1)
    mean_square = (x * x).mean(-1)
    return mean_square - mean * mean  # here


@mutant("variance", "digits_kept_at_an_offset")
def updating(x: Tensor) -> Tensor:
    """Welford: exact about its running mean, which is rounded at every step."""
    mean, squares = torch.zeros_like(x[:, 0]), torch.zeros_like(x[:, 0])
    for k, entry in enumerate(x.unbind(-1), 1):
        delta = entry - mean
        mean = mean + delta / k
        squares = squares + delta * (entry - mean)
    return squares / x.shape[-1]


@mutant("variance", "shift_invariant")
def about_zero(x: Tensor) -> Tensor:
    """The mean is not taken off."""
    return x.square().mean(-1)


@mutant("variance", "doubling_quadruples", "constant_rows_vary_by_nothing")
def with_a_floor(x: Tensor) -> Tensor:
    """Adds an eps for later divisions."""
    return two_passes(x) + 1e-5


@mutant("variance", "value", dtype="bfloat16")
def about_a_narrow_mean(x: Tensor) -> Tensor:
    """The mean is rounded to the 16-bit format before it is taken off."""
    return (x.float() - x.mean(-1, keepdim=True).float()).square().mean(-1).to(x.dtype)


@mutant("variance", "gradient")
def half_detached(x: Tensor) -> Tensor:
    """One factor of the square is a constant to autograd."""
    centred = x - x.mean(-1, keepdim=True)
    return (centred * centred.detach()).mean(-1)


@mutant("variance", "infinite_entry", "value_on_extreme_numbers")
def clipped(x: Tensor) -> Tensor:
    """Infinities become the largest numbers whose squares are finite."""
    return two_passes(x.clamp(-1e15, 1e15))


@mutant("variance", "value_on_long_rows", dtype="float16")
def counted_in_the_dtype(x: Tensor) -> Tensor:
    """65,536 entries are infinitely many in float16."""
    count = torch.ones_like(x).sum(-1)
    return (x - x.mean(-1, keepdim=True)).square().sum(-1) / count
