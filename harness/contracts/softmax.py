r"""Softmax over the last axis.

The bound of the max-shifted algorithm is :math:`|\hat p_i - p_i| \le p_i (e^{T_i} - 1)` plus two subnormals, with
:math:`T_i = u (g_i + \ln k + 6) + (k - 1) u_a` and :math:`g_i = \max_j x_j - x_i`.
:mod:`harness.contracts.building_blocks.exponential_sums` derives it and has the exact values. The exponential of the
log-softmax has the bound with :math:`T_i = u (2 g_i + \ln S + 2) + E`, which is derived there, too. The value may err
by the larger of the two, and loses digits beyond the first.
"""

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks import exponential_sums as sums
from harness.contracts.building_blocks import logit_rows, usual_laws
from harness.contracts.building_blocks.usual_laws import Exact, within
from harness.floats import Array, DoubleDouble, Format, Measurement, compare, convert_to_ulp, dd, exact_sum, to_array
from harness.laws import Contract, Subject, law

# Laws

_VALUE = Exact(("logits",), sums.softmax_oracle, sums.softmax_typical_bound)

value = usual_laws.value(
    _VALUE,
    "softmax(X) equals exp(x_i) / sum_j exp(x_j), entry by entry.",
    source=sums.BHH,
    bound="p_i (e^T - 1) plus two subnormals, T = u (2 g_i + ln S + 2) + E, or the bound of digits_not_lost if larger",
    cause="the form loses digits at large offsets, such as exp(x - logsumexp(x)), or the exponent is clipped: "
    "subtract the row maximum, exponentiate, and divide by the sum",
    non_finite=sums.OVERFLOW,
)

digits_not_lost = usual_laws.value(
    Exact(("logits",), sums.softmax_oracle, sums.softmax_absolute_bound),
    "Small probabilities keep the digits that a quotient of exponentials keeps.",
    name="digits_not_lost",
    source=sums.BHH,
    bound="p_i (e^T - 1), T = u (g_i + ln k + 6) + (k - 1) u_a, plus two subnormals",
    cause="the exponential of a logarithm rounds the gap to the maximum twice: divide by the sum instead",
    non_finite=sums.OVERFLOW,
    inputs=logit_rows.logits_and_cotangents,
    examples=12,
    lost_digits="the exponential of the log-softmax is also acceptable, although it loses one bit of the gap",
)


@law(
    "Each row of softmax(X) sums to one.",
    source="definition",
    bound="the sum of the value's bound over the row",
    cause="the normalization runs over the wrong axis, or the sum is not that of the exponentials: divide by their "
    "sum over the last axis",
    non_finite=sums.OVERFLOW,
)
def rows_sum_to_one(softmax: Subject, logits: Tensor) -> Measurement:
    """Sum without rounding, so that the deviation is the implementation's."""
    absolute = sums.softmax_typical_bound(logits, sums.softmax_oracle(logits), softmax.format).sum(-1)
    actual = exact_sum(softmax(logits))
    return within(actual.hi + actual.lo, dd.lift(np.ones(absolute.shape)), absolute, softmax.format)


non_negative = usual_laws.one_sided(
    _VALUE,
    "non_negative",
    "No entry of softmax(X) is negative or NaN.",
    nearest=usual_laws.not_below_zero,
    source="definition",
    cause="a probability is computed as a difference, which cancels below zero: divide an exponential by the sum",
    non_finite=f"{sums.OVERFLOW}; inf / inf is NaN",
)

finite_on_extreme_logits = usual_laws.finite(
    _VALUE,
    "finite_on_extreme_logits",
    "softmax(X) is finite for all finite X.",
    source="0 <= p <= 1",
    cause=sums.OVERFLOW,
)


@law(
    "Adding the same number to every logit of a row does not change its softmax.",
    source="exp(x + c) = exp(x) exp(c)",
    bound="the value's bounds at both inputs",
    cause="the result depends on the offset: subtract the row maximum first",
    non_finite=sums.OVERFLOW,
)
def shift_invariant(softmax: Subject, logits: Tensor) -> Measurement:
    """Shift by the row's maximum where that is exact in the format; other rows are compared with themselves."""
    shifted = sums.exact_shift(logits)
    expected = sums.softmax_oracle(logits)
    # Both outputs err but the second one counts as exact, so the bound is doubled.
    absolute = 2.0 * sums.softmax_typical_bound(logits, expected, softmax.format)
    moved = to_array(softmax(shifted))
    reference = DoubleDouble(np.where(np.isfinite(moved), moved, expected.hi), np.zeros(moved.shape))
    return compare(softmax(logits), reference, convert_to_ulp(absolute, expected, softmax.format), softmax.format)


