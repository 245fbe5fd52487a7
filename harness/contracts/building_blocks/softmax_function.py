r"""The softmax family: shared oracles, exact gaps and bounds.

The bounds hold for the max-shifted algorithm in the format itself, operation by operation. With
:math:`g_i = \max_j x_j - x_i \ge 0`, :math:`p = \mathrm{softmax}(x)`, unit roundoff :math:`u`, accumulator roundoff
:math:`u_a` and an exponential and a logarithm that are accurate to one ulp (:math:`2u`):

* the subtraction errs by :math:`u g_i`, which the exponential turns into a relative error of :math:`u g_i`, and the
  exponential adds :math:`2u`;
* the sum's relative error is the :math:`p`-weighted mean of its terms' errors, :math:`u(G + 2)` with
  :math:`G = \sum_j p_j g_j \le \ln k`, plus :math:`(k - 1) u_a` for adding and :math:`u` for storing it;
* the division adds :math:`u`.

Together :math:`|\hat p_i - p_i| \le p_i \left(e^{T_i} - 1\right)` with
:math:`T_i = u (g_i + \ln k + 6) + (k - 1) u_a`, plus one smallest subnormal each for an exponential and a quotient
that underflow.

References
----------
P. Blanchard, D. J. Higham, N. J. Higham (2021), "Accurately computing the log-sum-exp and softmax functions",
IMA J. Numer. Anal. 41(4), 2311-2330: the algorithms with shifting. The constants above are
derived here.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from harness.floats import Array, DoubleDouble, Format, Oracle, to_array
from harness.floats import double_double as dd
from harness.floats.oracle import exp

BHH = "Blanchard, Higham & Higham (2021), algorithm with shifting"

OVERFLOW = (
    "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16; "
    "subtract the row maximum first"
)


# Oracles


def gaps(x: Array) -> DoubleDouble:
    """``x - max(x)`` along the last axis, exactly."""
    return dd.two_sum(x, -x.max(-1, keepdims=True))


def sum_of_others(elementary: dd.Elementary, exponentials: DoubleDouble, x: Array) -> DoubleDouble:
    """Sum the shifted exponentials of all entries except one maximum, so that ``1 + sum`` keeps tiny terms."""
    maximum = x.argmax(-1)[..., None]
    rest = DoubleDouble(exponentials.hi.copy(), exponentials.lo.copy())
    for part in rest.pair:
        # Zero, or NaN where the maximum is infinite.
        np.put_along_axis(part, maximum, values=0.0 * np.take_along_axis(part, maximum, -1), axis=-1)
    return elementary.sum_of_one_sign(rest)


def softmax_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    """``e / (1 + sum of the others)`` with exact gaps."""
    exponentials = elementary.exp(gaps(x))
    return elementary.quotient(exponentials, sum_of_others(elementary, exponentials, x) + 1.0)


def softmax_exact(x: Any) -> Any:
    """The definition, in ball arithmetic."""
    exponentials = exp(x - x.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def _pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    """Use weights relative to the maximum's, because ``v - p . v`` cancels where one probability is nearly one."""
    p = softmax_screen(elementary, x)
    relative = dd.two_sum(cotangent, -np.take_along_axis(cotangent, x.argmax(-1)[..., None], -1))
    return p * (relative - dd.total(p * relative, keepdims=True))


def _pullback_exact(x: Any, cotangent: Any) -> Any:
    p = softmax_exact(x)
    return p * (cotangent - (p * cotangent).sum(-1, keepdims=True))


softmax_oracle = Oracle(softmax_screen, softmax_exact)
softmax_pullback = Oracle(_pullback_screen, _pullback_exact)


# Bounds


