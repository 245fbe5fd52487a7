r"""Cross-entropy of logits.

The loss of a row is :math:`\ln S + g_t` in the notation of :mod:`harness.contracts.building_blocks.exponential_sums`.
It is a sum of two non-negative terms, so a form with ``log1p`` of the other classes' sum is accurate to a few ulp
everywhere. The bound here holds for the usual form, ``-log_softmax(x)[t]``, and is absolute; a separate law covers its
loss of digits near zero.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import labelled_logits, logit_rows, usual_laws
from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.reduction import REDUCTIONS, averaged, oracle_of_slope, reduced
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, compare_absolute, dd, to_array
from harness.laws import Axes, Contract, Subject, derivative_laws, derive_long_rows, implementation_laws, law
from harness.laws.strategies import ONE_SEED

# Oracle


def _gradient_screen(elementary: dd.Elementary, x: Array, labels: Any) -> DoubleDouble:
    """``p_j`` off the target, and minus the sum of the others on it, where ``p_t - 1`` would cancel."""
    p, at_target = sums.softmax_screen(elementary, x), _one_hot(x, labels)
    return dd.select(at_target, -dd.total(dd.select(at_target, 0.0, p), keepdims=True), p)


def _one_hot(x: Any, labels: Any) -> NDArray[np.bool_]:
    return np.asarray(np.arange(x.shape[-1]) == labels[..., None])


gradient_oracle = oracle_of_slope(_gradient_screen, Definition(labelled_logits.LOSS, by="x").exact, axis=-2)


# Bounds


def _loss_bound(logits: Tensor, labels: Tensor, reduction: str, _: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the loss: the rows' errors, reduced, and the reduction's own."""
    rows = labelled_logits.loss_oracle(logits, labels, "none").hi
    losses = dd.lift(np.broadcast_to(rows[..., None], tuple(logits.shape)))
    bounds = sums.log_softmax_absolute_bound(logits, losses, format_)
    row_bound = labelled_logits.pick(bounds, labels.numpy())
    if reduction == "none":
        return np.asarray(row_bound)
    n = logits.shape[-2]
    summing = ((n - 1) * format_.u_accumulator + 2.0 * format_.u) * rows.sum(-1)
    total = row_bound.sum(-1) * (1.0 + 4.0 * format_.u) + summing
    return np.asarray(total / n if reduction == "mean" else total) + format_.smallest


def _gradient_bound(logits: Tensor, labels: Tensor, reduction: str, _: DoubleDouble, format_: Format) -> Array:
    """``(A_i p_i + 6 u [i = t]) / n``; the maximum gets the sum of these."""
    x = to_array(logits)
    at_target = _one_hot(x, labels.numpy())
    absolute = sums.backward_amplified(sums.softmax_oracle(logits).hi, x, format_) + 6.0 * format_.u * at_target
    absolute = averaged(sums.through_the_maximum(absolute, x), reduction, axis=-2)
    return np.asarray(absolute + 4.0 * format_.smallest * x.shape[-1])


# Laws

UNDERFLOW = (
    "the probability of the label underflows to zero, whose logarithm is -inf, or exp overflows: use log_softmax"
)

_VALUE = Exact(("logits", "labels"), labelled_logits.loss_oracle, _loss_bound, ("reduction",))

value = usual_laws.value(
    _VALUE,
    "cross_entropy(X, t) equals the mean over the rows of ln sum_j exp(x_j) - x_t.",
    source=sums.BHH,
    bound="mean of u (|y| + g_t + 2 ln S + 3) + D + (k - 1) u_a over the rows, plus the error of that mean",
    cause="logsumexp(x) - x_t loses the digits of x at a large offset, a clamp on the probability caps the loss, "
    "an epsilon changes it, or softmax is applied twice: subtract the row maximum, and use log_softmax",
    non_finite=UNDERFLOW,
)

finite_on_extreme_logits = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_logits",
    "cross_entropy(X, t) is finite for all finite X.",
    source="0 <= loss <= 2 max|x| + ln k",
    cause=f"{sums.OVERFLOW}; or the probability of the label underflows to zero, whose logarithm is -inf: "
    "use log_softmax",
)

