r"""Softmax over the last axis.

The bound is that of the max-shifted algorithm, :math:`|\hat p_i - p_i| \le p_i (e^{T_i} - 1)` and two subnormals, with
:math:`T_i = u (g_i + \ln k + 6) + (k - 1) u_a` and :math:`g_i = \max_j x_j - x_i`. It is derived in
:mod:`harness.contracts.building_blocks.softmax_function`, where the exact values are, too.
"""

import numpy as np
from torch import Tensor

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
    OVERFLOW,
    backward_amplified,
    exact_shift,
    softmax_absolute_bound,
    softmax_oracle,
    softmax_pullback,
)
from harness.contracts.building_blocks.usual_laws import finite
from harness.floats import Array, DoubleDouble, Measurement, compare, exact_sum, in_ulp, to_array
from harness.floats import double_double as dd
from harness.laws import Contract, Subject, implementation_laws, law, on_long_rows

# Laws


@law(
    "softmax(X) equals exp(x_i) / sum_j exp(x_j), entry by entry.",
    source=BHH,
    bound="p_i (e^T - 1) with T = u (g_i + ln k + 6) + (k - 1) u_a, and two subnormals",
    cause="a form that loses digits at large offsets, such as exp(x - logsumexp(x)); or the exponent is clipped",
    non_finite=OVERFLOW,
    group="value",
)
def value(softmax: Subject, logits: Tensor) -> Measurement:
    """Compare with the oracle."""
    expected = softmax_oracle(logits)
    bound = in_ulp(softmax_absolute_bound(logits, expected, softmax.format), expected, softmax.format)
    return compare(softmax(logits), expected, bound, softmax.format)


@law(
    "Each row of softmax(X) sums to one.",
    source="definition",
    bound="the sum over the row of the value's bound",
    cause="the normalisation runs over the wrong axis, or the exponentials and their sum are not the same ones",
    non_finite=OVERFLOW,
    group="algebra",
)
def rows_sum_to_one(softmax: Subject, logits: Tensor) -> Measurement:
    """Sum without rounding, so that the deviation is the implementation's own."""
    expected = softmax_oracle(logits)
    absolute = softmax_absolute_bound(logits, expected, softmax.format).sum(-1)
    one = dd.lift(np.ones(absolute.shape))
    actual = exact_sum(softmax(logits))
    return compare(actual.hi + actual.lo, one, in_ulp(absolute, one, softmax.format), softmax.format)


@law(
    "Every entry of softmax(X) is a number that is not negative.",
    source="definition",
    bound="none",
    cause="a probability is formed by a subtraction, which cancels below zero",
    non_finite=f"{OVERFLOW}; inf / inf is not a number",
    group="algebra",
)
def non_negative(softmax: Subject, logits: Tensor) -> Measurement:
    """Measure how far below zero an entry is."""
    actual = to_array(softmax(logits))
    expected = np.where(np.isnan(actual), 0.0, np.maximum(actual, 0.0))
    return compare(actual, expected, 0.0, softmax.format)


@law(
    "softmax(X) is finite wherever X is.",
    source="0 <= p <= 1",
    bound="none",
    cause=OVERFLOW,
    group="finite",
)
def finite_on_extreme_logits(softmax: Subject, logits: Tensor) -> Measurement:
    """Any finite value passes."""
    return finite(softmax(logits), softmax_oracle(logits), softmax.format)


