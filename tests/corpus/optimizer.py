"""Deliberately wrong implementations of a step of gradient descent."""

from corpus.specimen import mutant
from torch import Tensor


@mutant("sgd", "value")
def ascent(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """The sign is wrong."""
    return parameter + lr * gradient


@mutant("sgd", "zero_gradient_changes_nothing")
def decaying_sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """Adds a weight decay."""
    return parameter - lr * (gradient + 1e-4 * parameter)


@mutant("sgd", "value_on_special_numbers")
def cautious_sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """A step that is not finite is skipped."""
    moved = parameter - lr * gradient
    return parameter.where(~moved.isfinite(), moved)
