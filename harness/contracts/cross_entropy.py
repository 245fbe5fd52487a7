r"""Cross-entropy of logits.

The loss of a row is :math:`\ln S + g_t` in the notation of
:mod:`harness.contracts.building_blocks.softmax_function`: a sum of two non-negative terms, so that a form built on
``log1p`` of the other classes' sum is accurate to a few ulp everywhere. The bound here is that of the usual form,
``-log_softmax(x)[t]``, which is absolute; what it loses near zero is a law of its own.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.contracts.building_blocks.labelled_logits import (
    groups_of_logits,
    loss_oracle,
    masked_at_label,
    masked_off_label,
    pick,
    single_rows,
)
from harness.contracts.building_blocks.log_domain import (
    compare_near,
    log_softmax_absolute_bound,
)
from harness.contracts.building_blocks.logits import (
    DOMAIN,
    LONG_ROWS,
    all_masked,
    compare_policy,
    every_third_row,
    extreme_logits,
    largest_logit,
    logarithms,
    long_logits,
    one_infinite,
)
from harness.contracts.building_blocks.reduction import reduced
from harness.contracts.building_blocks.softmax_function import (
    BHH,
    OVERFLOW,
    backward_amplified,
    exact_shift,
    softmax_exact,
    softmax_oracle,
    sum_of_others,
)
from harness.contracts.building_blocks.usual_laws import finite
from harness.floats import Array, DoubleDouble, Measurement, Oracle, compare, compare_absolute, in_ulp, to_arb, to_array
from harness.floats import double_double as dd
from harness.laws import Axes, Contract, Subject, implementation_laws, law, on_long_rows
from harness.laws.strategies import ONE_SEED

# Oracle


def _gradient_screen(elementary: dd.Elementary, x: Array, labels: Any, reduction: str) -> DoubleDouble:
    """``p_j`` off the target and minus the sum of the others on it, which ``p_t - 1`` would cancel away."""
    gap = dd.two_sum(x, -x.max(-1, keepdims=True))
    exponentials = elementary.exp(gap)
    p = elementary.quotient(exponentials, sum_of_others(elementary, exponentials, x) + 1.0)
    at_target = np.zeros(x.shape, dtype=bool)
    np.put_along_axis(at_target, labels[..., None], values=True, axis=-1)
    others = DoubleDouble(np.where(at_target, 0.0, p.hi), np.where(at_target, 0.0, p.lo))
    missing = -dd.total(others, keepdims=True)
    hi = np.where(at_target, np.broadcast_to(missing.hi, x.shape), p.hi)
    lo = np.where(at_target, np.broadcast_to(missing.lo, x.shape), p.lo)
    gradient = DoubleDouble(hi, lo)
    return gradient / float(x.shape[-2]) if reduction == "mean" else gradient


def _gradient_exact(x: Any, labels: Any, reduction: str) -> Any:
    one_hot = np.arange(x.shape[-1]) == labels[..., None]
    gradient = softmax_exact(x) - to_arb(one_hot.astype(np.float64))
    return gradient / x.shape[-2] if reduction == "mean" else gradient


gradient_oracle = Oracle(_gradient_screen, _gradient_exact)


# Bounds


def _loss_bound(loss: Subject, logits: Tensor, labels: Tensor) -> Array:
    """Absolute error of the loss: the rows' errors, reduced, and the reduction's own."""
    format_ = loss.format
    rows = loss_oracle(logits, labels, "none").hi
    every = log_softmax_absolute_bound(logits, _broadcast_loss(rows, logits), format_)
    row_bound = pick(every, labels.numpy())
    reduction = loss.declares["reduction"]
    if reduction == "none":
        return np.asarray(row_bound)
    n = logits.shape[-2]
    summing = ((n - 1) * format_.u_accumulator + 2.0 * format_.u) * rows.sum(-1)
    total = row_bound.sum(-1) * (1.0 + 4.0 * format_.u) + summing
    return np.asarray(total / n if reduction == "mean" else total) + format_.smallest


def _broadcast_loss(rows: Array, logits: Tensor) -> Array:
    return np.broadcast_to(rows[..., None], tuple(logits.shape))


# Laws


@law(
    "cross_entropy(X, t) equals the mean over the rows of ln sum_j exp(x_j) - x_t.",
    source=BHH,
    bound="mean of u (|y| + g_t + 2 ln S + 3) + D + (k - 1) u_a over the rows, and the error of that mean",
    cause="a clamp on the probability stops the loss, an epsilon bends it, a second softmax spoils it",
    non_finite="the label's probability underflows to zero, whose logarithm is -inf, or exp overflows: use log_softmax",
    group="value",
)
def value(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare with the oracle, in the reduction the case declares."""
    expected = loss_oracle(logits, labels, loss.declares["reduction"])
    return compare(
        loss(logits, labels), expected, in_ulp(_loss_bound(loss, logits, labels), expected, loss.format), loss.format
    )


