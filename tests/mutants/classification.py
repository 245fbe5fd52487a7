"""Deliberately wrong implementations of one-hot encoding and accuracy."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def one_hot_from_one(labels: Tensor, k: int) -> Tensor:
    """Labels counted from one."""
    return torch.eye(k + 1, dtype=torch.int64)[labels + 1][:, :k]


def count_of_hits(scores: Tensor, labels: Tensor) -> Tensor:
    """The count instead of the share."""
    return (scores.argmax(-1) == labels).to(scores.dtype).sum()


def expected_accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """The probability of the label instead of a hit: the scores' values enter."""
    return scores.softmax(-1)[torch.arange(len(labels)), labels].mean()


MUTANTS = [
    Mutant(one_hot_from_one, "one_hot", "ones_at_the_labels"),
    Mutant(count_of_hits, "accuracy", "share_of_hits"),
    Mutant(expected_accuracy, "accuracy", "scale_does_not_matter"),
]
