"""Deliberately wrong implementations of the softmax."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def naive_softmax(x: Tensor) -> Tensor:
    """Exp without the shift: overflows."""
    e = x.exp()
    return e / e.sum(-1, keepdim=True)


def division_free_softmax(x: Tensor) -> Tensor:
    """exp(x - logsumexp(x)): loses digits at large offsets."""
    return (x - x.logsumexp(-1, keepdim=True)).exp()


def softmax_over_rows(x: Tensor) -> Tensor:
    """The wrong axis."""
    return x.softmax(0)


def softmax_below_zero(x: Tensor) -> Tensor:
    """A probability formed by a subtraction."""
    return x.softmax(-1) - torch.finfo(x.dtype).eps


def clipped_softmax(x: Tensor) -> Tensor:
    """The exponent is clipped instead of shifted."""
    return x.clamp(-50, 50).softmax(-1)


def reversed_softmax(x: Tensor) -> Tensor:
    """A softmin."""
    return (-x).softmax(-1)


def detached_softmax(x: Tensor) -> Tensor:
    """The normaliser is a constant to autograd."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(-1, keepdim=True).detach()


MUTANTS = [
    Mutant(division_free_softmax, "softmax", "value"),
    Mutant(softmax_over_rows, "softmax", "rows_sum_to_one"),
    Mutant(softmax_below_zero, "softmax", "non_negative"),
    Mutant(naive_softmax, "softmax", "finite_on_extreme_logits"),
    Mutant(clipped_softmax, "softmax", "shift_invariant"),
    Mutant(reversed_softmax, "softmax", "order_preserving"),
    Mutant(detached_softmax, "softmax", "gradient"),
]