@law(
    "cross_entropy(X, t) is finite wherever X is.",
    source="0 <= loss <= 2 max|x| + ln k",
    bound="none",
    cause=f"{OVERFLOW}; or the target's probability underflows to zero, whose logarithm is -inf",
    group="finite",
)
def finite_on_extreme_logits(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(loss(logits, labels), loss_oracle(logits, labels, loss.declares["reduction"]), loss.format)


@law(
    "cross_entropy(X, t) is not negative.",
    source="p <= 1",
    bound="the value's bound",
    unit="ulp of 1",
    cause="the logarithm of the sum is smaller than its largest term, or an epsilon is added to the probability",
    group="algebra",
)
def not_negative(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Measure how far below zero the loss is, against the value's bound."""
    actual = to_array(loss(logits, labels))
    reference = np.where(np.isnan(actual), 0.0, np.maximum(actual, 0.0))
    return compare_absolute(actual, reference, _loss_bound(loss, logits, labels), loss.format)


@law(
    "cross_entropy(X, t) is zero only where the exact loss rounds to zero.",
    source="loss >= ln(1 + exp(-gap)) > 0",
    bound="none",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the other classes' sum",
    group="value",
)
def loss_not_lost(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Measure ``inf`` where the loss is exactly zero and the truth is a normal number."""
    expected = loss_oracle(logits, labels, loss.declares["reduction"])
    actual = to_array(loss(logits, labels))
    lost = (actual == 0.0) & (expected.hi >= loss.format.tiny)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(actual.shape), actual, expected.hi)


@law(
    "The loss at the next label exceeds that at the label by the difference of their logits.",
    source="cross_entropy = logsumexp - logit, of which the logsumexp cancels",
    bound="the value's bounds at both labels",
    unit="ulp of 1",
    cause="softmax is applied twice, or an epsilon or a clamp bends the loss of unlikely classes",
    non_finite="the label's probability underflows to zero, whose logarithm is -inf, or exp overflows: use log_softmax",
    group="algebra",
)
def differs_by_the_logits(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Move every label on by one; the difference of the logits is summed without rounding."""
    following = (labels + 1) % logits.shape[-1]
    x = to_array(logits)
    difference = dd.two_sum(pick(x, labels.numpy()), -pick(x, following.numpy()))
    expected = reduced(difference, loss.declares["reduction"], dd.total) + to_array(loss(logits, labels))
    absolute = _loss_bound(loss, logits, labels) + _loss_bound(loss, logits, following)
    return compare_near(loss(logits, following), expected, absolute, loss.format)


@law(
    "Adding the same number to every logit of a row does not change the loss.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="twice the value's bound",
    unit="ulp of 1",
    cause="logsumexp(x) - x_t depends on the offset: subtract the row maximum first",
    non_finite=OVERFLOW,
    group="algebra",
)
def shift_invariant(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are left as they are."""
    return _compare_twice(loss, logits, labels, loss(exact_shift(logits), labels))


@law(
    "The order of the classes does not change the loss, as long as the labels follow.",
    source="a sum has no order",
    bound="twice the value's bound",
    unit="ulp of 1",
    cause="the columns are not treated alike: one is dropped, weighted, or taken for the maximum",
    non_finite=OVERFLOW,
    group="algebra",
)
def columns_in_any_order(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Reverse the columns, and count the labels from the other end."""
    return _compare_twice(loss, logits, labels, loss(logits.flip(-1), logits.shape[-1] - 1 - labels))


def _compare_twice(loss: Subject, logits: Tensor, labels: Tensor, other: Tensor) -> Measurement:
    """Compare with another output for the same loss: both err, so that the bound counts twice."""
    exact, values = loss_oracle(logits, labels, loss.declares["reduction"]).hi, to_array(other)
    reference = np.where(np.isnan(values), exact, values)
    return compare_absolute(loss(logits, labels), reference, 2.0 * _loss_bound(loss, logits, labels), loss.format)


@law(
    "The gradient of cross_entropy is (softmax(X) - one_hot(t)) / n.",
    source="chain rule; the bound is the softmax's carried through it",
    bound="(A_i p_i + 6 u [i = t]) / n and, at the maximum, the sum of these; A_i = 2 (e^T - 1) + (k + 8) u",
    cause="a clamped probability has gradient zero where the truth is one",
    non_finite="an underflowed probability gives 0 * inf = NaN in the backward pass, although the value is finite",
    group="gradient",
)
def gradient(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    format_, reduction = loss.format, loss.declares["reduction"]
    expected = gradient_oracle(logits, labels, reduction)
    x = to_array(logits)
    at_target = np.arange(x.shape[-1]) == labels.numpy()[..., None]
    absolute = backward_amplified(softmax_oracle(logits).hi, x, format_) + 6.0 * format_.u * at_target
    at_maximum = x == x.max(-1, keepdims=True)
    absolute = absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True), 0.0)
    if reduction == "mean":
        absolute = absolute / x.shape[-2]
    absolute = absolute + 4.0 * format_.smallest * x.shape[-1]
    return compare(loss.gradient((logits, labels)), expected, in_ulp(absolute, expected, format_), format_)


# Special values


@law(
    "A label whose logit is -inf makes the loss +inf.",
    source="-ln 0 = +inf",
    bound="none",
    cause="the probability is clamped away from zero, or a large negative constant stands for -inf",
    group="special",
    inputs=masked_at_label,
)
def impossible_label(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Look at those rows, or at the groups that have one; the others are the business of other laws."""
    actual = to_array(loss(logits, labels))
    impossible = np.isneginf(pick(to_array(logits), labels.numpy()))
    possible = np.isfinite(to_array(logits).max(-1))
    chosen = impossible & possible
    if loss.declares["reduction"] != "none":
        # A row of nothing but -inf has a policy, which decides its group.
        chosen = chosen.any(-1) & possible.all(-1)
    return compare(actual, np.where(chosen, np.inf, actual), 0.0, loss.format)


@law(
    "A row of nothing but -inf gives what the case declares: NaN, or the loss of zeros or of the uniform distribution.",
    source="0 / 0 is left open: the convention `fully_masked`",
    bound="1/2 ulp",
    cause="the convention `fully_masked` is nan, zeros (+inf) or uniform (ln k): declare the one that is meant",
    group="special",
    inputs=single_rows(every_third_row(all_masked)),
)
def fully_masked_row(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare the masked rows with the policy; each is a batch of its own."""
    policies = {"nan": np.nan, "zeros": np.inf, "uniform": np.log(float(logits.shape[-1]))}
    rows = np.isneginf(to_array(logits)).all((-2, -1))
    return compare_policy(loss, loss(logits, labels), rows, policies, "fully_masked")


@law(
    "A row with one logit of +inf gives what the case declares: NaN, or zero if it is the label's and +inf if not.",
    source="inf - inf is left open, its limit is not: the convention `infinite_logit`",
    bound="none",
    cause="the convention `infinite_logit` is nan or limit: declare the one that is meant",
    group="special",
    inputs=single_rows(every_third_row(one_infinite)),
)
def infinite_logit(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare the rows that have one with the policy; each is a batch of its own."""
    infinite = np.isposinf(to_array(logits))
    limit = np.where(pick(infinite, labels.numpy()).any(-1), 0.0, np.inf)
    actual = loss(logits, labels)
    policies = {"nan": np.nan, "limit": limit.reshape((-1,) + (1,) * (actual.ndim - 1))}
    return compare_policy(loss, actual, infinite.any((-2, -1)), policies, "infinite_logit")


def _total(loss: Subject, terms: Array) -> tuple[float, float]:
    """The loss of the first class is the logarithm of the sum."""
    logits, exact = logarithms(terms, loss.format)
    return float(np.exp(float(loss(logits[None], torch.zeros(1, 1, dtype=torch.int64)).reshape(())))), exact


# Contract

CROSS_ENTROPY = Contract(
    "cross_entropy",
    signature="(logits[n,k], labels[n]) -> []",
    summary="mean over the rows of ln sum_j exp(x_j) - x_t",
    domain=DOMAIN,
    inputs=groups_of_logits,
    laws=(
        value,
        finite_on_extreme_logits,
        not_negative,
        loss_not_lost,
        differs_by_the_logits,
        shift_invariant,
        columns_in_any_order,
        gradient,
        value.on(
            masked_off_label,
            "masked_classes_ignored",
            "A logit of -inf that is not the label's adds nothing: the loss is that of the other classes.",
            cause="0 * -inf is NaN, or a large negative constant stands for -inf",
            group="special",
        ),
        gradient.on(
            masked_off_label,
            "gradient_of_masked_rows",
            "Where some logits are -inf, their gradient is zero and that of the others as without them.",
        ),
        impossible_label,
        fully_masked_row,
        infinite_logit,
        value.on(
            single_rows(extreme_logits),
            "value_on_extreme_numbers",
            "The value is right for the largest and the smallest finite numbers too, and for both zeros.",
            group="special",
        ),
        on_long_rows(value, single_rows(long_logits, ONE_SEED), cause=LONG_ROWS),
        *implementation_laws(value, rows=False),
    ),
    axes={"logits": Axes(("g", "n", "k"), largest=largest_logit), "labels": Axes(("g", "n"), index_of="k")},
    output=(),
    total=_total,
    conventions={
        "reduction": ("mean", "sum", "none"),
        "fully_masked": ("nan", "zeros", "uniform"),
        "infinite_logit": ("nan", "limit"),
    },
    grouped=True,
)