class Weighed(NamedTuple):
    """Rows with their gaps to the largest entry, from which most bounds are computed."""

    g: Array
    """``g`` of the module's notes."""
    weights: Array
    """``exp(-g)``."""
    total: Array
    """Sums of the weights, with the last axis retained."""

    @classmethod
    def of(cls, x: Array) -> "Weighed":
        """Weigh rows, in float64."""
        g = gap(x)
        weights = np.exp(-g)
        return cls(g, weights, weights.sum(-1, keepdims=True))


def gap(x: Array) -> Array:
    """``g`` of the module's notes, in float64: the distance of each entry from the largest of its row."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(x.max(-1, keepdims=True) - x)


def softmax_relative_bound(x: Array, format_: Format) -> Array:
    """``e^T - 1``: the relative error of the shifted softmax before underflow, entry by entry."""
    return relative_by_gap(gap(x), format_)


def relative_by_gap(g: Array, format_: Format) -> Array:
    """``e^T - 1`` for rows with known gaps."""
    k = g.shape[-1]
    with np.errstate(over="ignore"):
        t = format_.u * (g + np.log(k) + 6.0) + (k - 1) * format_.u_accumulator
        return np.asarray(np.expm1(t * (1.0 + 2.0 * format_.u)))


def softmax_absolute_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the shifted softmax: the relative bound times the exact value, and two underflows."""
    return absolute_by_gap(gap(to_array(logits)), expected, format_)


def absolute_by_gap(g: Array, expected: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the shifted softmax for rows with known gaps."""
    with np.errstate(invalid="ignore"):
        relative = expected.hi * relative_by_gap(g, format_)
    # 0 * inf: the value has underflowed, and only the subnormals remain.
    return np.nan_to_num(relative, nan=0.0) + 2.0 * format_.smallest


def backward_amplified(probability: Array, x: Array, format_: Format) -> Array:
    """``A_i p_i`` with ``A_i = 2 (e^T - 1) + (k + 8) u``: the forward pass's errors, amplified by the backward pass.

    The factor two covers the probability's error, which enters directly and through the weighted mean. ``k u`` is for
    that mean's summation, and ``8 u`` for an autograd chain of at most eight operations.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        amplification = 2.0 * softmax_relative_bound(x, format_) + (x.shape[-1] + 8.0) * format_.u
        return np.asarray(np.nan_to_num(amplification * probability, nan=0.0))


def through_the_maximum(absolute: Array, x: Array) -> Array:
    """Add to the maxima of a row the sum of all errors, because autograd also sends the gradient through max()."""
    at_maximum = x == x.max(-1, keepdims=True)
    return np.asarray(absolute + np.where(at_maximum, absolute.sum(-1, keepdims=True), 0.0))


def softmax_gradient_bound(logits: Tensor, cotangent: Tensor, _: DoubleDouble, format_: Format) -> Array:
    """Absolute error of the gradient: ``A_i p_i (|v_i| + V) + p_i sum_j A_j p_j |v_j|`` with ``V = p . |v|``."""
    x, v = to_array(logits), np.abs(to_array(cotangent))
    probability = softmax_oracle(logits).hi
    weighted = backward_amplified(probability, x, format_)
    mean = (probability * v).sum(-1, keepdims=True)
    # The mean accumulates the errors of all entries, each with its gap.
    absolute = weighted * (v + mean) + probability * (weighted * v).sum(-1, keepdims=True)
    absolute = through_the_maximum(absolute, x)
    return np.asarray(absolute + 4.0 * format_.smallest * (1.0 + v + v.max(-1, keepdims=True)) * x.shape[-1])


# Inputs


def exact_shift(logits: Tensor) -> Tensor:
    """Return ``x - max(x)`` for rows where it is exact in the format, and ``x`` for other rows."""
    x = to_array(logits)
    gap = gaps(x)
    shifted = torch.from_numpy(gap.hi).to(logits.dtype)
    is_exact = ((to_array(shifted) == gap.hi) & (gap.lo == 0.0)).all(-1, keepdims=True)
    return torch.where(torch.from_numpy(is_exact), shifted, logits)