@law(
    "A larger logit never gives a smaller probability.",
    source="monotonicity of exp",
    bound="no tolerance beyond the value's bound at both entries",
    cause="the exponent is clipped, or the output is not a softmax of its input: exponentiate without a clip",
    non_finite=sums.OVERFLOW,
)
def order_preserving(softmax: Subject, logits: Tensor) -> Measurement:
    """Sort each row by its logits and compare neighbors."""
    expected = sums.softmax_oracle(logits)
    order = np.argsort(to_array(logits), axis=-1, kind="stable")
    actual = np.take_along_axis(to_array(softmax(logits)), order, -1)
    absolute = np.take_along_axis(sums.softmax_typical_bound(logits, expected, softmax.format), order, -1)
    floor = np.maximum.accumulate(np.where(np.isnan(actual), 0.0, actual), -1)
    reference = np.where(np.isnan(actual), floor, np.maximum(actual, floor))
    limit = np.maximum.accumulate(absolute, -1) + absolute
    return compare(actual, reference, convert_to_ulp(limit, dd.lift(reference), softmax.format), softmax.format)


def gradient_bound(logits: Tensor, cotangent: Tensor, _: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the gradient: ``A_i p_i (|v_i| + V) + p_i sum_j A_j p_j |v_j|`` with ``V = p . |v|``."""
    x, v = to_array(logits), np.abs(to_array(cotangent))
    probability = sums.softmax_oracle(logits).hi
    weighted = sums.backward_amplified(probability, x, format_)
    mean = (probability * v).sum(-1, keepdims=True)
    # The mean accumulates the errors of all entries, each with its gap.
    absolute = weighted * (v + mean) + probability * (weighted * v).sum(-1, keepdims=True)
    absolute = sums.through_the_maximum(absolute, x)
    return np.asarray(absolute + 4.0 * format_.smallest * (1.0 + v + v.max(-1, keepdims=True)) * x.shape[-1])


gradient = usual_laws.gradient(
    Exact(("logits", "cotangent"), sums.softmax_pullback, gradient_bound),
    "The gradient of softmax(X) . v is p (v - p . v).",
    source="quotient rule; the bound of the value, carried through it",
    bound="A_i p_i (|v_i| + V) + p_i sum_j A_j p_j |v_j|, A_i = 2 (e^T - 1) + (k + 8) u, V = p . |v|; the maximum "
    "gets the sum over all entries",
    cause="the backward pass squares a sum of unshifted exponentials, which overflows at half of ln(max): subtract "
    "the row maximum first",
    non_finite=sums.OVERFLOW,
)


# Special values


def _none_where_masked(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    return np.where(np.isinf(to_array(logits)), 0.0, sums.softmax_typical_bound(logits, expected, format_))


masked_entries = logit_rows.masked_entries_law(
    Exact(("logits",), sums.softmax_oracle, _none_where_masked),
    "A logit of -inf has probability exactly zero, and the other entries equal the softmax without it.",
    "exp(-inf) = 0",
)

gradient_of_masked_rows = logit_rows.of_masked_rows(gradient, logit_rows.masked_logits)

fully_masked_row = logit_rows.fully_masked_law(
    _VALUE,
    "A row of only -inf gives the declared result: NaN, zeros, or the uniform distribution.",
    lambda logits: {"nan": np.nan, "zeros": 0.0, "uniform": 1.0 / logits.shape[-1]},
)

infinite_logit = logit_rows.infinite_logit_law(
    _VALUE,
    "A row with one logit of +inf gives the declared result: NaN, or probability one at that logit.",
    lambda logits: {"nan": np.nan, "limit": np.isposinf(to_array(logits)).astype(np.float64)},
)


# Contract

SOFTMAX = Contract(
    "softmax",
    signature="(logits[n,k]) -> [n,k]",
    summary="exp(x_i) / sum_j exp(x_j) along the last axis",
    domain=logit_rows.DOMAIN,
    inputs=logit_rows.logits_and_cotangents,
    laws=(
        *usual_laws.defined_in(globals()),
        *logit_rows.of_every_operation(value, gradient, logit_rows.long_logits),
    ),
    axes=logit_rows.AXES,
    total=logit_rows.sum_of_exponentials(lambda softmax, logits: 1.0 / float(softmax(logits)[0, 0])),
    output=("n", "k"),
    conventions={"fully_masked": ("nan", "zeros", "uniform"), "infinite_logit": ("nan", "limit")},
)
