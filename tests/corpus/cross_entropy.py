"""Deliberately wrong implementations of the cross-entropy of logits."""

import torch
import torch.nn.functional as F
from corpus.specimen import loses, mutant, reported
from torch import Tensor


def _picked(log_p: Tensor, labels: Tensor) -> Tensor:
    return -log_p[torch.arange(len(labels)), labels]


@mutant("cross_entropy", "finite_on_extreme_logits")
@loses("cross_entropy", "value", "underflow softmax", float32={"logits": [[[0.0, 120.0]]], "labels": [[0]]})
@reported("cross_entropy", "finite_on_extreme_logits", "underflows")
def cross_entropy_by_log(x: Tensor, y: Tensor) -> Tensor:
    """-log(softmax(x))[t]: inf from a gap of 104."""
    p = x.softmax(-1)  # here
    return -torch.log(p[torch.arange(len(y)), y]).mean()


@mutant("cross_entropy", "impossible_label", "gradient")
@reported("cross_entropy", "gradient", "clamped probability")
def cross_entropy_clamped(x: Tensor, labels: Tensor) -> Tensor:
    """Clamps the probability, like many homework answers: the loss stops at 16.118 with gradient zero."""
    return _picked(x.softmax(-1).clamp(1e-7, 1.0).log(), labels).mean()


@mutant("cross_entropy", "differs_by_the_logits", "value")
@reported("cross_entropy", "value", "softmax is applied twice")
def cross_entropy_twice(x: Tensor, labels: Tensor) -> Tensor:
    """Softmax applied twice."""
    return F.cross_entropy(x.softmax(-1), labels)


@mutant("cross_entropy", "not_negative")
def cross_entropy_with_epsilon(x: Tensor, labels: Tensor) -> Tensor:
    """log(p + eps) is positive for p = 1."""
    return _picked((x.softmax(-1) + 1e-3).log(), labels).mean()


@mutant("cross_entropy", "shift_invariant")
def cross_entropy_of_logsumexp(x: Tensor, labels: Tensor) -> Tensor:
    """logsumexp(x) - x_t: loses digits at large offsets."""
    return (x.logsumexp(-1) - x[torch.arange(len(labels)), labels]).mean()


@mutant("cross_entropy", "columns_in_any_order")
def cross_entropy_padded(x: Tensor, labels: Tensor) -> Tensor:
    """The row is padded with its first class."""
    return F.cross_entropy(torch.cat([x, x[:, :1]], -1), labels)


@mutant("cross_entropy", "masked_classes_ignored")
def masked_by_a_constant(x: Tensor, labels: Tensor) -> Tensor:
    """-inf is taken for -20."""
    return F.cross_entropy(x.nan_to_num(neginf=-20.0), labels)


@mutant("cross_entropy", "gradient_of_masked_rows")
def with_an_entropy(x: Tensor, labels: Tensor) -> Tensor:
    """An entropy term of weight zero, masked after the fact: 0 * -inf in the backward pass."""
    return F.cross_entropy(x, labels) + 0 * torch.where(x.isneginf(), 0.0, x.softmax(-1) * x).sum()


@mutant("cross_entropy", "fully_masked_row")
def nothing_is_uniform(x: Tensor, labels: Tensor) -> Tensor:
    """Treats a fully masked row as the uniform distribution, without a declaration."""
    return F.cross_entropy(torch.where(x.isneginf().all(-1, keepdim=True), 0.0, x), labels)


@mutant("cross_entropy", "infinite_logit")
def infinity_wins(x: Tensor, labels: Tensor) -> Tensor:
    """Returns the limit at +inf, without a declaration."""
    infinite = x.isposinf()
    return F.cross_entropy(torch.where(infinite.any(-1, keepdim=True), infinite.to(x.dtype).log(), x), labels)


@mutant("cross_entropy", "value_on_extreme_numbers")
def shifted_by_the_mean(x: Tensor, labels: Tensor) -> Tensor:
    """The mean of the largest numbers overflows itself."""
    return F.cross_entropy(x - x.mean(-1, keepdim=True), labels)


@mutant("cross_entropy", "value_on_many_rows")
def divides_by_one_more(x: Tensor, labels: Tensor) -> Tensor:
    """The divisor of the mean is n + 1 from 64 rows on."""
    n = len(x)
    return F.cross_entropy(x, labels, reduction="sum") / (n + 1 if n >= 64 else n)


mutant("cross_entropy", "value_on_long_rows", dtype="float16")(F.cross_entropy)
mutant("cross_entropy", "loss_not_lost")(F.cross_entropy)


@loses("cross_entropy", "value", "overflow exp", float32={"logits": [[[90.0, 0.0]]], "labels": [[0]]})
@loses("cross_entropy", "gradient", "overflow exp", float64={"logits": [[[720.0, 0.0]]], "labels": [[0]]})
def unshifted_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """A logarithm of a sum of exponentials."""
    normaliser = torch.log(torch.sum(torch.exp(x), dim=1))  # here
    return (normaliser - x.gather(1, y[:, None])[:, 0]).mean()
