"""Deliberately wrong implementations of the normalization by the root mean square."""

import torch
from controls.layer_norm import EPS
from controls.rms_norm import scaled_rms_norm
from mutants.mutant import Mutant
from torch import Tensor
from torch.nn import functional as F


def textbook(x: Tensor) -> Tensor:
    """The definition: squares overflow."""
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt()


def eps_of_the_dtype(x: Tensor) -> Tensor:
    """The default of torch."""
    return F.rms_norm(x, x.shape[-1:])


def eps_outside(x: Tensor) -> Tensor:
    """Eps is added to the root."""
    return x / (x.square().mean(-1, keepdim=True).sqrt() + EPS)


def over_the_batch(x: Tensor) -> Tensor:
    """Mean squares of the columns."""
    return x / (x.square().mean(0, keepdim=True) + EPS).sqrt()


def by_deviation(x: Tensor) -> Tensor:
    """Divided by the standard deviation, which is less."""
    return x / ((x - x.mean(-1, keepdim=True)).square().mean(-1, keepdim=True) + EPS).sqrt()


def of_magnitudes(x: Tensor) -> Tensor:
    """Signs are lost."""
    return scaled_rms_norm(x.abs())


def without_root(x: Tensor) -> Tensor:
    """Divided by the mean square."""
    return x / (x.square().mean(-1, keepdim=True) + EPS)


def eps_rounded_away(x: Tensor) -> Tensor:
    """1e-8 is zero in float16."""
    return x / (x.square().mean(-1, keepdim=True) + 1e-8).sqrt()


def detached(x: Tensor) -> Tensor:
    """The divisor is a constant to autograd."""
    return x / (x.square().mean(-1, keepdim=True) + EPS).sqrt().detach()


def clipped(x: Tensor) -> Tensor:
    """Infinities become the largest numbers whose squares are finite."""
    return scaled_rms_norm(x.clamp(-1e18, 1e18))


def counted_in_the_dtype(x: Tensor) -> Tensor:
    """65,536 entries are infinitely many in float16."""
    count = torch.ones_like(x).sum(-1, keepdim=True)
    return x / ((x * x / count).sum(-1, keepdim=True) + EPS).sqrt()


def by_the_reciprocal_root(x: Tensor) -> Tensor:
    """The derivative of the reciprocal root is its cube, which underflows."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS)


def norm_floored_too_high(x: Tensor) -> Tensor:
    """Limits the norm to at least 1e-6 in place of 1e-12."""
    return F.normalize(x, dim=-1, eps=1e-6) * x.shape[-1] ** 0.5


def floored_in_the_dtype(x: Tensor) -> Tensor:
    """1e-12 is zero in float16, and 0 / 0 is not a number."""
    return F.normalize(x, dim=-1) * x.shape[-1] ** 0.5


def detached_above_the_floor(x: Tensor) -> Tensor:
    """The norm is a constant to autograd."""
    return x / (x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5).detach().clamp(min=1e-8)


FLOORED = {"eps": 0.0, "norm_floor": 1e-12}

MUTANTS = [
    Mutant(norm_floored_too_high, "rms_norm", "value", declares=FLOORED),
    Mutant(floored_in_the_dtype, "rms_norm", "zeros_stay", dtype="float16", declares=FLOORED),
    Mutant(detached_above_the_floor, "rms_norm", "gradient", declares={"eps": 0.0, "floor": 1e-8}),
    Mutant(textbook, "rms_norm", "value", declares={"eps": 0.0}),
    Mutant(eps_of_the_dtype, "rms_norm", "value"),
    Mutant(eps_outside, "rms_norm", "value"),
    Mutant(over_the_batch, "rms_norm", "value"),
    Mutant(textbook, "rms_norm", "value", dtype="float16"),
    Mutant(by_deviation, "rms_norm", "mean_square_at_most_one"),
    Mutant(of_magnitudes, "rms_norm", "odd"),
    Mutant(without_root, "rms_norm", "doubling_at_most_doubles"),
    Mutant(eps_rounded_away, "rms_norm", "zeros_stay", dtype="float16", declares={"eps": 1e-8}),
    Mutant(detached, "rms_norm", "gradient"),
    Mutant(by_the_reciprocal_root, "rms_norm", "gradient_digits_not_lost"),
    Mutant(clipped, "rms_norm", "infinite_entry"),
    Mutant(textbook, "rms_norm", "value_on_extreme_numbers"),
    Mutant(counted_in_the_dtype, "rms_norm", "value_on_long_rows", dtype="float16"),
]