not_negative = usual_laws.one_sided(
    _VALUE,
    "not_negative",
    "cross_entropy(X, t) is never negative.",
    nearest=usual_laws.not_below_zero,
    comparison=compare_absolute,
    source="p <= 1",
    cause="the logarithm of the sum is smaller than its largest term, or an epsilon is added to the probability: "
    "use log_softmax",
)

loss_not_lost = usual_laws.not_lost(
    _VALUE,
    "loss_not_lost",
    "cross_entropy(X, t) is zero only where the exact loss rounds to zero.",
    source="loss >= ln(1 + exp(-gap)) > 0",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the sum over the other "
    "classes",
)


@law(
    "Moving the label by one class changes the loss by the difference of the two logits.",
    source="cross_entropy = logsumexp - logit; the logsumexp cancels in the difference",
    bound="the value's bounds at both labels",
    unit="ulp of 1",
    cause="softmax is applied twice, or an epsilon or a clamp changes the loss of unlikely classes: use "
    "log_softmax of the logits",
    non_finite=UNDERFLOW,
)
def differs_by_the_logits(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Increase every label by one; the difference of the logits is summed without rounding."""
    following = (labels + 1) % logits.shape[-1]
    x = to_array(logits)
    difference = dd.two_sum(labelled_logits.pick(x, labels.numpy()), -labelled_logits.pick(x, following.numpy()))
    expected = reduced(difference, loss.declares["reduction"], dd.total) + to_array(loss(logits, labels))
    absolute = _VALUE.error_at(loss, logits, labels) + _VALUE.error_at(loss, logits, following)
    return sums.compare_near(loss(logits, following), expected, absolute, loss.format)


shift_invariant = usual_laws.unchanged(
    _VALUE,
    "shift_invariant",
    "Adding the same number to every logit of a row does not change the loss.",
    other=lambda loss, logits, labels: loss(sums.exact_shift(logits), labels),
    comparison=compare_absolute,
    source="exp(x + c) = exp(x) exp(c)",
    cause="logsumexp(x) - x_t depends on the offset: subtract the row maximum first",
    non_finite=sums.OVERFLOW,
)

columns_in_any_order = logit_rows.columns_law(
    _VALUE,
    "The order of the classes does not change the loss if the labels follow it.",
    lambda loss, logits, labels: loss(logits.flip(-1), logits.shape[-1] - 1 - labels),
    non_finite=sums.OVERFLOW,
)

gradient = usual_laws.gradient(
    Exact(("logits", "labels"), gradient_oracle, _gradient_bound, ("reduction",)),
    "The gradient of cross_entropy is (softmax(X) - one_hot(t)) / n.",
    source="chain rule; the bound of the softmax, carried through it",
    bound="(A_i p_i + 6 u [i = t]) / n and, at the maximum, their sum; A_i = 2 (e^T - 1) + (k + 8) u",
    cause="a clamped probability has gradient zero where the exact gradient is one: remove the clamp",
    non_finite="an underflowed probability gives 0 * inf = NaN in the backward pass although the value is finite: "
    "use log_softmax",
)

masked_classes_ignored = value.derive_special(
    labelled_logits.masked_off_label,
    "masked_classes_ignored",
    "A logit of -inf outside the label adds nothing: the loss equals that of the other classes.",
    cause="0 * -inf is NaN, or a large negative constant replaces -inf: use -inf, and avoid the product",
)


gradient_of_masked_rows = logit_rows.of_masked_rows(gradient, labelled_logits.masked_off_label)


# Special values


@law(
    "A label whose logit is -inf makes the loss +inf.",
    source="-ln 0 = +inf",
    cause="the probability is clamped away from zero, or a large negative constant replaces -inf: remove the "
    "clamp, and use -inf",
    group="special",
    inputs=labelled_logits.masked_at_label,
)
def impossible_label(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare the rows with an impossible label, or the groups that contain one."""
    impossible = np.isneginf(labelled_logits.pick(to_array(logits), labels.numpy()))
    possible = np.isfinite(to_array(logits).max(-1))
    chosen = impossible & possible
    if loss.declares["reduction"] == "none":
        actual = to_array(loss(logits, labels))
        return compare(actual, np.where(chosen, np.inf, actual), 0.0, loss.format)
    # The declared convention decides a group with a row of only -inf.
    return usual_laws.compare_rows(loss(logits, labels), chosen.any(-1) & possible.all(-1), np.inf, loss.format)


fully_masked_row = logit_rows.fully_masked_law(
    _VALUE,
    "A row of only -inf gives the declared result: NaN, or the loss of zeros or of the uniform distribution.",
    lambda logits, _: {"nan": np.nan, "zeros": np.inf, "uniform": np.log(float(logits.shape[-1]))},
    cause="`fully_masked` is a convention (nan; zeros, which gives +inf; or uniform, which gives ln k): declare "
    "the one you intend",
    inputs=labelled_logits.single_rows(logit_rows.every_third_row(logit_rows.all_masked)),
)


@law(
    "A row with one logit of +inf gives the declared result: NaN; zero at its label and +inf elsewhere; or "
    "logsumexp(x) - x_t, which is NaN at its label and +inf elsewhere.",
    source=logit_rows.LEFT_OPEN_AT_INFINITY,
    cause=logit_rows.OR_DIFFERENCE,
    group="special",
    inputs=labelled_logits.single_rows(logit_rows.every_third_row(logit_rows.one_infinite)),
)
def infinite_logit(loss: Subject, logits: Tensor, labels: Tensor) -> Measurement:
    """Compare the rows with an infinite logit with the declared convention; each is a batch."""
    infinite = np.isposinf(to_array(logits))
    actual = loss(logits, labels)
    at_label = labelled_logits.pick(infinite, labels.numpy()).any(-1).reshape((-1,) + (1,) * (actual.ndim - 1))
    policies = {
        "nan": np.nan,
        "limit": np.where(at_label, 0.0, np.inf),
        "difference": np.where(at_label, np.nan, np.inf),
    }
    return usual_laws.compare_policy(loss, actual, infinite.any((-2, -1)), policies, "infinite_logit")


# Contract

CROSS_ENTROPY = Contract(
    "cross_entropy",
    aliases=(
        "cross_entropy_with_logits",
        "softmax_cross_entropy",
        "softmax_cross_entropy_with_logits",
        "softmax_cross_entropy_with_integer_labels",
    ),
    signature="(logits[n,k], labels[n]) -> []",
    summary="mean over the rows of ln sum_j exp(x_j) - x_t",
    domain=logit_rows.DOMAIN,
    inputs=labelled_logits.groups_of_logits,
    laws=(
        *usual_laws.defined_in(globals()),
        usual_laws.on_extreme_numbers(value, labelled_logits.single_rows(logit_rows.extreme_logits)),
        derive_long_rows(
            value, labelled_logits.single_rows(logit_rows.long_logits, ONE_SEED), cause=logit_rows.LONG_ROWS
        ),
        value.derive(
            labelled_logits.many_rows,
            "value_on_many_rows",
            "The loss is right for more rows than a block holds or a 16-bit index counts.",
            group="length",
            cause="the count or the sum of the rows is kept in a 16-bit format or is off by one, or a loop or grid "
            "of blocks stops too early: accumulate in float32, and cover all rows",
            examples=len(labelled_logits.MANY_ROWS),
        ),
        *derivative_laws(gradient),
        *implementation_laws(value, rows=False),
    ),
    axes={"logits": Axes(("g", "n", "k"), largest=logit_rows.largest_logit), "labels": Axes(("g", "n"), index_of="k")},
    output=(),
    total=logit_rows.sum_of_exponentials(
        lambda loss, logits: np.exp(float(loss(logits[None], torch.zeros(1, 1, dtype=torch.int64)).reshape(())))
    ),
    conventions={
        **REDUCTIONS,
        "fully_masked": ("nan", "zeros", "uniform"),
        "infinite_logit": ("nan", "limit", "difference"),
    },
    grouped=True,
)
