r"""Softmax over the last axis, and what the whole family shares: its exact gaps and its bounds.

The bounds are those of the max-shifted algorithm carried out in the format itself, operation by operation. With
:math:`g_i = \max_j x_j - x_i \ge 0`, :math:`p = \mathrm{softmax}(x)`, unit roundoff :math:`u`, accumulator roundoff
:math:`u_a` and an exponential and a logarithm that are accurate to one ulp (:math:`2u`):

* the subtraction errs by :math:`u g_i`, which the exponential turns into a relative error of :math:`u g_i`, and the
  exponential adds :math:`2u`;
* the sum's relative error is the :math:`p`-weighted mean of its terms', :math:`u(G + 2)` with
  :math:`G = \sum_j p_j g_j \le \ln k`, plus :math:`(k - 1) u_a` for adding and :math:`u` for storing it;
* the division adds :math:`u`.

Together :math:`|\hat p_i - p_i| \le p_i \left(e^{T_i} - 1\right)` with
:math:`T_i = u (g_i + \ln k + 6) + (k - 1) u_a`, plus one smallest subnormal for each of the exponential and the
quotient where they underflow.

References
----------
P. Blanchard, D. J. Higham, N. J. Higham (2021), "Accurately computing the log-sum-exp and softmax functions",
IMA J. Numer. Anal. 41(4), 2311-2330: the algorithms with shifting. The constants above are
derived here.
"""

from typing import Any

import numpy as np
import torch
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
from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, compare, exact_sum, in_ulp, to_array
from harness.floats import double_double as dd
from harness.floats.oracle import exp
from harness.laws import Contract, Subject, implementation_laws, law, on_long_rows

BHH = "Blanchard, Higham & Higham (2021), algorithm with shifting"


# Oracle


def gaps(x: Array) -> DoubleDouble:
    """``x - max(x)`` along the last axis, exactly."""
    return dd.two_sum(x, -x.max(-1, keepdims=True))


def sum_of_others(elementary: dd.Elementary, exponentials: DoubleDouble, x: Array) -> DoubleDouble:
    """Sum of the shifted exponentials of all entries but one maximum, so that ``1 + sum`` keeps what is tiny."""
    maximum = x.argmax(-1)[..., None]
    others = DoubleDouble(exponentials.hi.copy(), exponentials.lo.copy())
    for part in others.pair:
        # Zero, or NaN where the maximum is infinite.
        np.put_along_axis(part, maximum, values=0.0 * np.take_along_axis(part, maximum, -1), axis=-1)
    return elementary.sum_of_one_sign(others)


def softmax_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    """``e / (1 + sum of the others)`` with exact gaps."""
    exponentials = elementary.exp(gaps(x))
    return elementary.quotient(exponentials, sum_of_others(elementary, exponentials, x) + 1.0)


def softmax_exact(x: Any) -> Any:
    """The definition, in ball arithmetic."""
    exponentials = exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def _pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    """Weights relative to the maximum's: ``v - p . v`` would cancel where one probability is nearly one."""
    p = softmax_screen(elementary, x)
    relative = dd.two_sum(cotangent, -np.take_along_axis(cotangent, x.argmax(-1)[..., None], -1))
    return p * (relative - dd.total(p * relative, keepdims=True))


def _pullback_exact(x: Any, cotangent: Any) -> Any:
    p = softmax_exact(x)
    return p * (cotangent - (p * cotangent).sum(-1, keepdims=True))


softmax_oracle = Oracle(softmax_screen, softmax_exact)
softmax_pullback = Oracle(_pullback_screen, _pullback_exact)


# Bounds


def gap_and_mean(x: Array) -> tuple[Array, Array, Array]:
    """``g``, ``G`` and ``ln sum(exp(-g))`` of the module's notes, in float64; the latter two keep the last axis."""
    with np.errstate(over="ignore", invalid="ignore"):
        g = x.max(-1, keepdims=True) - x
    weights = np.exp(-g)
    total = weights.sum(-1, keepdims=True)
    mean = (weights * np.where(weights > 0, g, 0.0)).sum(-1, keepdims=True) / total
    return g, mean, np.log(total)


def softmax_relative_bound(x: Array, format_: Format) -> Array:
    """``e^T - 1``: the relative error of the shifted softmax before underflow, entry by entry."""
    k = x.shape[-1]
    with np.errstate(over="ignore"):
        g = x.max(-1, keepdims=True) - x
        t = format_.u * (g + np.log(k) + 6.0) + (k - 1) * format_.u_accumulator
        return np.asarray(np.expm1(t * (1.0 + 2.0 * format_.u)))


def softmax_absolute_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the shifted softmax: the relative bound on the exact value, and two underflows."""
    with np.errstate(invalid="ignore"):
        relative = expected.hi * softmax_relative_bound(to_array(logits), format_)
    # 0 * inf: the value has underflowed altogether, and the subnormals below are all there is.
    return np.nan_to_num(relative, nan=0.0) + 2.0 * format_.smallest


def backward_amplified(probability: Array, x: Array, format_: Format) -> Array:
    """``A_i p_i`` with ``A_i = 2 (e^T - 1) + (k + 8) u``: what the backward pass makes of the forward pass's errors.

    The factor two stands for the probability's error entering once directly and once through the weighted mean,
    ``k u`` for that mean's summation, ``8 u`` for an autograd chain of at most eight operations.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        amplification = 2.0 * softmax_relative_bound(x, format_) + (x.shape[-1] + 8.0) * format_.u
        return np.asarray(np.nan_to_num(amplification * probability, nan=0.0))


# Laws

OVERFLOW = (
    "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16; "
    "subtract the row maximum first"
)


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


def finite(actual: Tensor, expected: DoubleDouble, format_: Format) -> Measurement:
    """Measure zero where the output is finite, ``inf`` where it is not."""
    values = to_array(actual)
    reference = DoubleDouble(np.where(np.isfinite(values), values, expected.hi), np.zeros(values.shape))
    return compare(values, reference, 0.0, format_)


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


def exact_shift(logits: Tensor) -> Tensor:
    """Return ``x - max(x)`` row by row where it is exact in the format, and ``x`` where it is not."""
    x = to_array(logits)
    gap = gaps(x)
    shifted = torch.from_numpy(gap.hi).to(logits.dtype)
    is_exact = ((to_array(shifted) == gap.hi) & (gap.lo == 0.0)).all(-1, keepdims=True)
    return torch.where(torch.from_numpy(is_exact), shifted, logits)


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
