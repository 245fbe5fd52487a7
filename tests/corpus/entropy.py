"""Deliberately wrong implementations of the entropy."""

import math

import torch
from corpus.specimen import loses, mutant, reported
from torch import Tensor


def _parts(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gaps, exponentials and their sum without one maximum."""
    maximum, at = x.max(-1, keepdim=True)
    gap = maximum - x
    e = (-gap).exp()
    return gap, e, e.scatter(-1, at, 0.0).sum(-1)


def _mean_gap(gap: Tensor, e: Tensor) -> Tensor:
    return (e * gap.where(e > 0, 0.0)).sum(-1) / e.sum(-1)


def sound(x: Tensor) -> Tensor:
    """Return the reference for the mutants."""
    gap, e, others = _parts(x)
    return others.log1p() + _mean_gap(gap, e)


@mutant("entropy", "digits_not_lost")
def log_of_the_sum(x: Tensor) -> Tensor:
    """ln(1 + R) without log1p: terms below u are lost, and only the mean gap remains."""
    gap, e, _ = _parts(x)
    return e.sum(-1).log() + _mean_gap(gap, e)


@mutant("entropy", "entropy_not_lost")
def difference_of_large_numbers(x: Tensor) -> Tensor:
    """logsumexp(x) - sum p x: both of the size of the logits."""
    p = x.softmax(-1)
    return (x.logsumexp(-1) - (p * x.nan_to_num(neginf=0.0)).sum(-1)).clamp_min(0.0)


@mutant("entropy", "not_negative")
def negative_difference(x: Tensor) -> Tensor:
    """The same, unclamped."""
    return x.logsumexp(-1) - (x.softmax(-1) * x).sum(-1)


@mutant("entropy", "at_most_ln_k")
def in_bits(x: Tensor) -> Tensor:
    """The base is two."""
    return sound(x) / math.log(2.0)


@mutant("entropy", "impossible_classes_are_ignored")
@loses("entropy", "impossible_classes_are_ignored", "invalid mul", float32={"logits": [[0.0, 1.0, -torch.inf]]})
@loses("entropy", "impossible_classes_are_ignored", "invalid mul", float64={"logits": [[0.0, -torch.inf]]})
@loses("entropy", "value", "invalid mul", float32={"logits": [[0.0, 200.0]]}, float64={"logits": [[0.0, 900.0]]})
@reported("entropy", "impossible_classes_are_ignored", "zero times infinity")
def zero_times_infinity(x: Tensor) -> Tensor:
    """The term p ln p where p has underflowed."""
    p = x.softmax(-1)
    return -(p * p.log()).sum(-1)  # here


@mutant("entropy", "value", "shift_invariant")
def offset_kept(x: Tensor) -> Tensor:
    """The form logits - logsumexp(logits): rounds at the size of the offset."""
    log_p = x - x.logsumexp(-1, keepdim=True)
    return -(log_p.exp() * log_p).sum(-1)


@mutant("entropy", "class_order_invariant")
def last_is_the_reference(x: Tensor) -> Tensor:
    """The last class is taken for the largest, as the reference class of a multinomial model."""
    reference = x[:, -1:]
    e = (x - reference).clamp_max(80.0).exp()
    others = e[:, :-1].sum(-1)
    return others.log1p() - (e * (x - reference)).sum(-1) / (1 + others)


@mutant("entropy", "gradient")
def detached_probabilities(x: Tensor) -> Tensor:
    """The probabilities are constants to autograd."""
    gap, e, others = _parts(x)
    return others.log1p() + _mean_gap(gap, e.detach())


@mutant("entropy", "gradient_of_masked_rows")
def masked_too_late(x: Tensor) -> Tensor:
    """Replaces 0 * inf in the value, but not in the backward pass."""
    gap, e, others = _parts(x)
    weighted = e * gap
    return others.log1p() + weighted.where(e > 0, 0.0).sum(-1) / e.sum(-1)


@mutant("entropy", "impossible_classes_are_ignored")
def impossible_by_a_constant(x: Tensor) -> Tensor:
    """-inf is taken for -10."""
    return sound(x.nan_to_num(neginf=-10.0))


@mutant("entropy", "fully_masked_row")
def nothing_is_certain(x: Tensor) -> Tensor:
    """Returns zero for a row of -inf, without a declaration."""
    return sound(x).where(~x.isneginf().all(-1), 0.0)


@mutant("entropy", "infinite_logit")
def infinity_is_certain(x: Tensor) -> Tensor:
    """Returns zero for a row with +inf, without a declaration."""
    return sound(x).where(~x.isposinf().any(-1), 0.0)


@mutant("entropy", "value_on_extreme_numbers")
def gap_overflows(x: Tensor) -> Tensor:
    """The largest gap is infinite, and zero times it is not a number."""
    gap, e, others = _parts(x)
    return others.log1p() + (e * gap).sum(-1) / e.sum(-1)


@mutant("entropy", "value_on_long_rows", dtype="float16")
def narrow_sum(x: Tensor) -> Tensor:
    """The sum is stored in float16, where 65,520 ones are infinite."""
    return sound(x)


@mutant("entropy", "finite_on_extreme_logits")
def promised_finite(x: Tensor) -> Tensor:
    """No shift before exp."""
    e = x.exp()
    p = e / e.sum(-1, keepdim=True)
    return torch.special.entr(p).sum(-1)
