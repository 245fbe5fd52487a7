"""Deliberately wrong implementations of a step of gradient descent."""

from mutants.mutant import Mutant
from torch import Tensor


def ascent(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """The sign is wrong."""
    return parameter + lr * gradient


def decaying_sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """Adds a weight decay."""
    return parameter - lr * (gradient + 1e-4 * parameter)


def cautious_sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """A step that is not finite is skipped."""
    moved = parameter - lr * gradient
    return parameter.where(~moved.isfinite(), moved)


MUTANTS = [
    Mutant(cautious_sgd, "sgd", "value_on_special_numbers"),
    Mutant(ascent, "sgd", "value"),
    Mutant(decaying_sgd, "sgd", "zero_gradient_changes_nothing"),
]
