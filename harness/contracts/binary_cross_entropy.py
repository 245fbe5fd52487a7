r"""Binary cross-entropy of logits: :math:`\ln(1 + e^x) - x y`, meaned over the rows.

With :math:`w = |x| (1 - y)` where :math:`x \ge 0` and :math:`w = |x| y` elsewhere, :math:`z = e^{-|x|}`,
:math:`L = \ln(1 + z)` and :math:`s = \sigma(-|x|)`, the loss of a row is :math:`l = w + L`: two terms of one sign, so
that a few ulp are possible everywhere. In the notation and with the errors of
:mod:`harness.contracts.building_blocks.logistic_function`, where :math:`1 - y` is exact, as it is for
the targets drawn here:

* :math:`w + L` errs by :math:`u w + 2us + 2uL + ul = u (2l + L + 2s)`: the bound of ``digits_not_lost``;
* the usual forms cancel larger terms: :math:`(1 - y) x - \ln \sigma(x)` by
  :math:`u ((1-y) |x| + |\ln \sigma(x)| + 2L + 2s + l)`, :math:`\max(x, 0) - x y + L` by
  :math:`u (2 |x| + 2L + 2s + l)`; both are within :math:`u (2 |x| + 3L + 2s + l)`, the bound of ``value``;
* adding :math:`n` rows of one sign adds :math:`(n-1) u_a` relatively, storing the sum and dividing it :math:`u` each.

The derivative :math:`\sigma(x) - y` errs by :math:`2u (1 + \sigma(-x)) \sigma(x)` and the difference's rounding; by
autograd of the other forms it is a sum of :math:`[x \ge 0]`, :math:`y` or :math:`1 - y`, and :math:`s`, the last of
which errs by :math:`5us` (see there). Both are within :math:`u (2 [x \ge 0] + 2y + 6s + 3 |\sigma(x) - y|)`, of
which the last term is the difference, :math:`1/n`, and the product with it.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed.: the model of rounding, and summation.
The constants above are derived here.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks.binary_logits import (
    RAYS,
    every_third_infinite,
    extreme_groups,
    groups,
    long_groups,
    zero_groups,
)
from harness.contracts.building_blocks.logistic_function import (
    choose,
    sigma,
    sigmoid_exact,
    sigmoid_screen,
    softplus_exact,
    softplus_screen,
    tail,
)
from harness.contracts.building_blocks.logits import compare_policy
from harness.contracts.building_blocks.reduction import reduced
from harness.contracts.building_blocks.usual_laws import finite, not_lost
from harness.floats import Array, DoubleDouble, Measurement, Oracle, compare, in_ulp, to_array
from harness.floats import double_double as dd
from harness.laws import Axes, Contract, Subject, implementation_laws, law, on_long_rows

# Oracle


def _rows_screen(elementary: dd.Elementary, x: Array, y: Array) -> DoubleDouble:
    """``w + L``: nothing cancels."""
    weight = choose(np.asarray(x < 0), dd.lift(y), dd.two_sum(np.ones(y.shape), -y))
    return weight * np.abs(x) + softplus_screen(elementary, -np.abs(x))


def _loss_screen(elementary: dd.Elementary, logits: Array, targets: Array, reduction: str) -> DoubleDouble:
    loss: DoubleDouble = reduced(_rows_screen(elementary, logits, targets), reduction, dd.total)
    return loss


def _loss_exact(logits: Any, targets: Any, reduction: str) -> Any:
    return reduced(softplus_exact(logits) - logits * targets, reduction, lambda rows: rows.sum(-1))


def _slope_screen(x: Array, y: Array) -> DoubleDouble:
    """``sigma(x) - y`` as ``(1 - y) sigma(x) - y sigma(-x)``, in double-double whatever the format.

    Next to ``x = 0``, where ``y = 1/2`` cancels the rest, three terms of the series of ``sigma(x) - 1/2``. Where a
    float64 ``y`` is the rounded ``sigma(x)``, an absolute error of some ``2^-105`` is left, ``2^-50`` of the bound.
    """
    upper, lower = sigmoid_screen(dd.DOUBLE, x), sigmoid_screen(dd.DOUBLE, -x)
    difference = dd.two_sum(np.ones(y.shape), -y) * upper - lower * y
    near = np.abs(x) < 2.0**-25
    small = dd.lift(np.where(near, x, 0.0))
    square = small * small
    series = small * (dd.lift(np.full(x.shape, 0.25)) - square / 48.0 + square * square / 480.0)
    return choose(near, dd.two_sum(np.full(y.shape, 0.5), -y) + series, difference)


def _gradient_screen(_: dd.Elementary, logits: Array, targets: Array, reduction: str) -> DoubleDouble:
    slope = _slope_screen(logits, targets)
    return slope / float(logits.shape[-1]) if reduction == "mean" else slope


def _gradient_exact(logits: Any, targets: Any, reduction: str) -> Any:
    slope = sigmoid_exact(logits) - targets
    return slope / logits.shape[-1] if reduction == "mean" else slope


loss_oracle = Oracle(_loss_screen, _loss_exact)
gradient_oracle = Oracle(_gradient_screen, _gradient_exact)


# Bounds


def _usual_row_bound(x: Array, rows: Array, u: float) -> Array:
    """Absolute error of a row in the forms that cancel; the largest logits overflow if ``u`` does not come first."""
    return np.asarray(2.0 * u * np.abs(x) + u * (3.0 * tail(x) + 2.0 * sigma(-np.abs(x))) + u * rows)


def _accurate_row_bound(x: Array, rows: Array, u: float) -> Array:
    """Absolute error of a row in the form that does not."""
    return np.asarray(2.0 * u * rows + u * (tail(x) + 2.0 * sigma(-np.abs(x))))


RowBound = Callable[[Array, Array, float], Array]


def _loss_bound(loss: Subject, logits: Tensor, targets: Tensor, of_row: RowBound) -> Array:
    """Absolute error of the loss: the rows' errors, reduced, and the reduction's own."""
    format_, reduction, n = loss.format, loss.declares["reduction"], logits.shape[-1]
    rows = loss_oracle(logits, targets, "none").hi
    row_bound = of_row(to_array(logits), rows, format_.u * (1.0 + 4.0 * format_.u)) + 3.0 * format_.smallest
    if reduction == "none":
        return row_bound
    summing = (n - 1) * format_.u_accumulator + 2.0 * format_.u
    total = row_bound.sum(-1) * (1.0 + summing) + summing * (1.0 + summing) * rows.sum(-1)
    return np.asarray(total / n if reduction == "mean" else total) + format_.smallest


def _against_oracle(loss: Subject, logits: Tensor, targets: Tensor, of_row: RowBound) -> Measurement:
    expected = loss_oracle(logits, targets, loss.declares["reduction"])
    bound = in_ulp(_loss_bound(loss, logits, targets, of_row), expected, loss.format)
    return compare(loss(logits, targets), expected, bound, loss.format)


# Laws

SOURCE = "error analysis of one operation after the other"
WRONG_CLASS = "the probability is rounded to one or zero and its logarithm is -inf, or 0 * -inf: stay with logits"


@law(
    "binary_cross_entropy_with_logits(x, y) equals the mean of ln(1 + exp(x)) - x y.",
    source=SOURCE,
    bound="mean of u (2 |x| + 3 L + 2 s + l), and the sums' errors",
    cause="a clamp or an epsilon bends the loss of certain predictions, or the sigmoid is applied twice",
    non_finite=WRONG_CLASS,
    group="value",
)
def value(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare with the oracle, in the reduction the case declares."""
    return _against_oracle(loss, logits, targets, _usual_row_bound)


