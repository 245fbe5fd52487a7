"""Deliberately wrong implementations of the cross-entropy of logits."""

import torch
import torch.nn.functional as F
from mutants.mutant import Mutant
from torch import Tensor


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels]


def cross_entropy_by_log(x: Tensor, labels: Tensor) -> Tensor:
    """-log(softmax(x))[t]: inf from a gap of 104."""
    return _picked(x.softmax(-1).log(), labels).mean()


def cross_entropy_clamped(x: Tensor, labels: Tensor) -> Tensor:
    """Clamps the probability, like many homework answers: the loss stops at 16.118 with gradient zero."""
    return _picked(x.softmax(-1).clamp(1e-7, 1.0).log(), labels).mean()


def cross_entropy_twice(x: Tensor, labels: Tensor) -> Tensor:
    """Softmax applied twice."""
    return F.cross_entropy(x.softmax(-1), labels)


def cross_entropy_with_epsilon(x: Tensor, labels: Tensor) -> Tensor:
    """log(p + eps) is positive for p = 1."""
    return _picked((x.softmax(-1) + 1e-3).log(), labels).mean()


def cross_entropy_of_logsumexp(x: Tensor, labels: Tensor) -> Tensor:
    """logsumexp(x) - x_t: loses digits at large offsets."""
    return (x.logsumexp(-1) - x[torch.arange(len(labels)), labels]).mean()


def cross_entropy_padded(x: Tensor, labels: Tensor) -> Tensor:
    """The row is padded with its first class."""
    return F.cross_entropy(torch.cat([x, x[:, :1]], -1), labels)


def masked_by_a_constant(x: Tensor, labels: Tensor) -> Tensor:
    """-inf is taken for -20."""
    return F.cross_entropy(x.nan_to_num(neginf=-20.0), labels)


def with_an_entropy(x: Tensor, labels: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    return F.cross_entropy(x, labels) + 0 * torch.where(x.isneginf(), 0.0, x.softmax(-1) * x).sum()


def nothing_is_uniform(x: Tensor, labels: Tensor) -> Tensor:
    """Treats a fully masked row as the uniform distribution, without a declaration."""
    return F.cross_entropy(torch.where(x.isneginf().all(-1, keepdim=True), 0.0, x), labels)


def infinity_wins(x: Tensor, labels: Tensor) -> Tensor:
    """Returns the limit at +inf, without a declaration."""
    infinite = x.isposinf()
    return F.cross_entropy(torch.where(infinite.any(-1, keepdim=True), infinite.to(x.dtype).log(), x), labels)


def shifted_by_the_mean(x: Tensor, labels: Tensor) -> Tensor:
    """The mean of the largest numbers overflows itself."""
    return F.cross_entropy(x - x.mean(-1, keepdim=True), labels)


def divides_by_one_more(x: Tensor, labels: Tensor) -> Tensor:
    """The divisor of the mean is n + 1 from 64 rows on."""
    n = len(x)
    return F.cross_entropy(x, labels, reduction="sum") / (n + 1 if n >= 64 else n)


MUTANTS = [
    Mutant(divides_by_one_more, "cross_entropy", "value_on_many_rows"),
    Mutant(cross_entropy_twice, "cross_entropy", "differs_by_the_logits"),
    Mutant(cross_entropy_of_logsumexp, "cross_entropy", "shift_invariant"),
    Mutant(cross_entropy_padded, "cross_entropy", "columns_in_any_order"),
    Mutant(masked_by_a_constant, "cross_entropy", "masked_classes_ignored"),
    Mutant(with_an_entropy, "cross_entropy", "gradient_of_masked_rows"),
    Mutant(cross_entropy_clamped, "cross_entropy", "impossible_label"),
    Mutant(nothing_is_uniform, "cross_entropy", "fully_masked_row"),
    Mutant(infinity_wins, "cross_entropy", "infinite_logit"),
    Mutant(shifted_by_the_mean, "cross_entropy", "value_on_extreme_numbers"),
    Mutant(F.cross_entropy, "cross_entropy", "value_on_long_rows", dtype="float16"),
    Mutant(cross_entropy_twice, "cross_entropy", "value"),
    Mutant(cross_entropy_by_log, "cross_entropy", "finite_on_extreme_logits"),
    Mutant(cross_entropy_with_epsilon, "cross_entropy", "not_negative"),
    Mutant(F.cross_entropy, "cross_entropy", "loss_not_lost"),
    Mutant(cross_entropy_clamped, "cross_entropy", "gradient"),
]
