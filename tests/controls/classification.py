"""Sound implementations of one-hot encoding and accuracy, and inputs for their oracles."""

import torch
from controls.control import Control
from torch import Tensor


def one_hot(labels: Tensor, k: int) -> Tensor:
    """Compares with every class."""
    return (labels.unsqueeze(1) == torch.arange(k)).to(torch.int64)


def accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """Counts in integers, divides in float64, rounds once."""
    hits = int((scores.argmax(-1) == labels).sum())
    return scores.new_tensor(hits / len(labels))


CONTROLS = [Control("one_hot", one_hot, one_hot), Control("accuracy", accuracy, accuracy)]
"""The results are integers and one quotient: the careful implementation is also correctly rounded."""

ORACLES: dict[str, tuple[object, ...]] = {}
