"""Deliberately wrong implementations of the normalization by the root mean square."""

import torch
from controls.layer_norm import EPS
from controls.rms_norm import scaled_rms_norm
from corpus.specimen import loses, mutant
from torch import Tensor
from torch.nn import functional as F

FLOORED = {"eps": 0.0, "norm_floor": 1e-12}


@mutant("rms_norm", "value", declares={"eps": 0.0})
@mutant("rms_norm", "value", dtype="float16")
@mutant("rms_norm", "value_on_extreme_numbers")
@loses("rms_norm", "value", "overflow pow", float32={"x": [[1e20, 2e20]]}, float16={"x": [[300.0, 301.0]]})
@loses("rms_norm", "value", "overflow pow", float64={"x": [[1e200, 2e200]]})
def textbook(x: Tensor) -> Tensor:
    """The definition: squares overflow."""
    squares = x**2  # here
    return x / (squares.mean(-1, keepdim=True) + 1e-5).sqrt()


@mutant("rms_norm", "value")
def eps_of_the_dtype(x: Tensor) -> Tensor:
    """The default of torch."""
    return F.rms_norm(x, x.shape[-1:])


@mutant("rms_norm", "value")
def eps_outside(x: Tensor) -> Tensor:
    """Eps is added to the root."""
    return x / (x.square().mean(-1, keepdim=True).sqrt() + EPS)


@mutant("rms_norm", "value")
def over_the_batch(x: Tensor) -> Tensor:
    """Mean squares of the columns."""
    return x / (x.square().mean(0, keepdim=True) + EPS).sqrt()


@mutant("rms_norm", "mean_square_at_most_one")
def by_deviation(x: Tensor) -> Tensor:
    """Divided by the standard deviation, which is less."""
    return x / ((x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True) + EPS).sqrt()


@mutant("rms_norm", "odd")
def of_magnitudes(x: Tensor) -> Tensor:
    """Signs are lost."""
    return scaled_rms_norm(x.abs())


@mutant("rms_norm", "doubling_at_most_doubles")
def without_root(x: Tensor) -> Tensor:
    """Divided by the mean square."""
    return x / (x.square().mean(-1, keepdim=True) + EPS)


@mutant("rms_norm", "zeros_stay", dtype="float16", declares={"eps": 1e-08})
@loses("rms_norm", "zeros_stay", "underflow add", declares={"eps": 1e-8}, float16={"x": [[0.0, 0.0]]})
def eps_rounded_away(x: Tensor) -> Tensor:
    """1e-8 is zero in float16."""
    mean_square = (x * x).mean(-1, keepdim=True) + 1e-8  # here
    return x / mean_square.sqrt()


@mutant("rms_norm", "gradient")
def detached(x: Tensor) -> Tensor:
    """The divisor is a constant to autograd."""
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt().detach()


@mutant("rms_norm", "infinite_entry")
def clipped(x: Tensor) -> Tensor:
    """Infinities become the largest numbers whose squares are finite."""
    return scaled_rms_norm(x.clamp(-1e18, 1e18))


@mutant("rms_norm", "value_on_long_rows", dtype="float16")
def counted_in_the_dtype(x: Tensor) -> Tensor:
    """65,536 entries are infinitely many in float16."""
    count = torch.ones_like(x).sum(-1, keepdim=True)
    return x / ((x * x / count).sum(-1, keepdim=True) + EPS).sqrt()


@mutant("rms_norm", "gradient_digits_not_lost")
def by_the_reciprocal_root(x: Tensor) -> Tensor:
    """The derivative of the reciprocal root is its cube, which underflows."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


@mutant("rms_norm", "value", declares=FLOORED)
def norm_floored_too_high(x: Tensor) -> Tensor:
    """Limits the norm to at least 1e-6 in place of 1e-12."""
    return F.normalize(x, dim=-1, eps=1e-6) * x.shape[-1] ** 0.5


@mutant("rms_norm", "zeros_stay", dtype="float16", declares=FLOORED)
def floored_in_the_dtype(x: Tensor) -> Tensor:
    """1e-12 is zero in float16, and 0 / 0 is not a number."""
    return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5


@mutant("rms_norm", "gradient", declares={"eps": 0.0, "floor": 1e-08})
def detached_above_the_floor(x: Tensor) -> Tensor:
    """The norm is a constant to autograd."""
    return x / (x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5).detach().clamp(min=1e-8)


@loses("rms_norm", "zeros_stay", "invalid div", float32={"x": [[0.0, 0.0]]}, float64={"x": [[0.0]]})
def rms_norm_without_eps(x: Tensor) -> Tensor:
    """0 / 0."""
    root = (x * x).mean(-1, keepdim=True).sqrt()
    return x / root  # here