@law(
    "Adding the same number to every logit of a row does not change its softmax.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="the value's bounds at both inputs",
    cause="the implementation depends on the offset: subtract the row maximum first",
    non_finite=OVERFLOW,
    group="algebra",
)
def shift_invariant(softmax: Subject, logits: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are compared with themselves."""
    shifted = exact_shift(logits)
    expected = softmax_oracle(logits)
    # Both outputs err, and the second one is taken for exact: the bound counts twice.
    absolute = 2.0 * softmax_absolute_bound(logits, expected, softmax.format)
    moved = to_array(softmax(shifted))
    reference = DoubleDouble(np.where(np.isfinite(moved), moved, expected.hi), np.zeros(moved.shape))
    return compare(softmax(logits), reference, in_ulp(absolute, expected, softmax.format), softmax.format)


@law(
    "A larger logit never gets a smaller probability.",
    source="monotonicity of exp",
    bound="none beyond the value's bound at both entries",
    cause="the exponent is clipped, or the output is not a softmax of its input",
    non_finite=OVERFLOW,
    group="algebra",
)
def order_preserving(softmax: Subject, logits: Tensor) -> Measurement:
    """Sort each row by its logits and compare neighbours."""
    expected = softmax_oracle(logits)
    order = np.argsort(to_array(logits), axis=-1, kind="stable")
    actual = np.take_along_axis(to_array(softmax(logits)), order, -1)
    absolute = np.take_along_axis(softmax_absolute_bound(logits, expected, softmax.format), order, -1)
    floor = np.maximum.accumulate(np.where(np.isnan(actual), 0.0, actual), -1)
    reference = np.where(np.isnan(actual), floor, np.maximum(actual, floor))
    limit = np.maximum.accumulate(absolute, -1) + absolute
    return compare(actual, reference, in_ulp(limit, dd.lift(reference), softmax.format), softmax.format)


@law(
    "The gradient of softmax(X) . v is p (v - p . v).",
    source="quotient rule; the bound is the value's carried through it",
    bound="A_i p_i (|v_i| + V) + p_i sum_j A_j p_j |v_j|, A_i = 2 (e^T - 1) + (k + 8) u, V = p . |v|; the maximum gets "
    "the sum of all",
    cause="the backward pass squares a sum of unshifted exponentials, which overflows at half of ln(max)",
    non_finite=OVERFLOW,
    group="gradient",
)
def gradient(softmax: Subject, logits: Tensor, cotangent: Tensor) -> Measurement:
    """Compare the gradient by autograd, in the case's own dtype, with the analytic one."""
    format_ = softmax.format
    expected = softmax_pullback(logits, cotangent)
    x, v = to_array(logits), np.abs(to_array(cotangent))
    probability = softmax_oracle(logits).hi
    weighted = backward_amplified(probability, x, format_)
    mean = (probability * v).sum(-1, keepdims=True)
    # The mean takes up the errors of all entries, each with its own gap.
    absolute = weighted * (v + mean) + probability * (weighted * v).sum(-1, keepdims=True)
    # Autograd sends the sum of all entries' errors through max() to the entries that attain it.
    at_maximum = x == x.max(-1, keepdims=True)
    absolute = absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True), 0.0)
    absolute = absolute + 4.0 * format_.smallest * (1.0 + v + v.max(-1, keepdims=True)) * x.shape[-1]
    actual = softmax.gradient((logits,), cotangent)
    return compare(actual, expected, in_ulp(absolute, expected, format_), format_)


# Special values


@law(
    "A logit of -inf has probability exactly zero, and the others are the softmax without it.",
    source="exp(-inf) = 0",
    bound="none where masked, the value's elsewhere",
    cause="0 * -inf, or a shift by a maximum that is itself masked, is NaN; a large negative constant is no -inf",
    group="special",
    inputs=masked_logits,
)
def masked_entries(softmax: Subject, logits: Tensor) -> Measurement:
    """Compare with the oracle, exactly where masked."""
    expected = softmax_oracle(logits)
    bound = in_ulp(softmax_absolute_bound(logits, expected, softmax.format), expected, softmax.format)
    return compare(softmax(logits), expected, np.where(np.isinf(to_array(logits)), 0.0, bound), softmax.format)


@law(
    "A row of nothing but -inf gives what the case declares: NaN, zeros, or the uniform distribution.",
    source="0 / 0 is left open: the convention `fully_masked`",
    bound="1/2 ulp",
    cause="the convention `fully_masked` is nan, zeros or uniform: declare the one that is meant",
    group="special",
    inputs=every_third_row(all_masked),
)
def fully_masked_row(softmax: Subject, logits: Tensor) -> Measurement:
    """Compare the masked rows with the policy."""
    policies = {"nan": np.nan, "zeros": 0.0, "uniform": 1.0 / logits.shape[-1]}
    return compare_policy(softmax, softmax(logits), np.isneginf(to_array(logits)).all(-1), policies, "fully_masked")


@law(
    "A row with one logit of +inf gives what the case declares: NaN, or all of the probability at that logit.",
    source="inf - inf is left open, its limit is not: the convention `infinite_logit`",
    bound="none",
    cause="the convention `infinite_logit` is nan or limit: declare the one that is meant",
    group="special",
    inputs=every_third_row(one_infinite),
)
def infinite_logit(softmax: Subject, logits: Tensor) -> Measurement:
    """Compare the rows that have one with the policy."""
    infinite = np.isposinf(to_array(logits))
    policies = {"nan": np.nan, "limit": infinite.astype(np.float64)}
    return compare_policy(softmax, softmax(logits), infinite.any(-1), policies, "infinite_logit")


def _total(softmax: Subject, terms: Array) -> tuple[float, float]:
    """The probability of the first is one over the sum."""
    logits, exact = logarithms(terms, softmax.format)
    return 1.0 / float(softmax(logits)[0, 0]), exact


# Contract

SOFTMAX = Contract(
    "softmax",
    signature="(logits[n,k]) -> [n,k]",
    summary="exp(x_i) / sum_j exp(x_j) along the last axis",
    domain=DOMAIN,
    inputs=logits_and_cotangents,
    laws=(
        value,
        rows_sum_to_one,
        non_negative,
        finite_on_extreme_logits,
        shift_invariant,
        order_preserving,
        gradient,
        masked_entries,
        gradient.on(
            masked_logits,
            "gradient_of_masked_rows",
            "Where some logits are -inf, their gradient is zero and that of the others as without them.",
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
