"""Deliberately wrong implementations of the chapter's indexed loss."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels]


def nll_with_epsilon(p: Tensor, labels: Tensor) -> Tensor:
    """An epsilon in the logarithm."""
    return _picked((p + 1e-8).log(), labels)


def nll_clamped(p: Tensor, labels: Tensor) -> Tensor:
    """A clamp: gradient zero below it."""
    return _picked(p.clamp_min(1e-7).log(), labels)


def nll_summed(p: Tensor, labels: Tensor) -> Tensor:
    """Returns the sum in place of the mean."""
    return _picked(p.log(), labels).sum()


def nll_with_another_divisor(p: Tensor, labels: Tensor) -> Tensor:
    """The backward pass divides by one row more."""
    loss = _picked(p.log(), labels)
    return loss.mean().detach() + (loss - loss.detach()).sum() / (len(loss) + 1)


MUTANTS = [
    Mutant(nll_summed, "nll_of_probabilities", "value", declares={"reduction": "mean"}),
    Mutant(nll_with_another_divisor, "nll_of_probabilities", "gradient", declares={"reduction": "mean"}),
    Mutant(nll_with_epsilon, "nll_of_probabilities", "value"),
    Mutant(nll_clamped, "nll_of_probabilities", "certain_and_impossible"),
    Mutant(nll_clamped, "nll_of_probabilities", "gradient"),
]
