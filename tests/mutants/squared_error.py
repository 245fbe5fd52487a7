"""Deliberately wrong implementations of the squared error."""

from mutants.mutant import Mutant
from torch import Tensor


def expanded_square(a: Tensor, b: Tensor) -> Tensor:
    """a^2 - 2ab + b^2: cancels below zero."""
    return (a * a - 2 * a * b + b * b).mean()


def broadcast_square(a: Tensor, b: Tensor) -> Tensor:
    """(n,1) against (n,)."""
    return ((a.unsqueeze(1) - b) ** 2).mean()


def one_sided_square(a: Tensor, b: Tensor) -> Tensor:
    """Only what is too large counts."""
    return ((a - b).clamp_min(0) ** 2).mean()


def detached_square(a: Tensor, b: Tensor) -> Tensor:
    """Half of the product rule is lost."""
    return ((a - b) * (a - b).detach()).mean()


MUTANTS = [
    Mutant(broadcast_square, "squared_error", "value"),
    Mutant(expanded_square, "squared_error", "not_negative"),
    Mutant(one_sided_square, "squared_error", "symmetric"),
    Mutant(detached_square, "squared_error", "gradient"),
]
