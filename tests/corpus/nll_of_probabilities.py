"""Deliberately wrong implementations of the chapter's indexed loss."""

import torch
from corpus.specimen import loses, mutant
from torch import Tensor


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels]


@mutant("nll_of_probabilities", "value")
def nll_with_epsilon(p: Tensor, labels: Tensor) -> Tensor:
    """An epsilon in the logarithm."""
    return _picked((p + 1e-8).log(), labels)


@mutant("nll_of_probabilities", "certain_and_impossible", "gradient")
def nll_clamped(p: Tensor, labels: Tensor) -> Tensor:
    """A clamp: gradient zero below it."""
    return _picked(p.clamp_min(1e-7).log(), labels)


@mutant("nll_of_probabilities", "value", declares={"reduction": "mean"})
def nll_summed(p: Tensor, labels: Tensor) -> Tensor:
    """Returns the sum in place of the mean."""
    return _picked(p.log(), labels).sum()


@mutant("nll_of_probabilities", "gradient", declares={"reduction": "mean"})
def nll_with_another_divisor(p: Tensor, labels: Tensor) -> Tensor:
    """The backward pass divides by one row more."""
    loss = _picked(p.log(), labels)
    return loss.mean().detach() + (loss - loss.detach()).sum() / (len(loss) + 1)


@loses("nll_of_probabilities", "value", "none", float32={"probabilities": [[[0.001, 0.999]]], "labels": [[0]]})
def nll_with_an_eps(p: Tensor, y: Tensor) -> Tensor:
    """Computes a slightly different function."""
    return -torch.log(p[torch.arange(len(y)), y] + 1e-4)
