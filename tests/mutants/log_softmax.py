"""Deliberately wrong implementations of the log-softmax."""

from mutants.mutant import Mutant
from torch import Tensor


def log_of_epsilon(x: Tensor) -> Tensor:
    """log(p + 1e-8): floored at -18.42."""
    return (x.softmax(-1) + 1e-8).log()


def log_of_softmax(x: Tensor) -> Tensor:
    """-inf where the softmax underflows."""
    return x.softmax(-1).log()


def log_softmax_without_sum(x: Tensor) -> Tensor:
    """Relative to the mean instead of the logarithm of the sum: positive at the maximum."""
    return x - x.mean(-1, keepdim=True)


MUTANTS = [
    Mutant(log_of_epsilon, "log_softmax", "value"),
    Mutant(log_of_softmax, "log_softmax", "finite_on_extreme_logits"),
    Mutant(log_softmax_without_sum, "log_softmax", "not_positive"),
    Mutant(log_of_softmax, "log_softmax", "gradient"),
]