@law(
    "The loss keeps its digits however small it is.",
    source=SOURCE,
    bound="mean of u (2 l + L + 2 s), and the sums' errors",
    cause="terms of the size of x cancel: add |x| times the weight of the wrong class and log1p(exp(-|x|))",
    non_finite=WRONG_CLASS,
    group="value",
)
def digits_not_lost(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare with the oracle, within what the form that does not cancel reaches."""
    return _against_oracle(loss, logits, targets, _accurate_row_bound)


@law(
    "The loss is zero only where the exact loss is no normal number.",
    source="l >= ln(1 + exp(-|x|)) > 0",
    bound="none",
    cause="x - ln(1 + exp(x)) drops exp(-|x|) from |x| = p ln 2 (16.6 in float32): keep log1p(exp(-|x|)) apart",
    group="value",
)
def loss_not_lost(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Measure ``inf`` where the loss is exactly zero and the truth is a normal number."""
    return not_lost(loss(logits, targets), loss_oracle(logits, targets, loss.declares["reduction"]), loss.format)


@law(
    "The loss is finite wherever the logits are.",
    source="0 < l <= |x| + ln 2",
    bound="none",
    cause=WRONG_CLASS,
    group="finite",
)
def finite_on_extreme_logits(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(loss(logits, targets), loss_oracle(logits, targets, loss.declares["reduction"]), loss.format)


@law(
    "The loss is not negative.",
    source="a probability is at most one",
    bound="the value's bound",
    cause="an epsilon is added to the probability, or the sign of a term is wrong",
    group="algebra",
)
def not_negative(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Measure how far below zero the loss is."""
    actual = to_array(loss(logits, targets))
    reference = np.where(np.isnan(actual), 0.0, np.maximum(actual, 0.0))
    bound = in_ulp(_loss_bound(loss, logits, targets, _usual_row_bound), dd.lift(reference), loss.format)
    return compare(actual, reference, bound, loss.format)


@law(
    "Exchanging the classes, x for -x and y for 1 - y, does not change the loss.",
    source="sigma(-x) = 1 - sigma(x)",
    bound="twice the value's bound",
    cause="the two classes are treated differently: one logarithm is clamped, weighted or has an epsilon",
    non_finite=WRONG_CLASS,
    group="algebra",
)
def classes_exchange(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare the two ways to name the classes; ``1 - y`` is exact for the targets drawn."""
    exchanged = to_array(loss(-logits, 1.0 - targets))
    expected = dd.lift(np.where(np.isnan(exchanged), np.inf, exchanged))
    absolute = 2.0 * _loss_bound(loss, logits, targets, _usual_row_bound)
    return compare(loss(logits, targets), expected, in_ulp(absolute, expected, loss.format), loss.format)


@law(
    "The gradient in the logits is (sigmoid(x) - y) / n.",
    source="chain rule; the bound is that of the backward pass, one operation after the other",
    bound="u (2 [x >= 0] + 2 y + 6 s + 3 |sigma(x) - y|) / n, and subnormals",
    cause="a clamped probability has gradient zero beyond the clamp, where the truth is one",
    non_finite="0 * inf in the backward pass of a logarithm of zero: stay with logits",
    group="gradient",
)
def gradient(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    format_, reduction = loss.format, loss.declares["reduction"]
    expected = gradient_oracle(logits, targets, reduction)
    x, y = to_array(logits), to_array(targets)
    parts = (
        2.0 * (x >= 0) + 2.0 * y + 6.0 * sigma(-np.abs(x)) + 3.0 * np.abs(gradient_oracle(logits, targets, "none").hi)
    )
    absolute = format_.u * parts * (1.0 + 8.0 * format_.u) / (x.shape[-1] if reduction == "mean" else 1.0)
    absolute = absolute + 4.0 * format_.smallest
    return compare(loss.gradient((logits, targets)), expected, in_ulp(absolute, expected, format_), format_)


@law(
    "The gradient is zero only where the exact one is no normal number.",
    source="sigma(x) - y is nowhere zero for y = 0 and y = 1",
    bound="none",
    cause="sigmoid(x) - 1 is zero from x = p ln 2 (16.6 in float32): it is -sigmoid(-x)",
    group="gradient",
)
def gradient_not_lost(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Measure ``inf`` where learning stops and should not; targets between the classes are not looked at."""
    expected = gradient_oracle(logits, targets, loss.declares["reduction"])
    hard = np.isin(to_array(targets), (0.0, 1.0))
    looked_at = choose(hard, expected, dd.lift(np.zeros(hard.shape)))
    return not_lost(loss.gradient((logits, targets)), looked_at, loss.format)


@law(
    "Infinite logits on the right side, +inf for y = 1 and -inf for y = 0, give what the case declares: NaN, or zero.",
    source="0 * inf is left open, its limit is not: the convention `certain_and_right`",
    bound="none",
    cause="the convention `certain_and_right` is nan or zero: declare the one that is meant",
    group="special",
    inputs=every_third_infinite(1.0),
)
def certain_and_right(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare the groups of infinite logits with the policy."""
    policies = {"nan": np.nan, "zero": 0.0}
    chosen = (np.isinf(to_array(logits)) & (_wrong_weight(logits, targets) == 0.0)).all(-1)
    return compare_policy(loss, loss(logits, targets), chosen, policies, "certain_and_right")


def _wrong_weight(logits: Tensor, targets: Tensor) -> Array:
    """Target weight of the class that the logit speaks against."""
    return np.where(to_array(logits) < 0, to_array(targets), 1.0 - to_array(targets))


@law(
    "Infinite logits on the wrong side, +inf for y = 0 and -inf for y = 1, have an infinite loss.",
    source="ln(1 + e^x) - x y grows without bound",
    bound="none",
    cause="inf - inf: terms of the size of x are subtracted from each other",
    group="special",
    inputs=every_third_infinite(0.0),
)
def certain_and_wrong(loss: Subject, logits: Tensor, targets: Tensor) -> Measurement:
    """Compare the groups of infinite logits with infinity; the others are compared with themselves."""
    actual = to_array(loss(logits, targets))
    chosen = (np.isinf(to_array(logits)) & (_wrong_weight(logits, targets) > 0.0)).all(-1)
    chosen = chosen.reshape((-1,) + (1,) * (actual.ndim - 1))
    return compare(actual, np.where(chosen, np.inf, actual), 0.0, loss.format)


# Contract

BINARY_CROSS_ENTROPY = Contract(
    "binary_cross_entropy_with_logits",
    signature="(logits[n], targets[n]) -> []",
    summary="mean of ln(1 + exp(x)) - x y",
    domain="finite logits, |x| <= max / 64; 0 <= y <= 1 such that 1 - y is exact; infinities where a law says so",
    inputs=groups,
    laws=(
        value,
        digits_not_lost,
        loss_not_lost,
        finite_on_extreme_logits,
        not_negative,
        classes_exchange,
        gradient,
        gradient.on(
            zero_groups,
            "gradient_at_zero",
            "At both zeros and next to them the gradient is what it is in the limit, (1/2 - y) / n.",
            cause="the derivatives of |x| and max(x, 0) at the kink do not add up: choose the branch with where(x < 0)",
        ),
        gradient_not_lost,
        certain_and_right,
        certain_and_wrong,
        value.on(
            extreme_groups,
            "value_on_extreme_numbers",
            "The value is right for the largest and the smallest finite logits too, and for both zeros.",
            group="special",
        ),
        on_long_rows(
            value,
            long_groups,
            cause="a sum accumulated in the 16-bit format sticks at 2^p and overflows float16: accumulate in float32",
        ),
        *implementation_laws(value, rows=False),
    ),
    axes={"logits": Axes(("g", "n")), "targets": Axes(("g", "n"))},
    output=(),
    rays=RAYS,
    conventions={"reduction": ("mean", "sum", "none"), "certain_and_right": ("nan", "zero")},
    grouped=True,
)
