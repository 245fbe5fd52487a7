"""Wrong implementations of one-hot encoding and accuracy."""

import torch
from corpus.specimen import mutant
from torch import Tensor


@mutant("one_hot", "ones_at_the_labels")
def one_hot_from_one(labels: Tensor, k: int) -> Tensor:
    """Labels counted from one."""
    return torch.eye(k + 1, dtype=torch.int64)[labels + 1][:, :k]


@mutant("accuracy", "share_of_hits")
def count_of_hits(scores: Tensor, labels: Tensor) -> Tensor:
    """The count instead of the share."""
    return (scores.argmax(-1) == labels).to(scores.dtype).sum()


@mutant("accuracy", "scale_does_not_matter")
def expected_accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """The probability of the label instead of a hit: the scores' values enter."""
    return scores.softmax(-1)[torch.arange(len(labels)), labels].mean()


@mutant("accuracy", "order_does_not_matter")
def running_accuracy(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean of the first and the second half's accuracies, whatever their lengths."""
    hits = (scores.argmax(-1) == labels).to(scores.dtype)
    middle = max(1, len(hits) // 2)
    return (hits[:middle].mean() + (hits[middle:].mean() if len(hits) > middle else hits[:middle].mean())) / 2


@mutant("accuracy", "masked_scores")
def masked_by_multiplication(scores: Tensor, labels: Tensor) -> Tensor:
    """The label's score is picked by multiplication with a one-hot row."""
    picked = (scores * torch.nn.functional.one_hot(labels, scores.shape[-1])).sum(-1)
    return (picked == scores.amax(-1)).to(scores.dtype).mean()


@mutant("accuracy", "value_on_long_rows", dtype="bfloat16")
def counted_in_the_format(scores: Tensor, labels: Tensor) -> Tensor:
    """One hit after the other, in the dtype of the scores."""
    hits = (scores.argmax(-1) == labels).to(scores.dtype)
    count = scores.new_zeros(())
    for block in hits.split(4):
        count = count + block.sum()
    return count / len(hits)
