r"""Log-softmax over the last axis.

The bound is that of ``(x_i - m) - ln sum_j exp(x_j - m)``, :math:`|\hat y_i - y_i| \le u (|y_i| + g_i) + E`: it is
derived in :mod:`harness.contracts.building_blocks.log_domain`, where the exact value is, too. The usual
form has no relative accuracy near zero, where the dominating class's log-probability is the small difference of larger
numbers; what it loses there altogether is a law of its own.
"""

from typing import Any

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks.log_domain import log_softmax_absolute_bound, log_softmax_oracle
from harness.contracts.building_blocks.logits import (
    AXES,
    DOMAIN,
    LONG_ROWS,
    all_masked,
    compare_policy,
    every_third_row,
    extreme_logits,
    logarithms,
    logits_and_cotangents,
    long_logits,
    masked_logits,
    one_infinite,
)
from harness.contracts.building_blocks.softmax_function import (
    BHH,
    backward_amplified,
    exact_shift,
    softmax_exact,
    softmax_oracle,
    softmax_screen,
)
from harness.contracts.building_blocks.usual_laws import finite
from harness.floats import Array, DoubleDouble, Measurement, Oracle, compare, compare_absolute, in_ulp, to_array
from harness.floats import double_double as dd
from harness.floats.oracle import exp
from harness.laws import Contract, Subject, implementation_laws, law, on_long_rows

# Oracle


def _log_pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    p = softmax_screen(elementary, x)
    return dd.lift(cotangent) - p * dd.total(dd.lift(cotangent), keepdims=True)


def _log_pullback_exact(x: Any, cotangent: Any) -> Any:
    return cotangent - softmax_exact(x) * cotangent.sum(-1, keepdims=True)


def _exponentials_sum(elementary: dd.Elementary, y: Array) -> DoubleDouble:
    return dd.total(elementary.exp(dd.lift(y)))


exponentials_sum = Oracle(_exponentials_sum, lambda y: np.asarray(exp(y).sum(-1), dtype=object))
log_softmax_pullback = Oracle(_log_pullback_screen, _log_pullback_exact)


# Bound


def _value_bound(log_softmax: Subject, logits: Tensor) -> Array:
    """The value's bound, where the oracle's value is not needed itself."""
    return log_softmax_absolute_bound(logits, log_softmax_oracle(logits).hi, log_softmax.format)


# Laws


