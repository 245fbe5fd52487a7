"""Log-softmax over the last axis.

The bound is that of ``(x_i - m) - ln sum_j exp(x_j - m)`` in the format itself: see :mod:`harness.contracts.softmax`
for ``g``, ``G`` and the error of the sum. It is absolute, of the order of ``u max(1, g)``: the usual form has no
relative accuracy near zero, where the dominating class's log-probability is the small difference of larger numbers.
"""

from typing import Any

import numpy as np
from torch import Tensor

from harness import double_double as dd
from harness.contracts.logits import AXES, DOMAIN, logits_and_cotangents
from harness.contracts.softmax import (
    BHH,
    backward_amplified,
    finite,
    gap_and_mean,
    gaps,
    softmax_exact,
    softmax_oracle,
    softmax_screen,
    sum_of_others,
)
from harness.double_double import Array, DoubleDouble
from harness.law import Contract, law
from harness.measurement import Measurement, compare, compare_absolute, in_ulp
from harness.oracle import Oracle, exp, log
from harness.precision import Format, to_array
from harness.subject import Subject

# Oracle


def log_softmax_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    """``gap - log1p(sum of the others)``: two terms of one sign."""
    gap = gaps(x)
    return gap - elementary.log1p(sum_of_others(elementary, elementary.exp(gap), x))


def log_softmax_exact(x: Any) -> Any:
    """The definition, in ball arithmetic."""
    shifted = x - x.max(-1, keepdims=True)
    return shifted - log(exp(shifted).sum(-1, keepdims=True))


def _log_pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    p = softmax_screen(elementary, x)
    return dd.lift(cotangent) - p * dd.total(dd.lift(cotangent), keepdims=True)


def _log_pullback_exact(x: Any, cotangent: Any) -> Any:
    return cotangent - softmax_exact(x) * cotangent.sum(-1, keepdims=True)


log_softmax_oracle = Oracle(log_softmax_screen, log_softmax_exact)
log_softmax_pullback = Oracle(_log_pullback_screen, _log_pullback_exact)


# Bound


def log_softmax_absolute_bound(logits: Tensor, expected: Array, format_: Format) -> Array:
    r""":math:`u (|y| + g + G + 3 + 2 \ln S) + (k - 1) u_a`: subtraction, storing, logarithm and sum."""
    x = to_array(logits)
    g, mean, log_total = gap_and_mean(x)
    in_u = np.abs(expected) + g + mean + 3.0 + 2.0 * log_total
    sum_error = np.expm1((x.shape[-1] - 1) * format_.u_accumulator + format_.u * (mean + 3.0))
    return np.asarray(format_.u * in_u * (1.0 + 2.0 * format_.u) + sum_error + format_.smallest)


# Laws


@law(
    "log_softmax(X) equals x_i - ln sum_j exp(x_j), entry by entry.",
    source=BHH,
    bound="u (|y| + g_i + G + 3 + 2 ln S) and the sum's error",
    cause="x - logsumexp(x) loses digits at large offsets, log(p) where p is subnormal: shift, then subtract",
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
    expected = log_softmax_oracle(logits)
    actual = to_array(log_softmax(logits))
    reference = np.where(np.isnan(actual), 0.0, np.minimum(actual, 0.0))
    absolute = log_softmax_absolute_bound(logits, expected.hi, log_softmax.format)
    return compare_absolute(actual, reference, absolute, log_softmax.format)


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


# Contract

LOG_SOFTMAX = Contract(
    "log_softmax",
    signature="(logits[n,k]) -> [n,k]",
    summary="x_i - ln sum_j exp(x_j) along the last axis",
    domain=DOMAIN,
    inputs=logits_and_cotangents,
    laws=(value, finite_on_extreme_logits, not_positive, gradient),
    axes=AXES,
    output=("n", "k"),
)
