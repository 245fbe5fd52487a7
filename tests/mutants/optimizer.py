"""Deliberately wrong implementations of a step of gradient descent."""

from mutants.mutant import Mutant
from torch import Tensor


def ascent(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """The sign is wrong."""
    return parameter + lr * gradient


def decaying_sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """A weight decay nobody asked for."""
    return parameter - lr * (gradient + 1e-4 * parameter)


MUTANTS = [
    Mutant(ascent, "sgd", "value"),
    Mutant(decaying_sgd, "sgd", "zero_gradient_changes_nothing"),
]