@law(
    "log_softmax(X) equals x_i - ln sum_j exp(x_j), entry by entry.",
    source=BHH,
    bound="u (|y| + g_i + 2 ln S + 3) + D + (k - 1) u_a, with D = ln sum p_j exp(u g_j)",
    cause="x - logsumexp(x) loses digits at large offsets, log(p) where p is subnormal; an epsilon in the logarithm "
    "floors it: shift, then subtract",
    non_finite="the softmax underflows to zero, whose logarithm is -inf, or exp overflows: shift, stay in logarithms",
    group="value",
)
def value(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Compare with the oracle."""
    expected = log_softmax_oracle(logits)
    absolute = log_softmax_absolute_bound(logits, expected.hi, log_softmax.format)
    return compare(log_softmax(logits), expected, in_ulp(absolute, expected, log_softmax.format), log_softmax.format)


@law(
    "log_softmax(X) is finite wherever X is.",
    source="-2 max|x| - ln k <= y <= 0",
    bound="none",
    cause="the softmax underflows to zero and its logarithm is -inf, or exp overflows: shift and stay in logarithms",
    group="finite",
)
def finite_on_extreme_logits(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(log_softmax(logits), log_softmax_oracle(logits), log_softmax.format)


@law(
    "No entry of log_softmax(X) is positive.",
    source="p <= 1",
    bound="the value's bound",
    unit="ulp of 1",
    cause="the logarithm of the sum is smaller than the largest term: the sum or its shift lost it",
    group="algebra",
)
def not_positive(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Measure how far above zero an entry is."""
    actual = to_array(log_softmax(logits))
    reference = np.where(np.isnan(actual), 0.0, np.minimum(actual, 0.0))
    return compare_absolute(actual, reference, _value_bound(log_softmax, logits), log_softmax.format)


@law(
    "An entry of log_softmax(X) is zero only where the exact value rounds to zero.",
    source="-y = ln(1 + r) >= r / 2 > 0 for 0 < r <= 1",
    bound="none",
    cause="1 + exp(-gap) rounds to one from a gap of p ln 2 (16.6 in float32): use log1p of the other classes' sum",
    group="value",
)
def dominating_class_not_lost(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Measure ``inf`` where an entry is exactly zero and the truth is a normal number."""
    expected = log_softmax_oracle(logits)
    actual = to_array(log_softmax(logits))
    lost = (actual == 0.0) & (-expected.hi >= log_softmax.format.tiny)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(actual.shape), actual, expected.hi)


@law(
    "The exponentials of each row of log_softmax(X) sum to one.",
    source="they are probabilities",
    bound="sum over the row of p_i (exp(b_i) - 1), b_i being the value's bound",
    cause="the logarithm of the sum is that of another axis, or of other exponentials",
    non_finite="the softmax underflows to zero, whose logarithm is -inf, or exp overflows: shift, stay in logarithms",
    group="algebra",
)
def exponentials_sum_to_one(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Exponentiate and sum without rounding, so that the deviation is the implementation's own."""
    actual = exponentials_sum(log_softmax(logits))
    p, b = softmax_oracle(logits).hi, _value_bound(log_softmax, logits)
    with np.errstate(invalid="ignore", over="ignore"):
        absolute = np.where(p > 0.0, p * np.expm1(b), 0.0).sum(-1) + log_softmax.format.smallest
    one = dd.lift(np.ones(absolute.shape))
    return compare(actual.hi + actual.lo, one, in_ulp(absolute, one, log_softmax.format), log_softmax.format)


@law(
    "Adding the same number to every logit of a row does not change its log-softmax.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="twice the value's bound",
    unit="ulp of 1",
    cause="x - logsumexp(x) depends on the offset: subtract the row maximum first",
    non_finite="exp overflows: subtract the row maximum first",
    group="algebra",
)
def shift_invariant(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are compared with themselves."""
    return _compare_twice(log_softmax, logits, log_softmax(exact_shift(logits)))


@law(
    "Reversing the order of the columns reverses the log-softmax.",
    source="a sum has no order",
    bound="twice the value's bound",
    unit="ulp of 1",
    cause="the columns are not treated alike: one is dropped, weighted, or taken for the maximum",
    non_finite="the softmax underflows to zero, whose logarithm is -inf, or exp overflows: shift, stay in logarithms",
    group="algebra",
)
def columns_in_any_order(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Reverse the columns, and the output back."""
    return _compare_twice(log_softmax, logits, log_softmax(logits.flip(-1)).flip(-1))


def _compare_twice(log_softmax: Subject, logits: Tensor, other: Tensor) -> Measurement:
    """Compare with another output for the same rows: both err, so that the bound counts twice."""
    exact, values = log_softmax_oracle(logits).hi, to_array(other)
    absolute = 2.0 * log_softmax_absolute_bound(logits, exact, log_softmax.format)
    reference = np.where(np.isnan(values), exact, values)
    return compare_absolute(log_softmax(logits), reference, absolute, log_softmax.format)


@law(
    "The gradient of log_softmax(X) . v is v - p (sum of v).",
    source="chain rule; the bound is softmax's carried through it",
    bound="A_i p_i W + 6 u |v_i| and, at the maximum, the sum of these; A_i = 2 (e^T - 1) + (k + 8) u, W = sum |v|",
    cause="log before the shift: 0 * inf in the backward pass is NaN although the value is finite",
    group="gradient",
)
def gradient(log_softmax: Subject, logits: Tensor, cotangent: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    format_ = log_softmax.format
    expected = log_softmax_pullback(logits, cotangent)
    x, v = to_array(logits), np.abs(to_array(cotangent))
    weighted = backward_amplified(softmax_oracle(logits).hi, x, format_)
    absolute = weighted * v.sum(-1, keepdims=True) + 6.0 * format_.u * v
    at_maximum = x == x.max(-1, keepdims=True)
    absolute = absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True), 0.0)
    absolute = absolute + 4.0 * format_.smallest * (1.0 + v.sum(-1, keepdims=True))
    actual = log_softmax.gradient((logits,), cotangent)
    return compare(actual, expected, in_ulp(absolute, expected, format_), format_)


# Special values


@law(
    "A logit of -inf has the log-probability -inf, and the others are the log-softmax without it.",
    source="ln 0 = -inf",
    bound="none where masked, the value's elsewhere",
    cause="0 * -inf, or a shift by a maximum that is itself masked, is NaN; a large negative constant is no -inf",
    group="special",
    inputs=masked_logits,
)
def masked_entries(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Compare with the oracle, whose infinities are exact."""
    expected = log_softmax_oracle(logits)
    absolute = log_softmax_absolute_bound(logits, expected.hi, log_softmax.format)
    return compare(log_softmax(logits), expected, in_ulp(absolute, expected, log_softmax.format), log_softmax.format)


@law(
    "A row of nothing but -inf gives what the case declares: NaN, or the logarithms of zeros or of the uniform "
    "distribution.",
    source="0 / 0 is left open: the convention `fully_masked`",
    bound="1/2 ulp",
    cause="the convention `fully_masked` is nan, zeros or uniform: declare the one that is meant",
    group="special",
    inputs=every_third_row(all_masked),
)
def fully_masked_row(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Compare the masked rows with the policy."""
    policies = {"nan": np.nan, "zeros": -np.inf, "uniform": -np.log(float(logits.shape[-1]))}
    rows = np.isneginf(to_array(logits)).all(-1)
    return compare_policy(log_softmax, log_softmax(logits), rows, policies, "fully_masked")


@law(
    "A row with one logit of +inf gives what the case declares: NaN, or zero at that logit and -inf elsewhere.",
    source="inf - inf is left open, its limit is not: the convention `infinite_logit`",
    bound="none",
    cause="the convention `infinite_logit` is nan or limit: declare the one that is meant",
    group="special",
    inputs=every_third_row(one_infinite),
)
def infinite_logit(log_softmax: Subject, logits: Tensor) -> Measurement:
    """Compare the rows that have one with the policy."""
    infinite = np.isposinf(to_array(logits))
    policies = {"nan": np.nan, "limit": np.where(infinite, 0.0, -np.inf)}
    return compare_policy(log_softmax, log_softmax(logits), infinite.any(-1), policies, "infinite_logit")


def _total(log_softmax: Subject, terms: Array) -> tuple[float, float]:
    """The logarithm of the first probability is minus that of the sum."""
    logits, exact = logarithms(terms, log_softmax.format)
    return float(np.exp(-float(log_softmax(logits)[0, 0]))), exact


# Contract

LOG_SOFTMAX = Contract(
    "log_softmax",
    signature="(logits[n,k]) -> [n,k]",
    summary="x_i - ln sum_j exp(x_j) along the last axis",
    domain=DOMAIN,
    inputs=logits_and_cotangents,
    laws=(
        value,
        finite_on_extreme_logits,
        not_positive,
        dominating_class_not_lost,
        exponentials_sum_to_one,
        shift_invariant,
        columns_in_any_order,
        gradient,
        masked_entries,
        gradient.on(
            masked_logits,
            "gradient_of_masked_rows",
            "Where some logits are -inf, the gradient is that of the others, and the cotangent itself where masked.",
        ),
        fully_masked_row,
        infinite_logit,
        value.on(
            extreme_logits,
            "value_on_extreme_numbers",
            "The value is right for the largest and the smallest finite numbers too, and for both zeros.",
            group="special",
        ),
        on_long_rows(value, long_logits, cause=LONG_ROWS),
        *implementation_laws(value),
    ),
    axes=AXES,
    total=_total,
    output=("n", "k"),
    conventions={"fully_masked": ("nan", "zeros", "uniform"), "infinite_logit": ("nan", "limit")},
)
