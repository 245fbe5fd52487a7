r"""Sums of exponentials over rows: softmax, log-softmax and logsumexp with exact values, bounds and difficult inputs.

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

The logsumexp is :math:`y = m + \ln S` with :math:`m = \max_j x_j` and :math:`S = \sum_j e^{-g_j} \ge 1`. Each error
of the shifted algorithm multiplies :math:`S` by a factor:

* the subtraction turns a term into :math:`e^{-g_j (1 \pm u)}`, so that :math:`\ln S` moves by at most
  :math:`D = \ln \sum_j p_j e^{u g_j}`, about :math:`u G`;
* the exponential contributes :math:`2u`, adding :math:`(k - 1) u_a`, and storing the sum :math:`u`;
* exponentials below the smallest normal number err by a subnormal each, relative to :math:`S \ge 1`.

The logarithm adds :math:`2u \ln S` and the last addition :math:`u |y|`. The result is
:math:`|\hat y - y| \le u |y| + E` with :math:`E = 2u \ln S + D + 3u + (k - 1) u_a`. The bound is absolute, because
:math:`m` and :math:`\ln S` may have opposite signs and cancel. :math:`E` does not depend on :math:`|m|`.

The log-softmax's bound is the bound of ``(x_i - m) - ln sum_j exp(x_j - m)`` in the format itself: the first
subtraction errs by :math:`u g_i`, the logarithm of the sum by :math:`E`, the last subtraction by :math:`u |y|`. The
result is :math:`|\hat y_i - y_i| \le u (|y_i| + g_i) + E`, which is absolute and of the order of ``u max(1, g)``. A
softmax computed as its exponential has this as a relative error, plus :math:`2u`: :math:`u (2 g_i + \ln S + 2) + E`.
The gap enters twice; in the quotient it enters once.

References
----------
P. Blanchard, D. J. Higham, N. J. Higham (2021), "Accurately computing the log-sum-exp and softmax functions",
IMA J. Numer. Anal. 41(4), 2311-2330: the algorithms with shifting. The constants above are derived here.
"""

from typing import NamedTuple

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks.definition import Definition
from harness.contracts.building_blocks.usual_laws import replace_exact_rows
from harness.floats import Array, DoubleDouble, Format, Measurement, compare_absolute, dd, portable, to_array
from harness.laws.strategies import Shape

BHH = "Blanchard, Higham & Higham (2021), algorithm with shifting"

OVERFLOW = (
    "exp overflows above ln(max): 88.72 in float32 and bfloat16, 709.78 in float64, 11.09 in float16; "
    "subtract the row maximum first"
)


# Oracles


SOFTMAX = Definition("(x): softmax(x)")
LOGSUMEXP = Definition("(x): logsumexp(x) | log(sum(exp(x)))")
"""The second form has the right limits at infinities."""


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


def _pullback_screen(elementary: dd.Elementary, x: Array, cotangent: Array) -> DoubleDouble:
    """Use weights relative to the maximum's, because ``v - p . v`` cancels where one probability is nearly one."""
    p = softmax_screen(elementary, x)
    relative = dd.two_sum(cotangent, -np.take_along_axis(cotangent, x.argmax(-1)[..., None], -1))
    return p * (relative - dd.total(p * relative, keepdims=True))


softmax_oracle = SOFTMAX.oracle(softmax_screen)
softmax_pullback = Definition("(x): softmax(x)", by="x").oracle(_pullback_screen)


def logsumexp_screen(_: dd.Elementary, x: Array) -> DoubleDouble:
    """``m + log1p(sum of the others)``, always in full double-double because the two terms may cancel.

    The relative error is ``2^-95 |m| / |y|``: a thousandth of an ulp of float64 while at most 30 bits cancel. If more
    bits cancel, the absolute bound of the law still exceeds the screen's error by forty bits.
    """
    maximum = x.max(-1)
    usable = np.isfinite(maximum)
    finite_x = np.where(usable[..., None], x, 0.0)
    y = dd.lift(finite_x.max(-1)) + dd.log1p(sum_of_others(dd.DOUBLE, dd.exp(gaps(finite_x)), finite_x)[..., 0])
    return dd.select(usable, y, maximum)


def log_softmax_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    """``gap - log1p(sum of the others)``: two terms of the same sign."""
    gap = gaps(x)
    return gap - elementary.log1p(sum_of_others(elementary, elementary.exp(gap), x))


logsumexp_oracle = LOGSUMEXP.oracle(logsumexp_screen)
log_softmax_oracle = Definition("(x): log_softmax(x)").oracle(log_softmax_screen)


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
    return np.asarray(absolute + np.where(x == x.max(-1, keepdims=True), absolute.sum(-1, keepdims=True), 0.0))


def log_total_error(rows: Weighed, format_: Format) -> Array:
    """``E`` of the module's notes, for each row."""
    g, weights, total = rows
    stretched = weights * np.expm1(format_.u * np.where(weights > 0.0, g, 0.0))
    spread = np.log1p(stretched.sum(-1) / total[..., 0])
    subnormals = ((weights < format_.tiny) & np.isfinite(g)).sum(-1) * format_.smallest
    in_u = 3.0 * format_.u + (g.shape[-1] - 1) * format_.u_accumulator
    of_total = 2.0 * format_.u * np.log(total[..., 0])
    return np.asarray((of_total + in_u + spread) * (1.0 + 4.0 * format_.u) + subnormals)


def logsumexp_absolute_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """``u |y| + E``; zero where the exact value is infinite."""
    absolute = format_.u * np.abs(expected.hi) + log_total_error(Weighed.of(to_array(logits)), format_)
    return np.asarray(np.where(np.isfinite(expected.hi), absolute, 0.0))


def log_softmax_absolute_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """``u (|y| + g) + E``; zero where the exact value is infinite."""
    rows = Weighed.of(to_array(logits))
    differences = (format_.u * np.abs(expected.hi) + format_.u * rows.g) * (1.0 + 2.0 * format_.u)
    absolute = differences + log_total_error(rows, format_)[..., None]
    return np.asarray(np.where(np.isfinite(expected.hi), absolute, 0.0))


def softmax_typical_bound(logits: Tensor, expected: DoubleDouble, format_: Format) -> Array:
    """The larger error of two forms: the shifted softmax and the exponential of the log-softmax."""
    rows = Weighed.of(to_array(logits))
    shifted = absolute_by_gap(rows.g, expected, format_)
    with np.errstate(over="ignore", invalid="ignore"):
        in_u = format_.u * (2.0 * rows.g + np.log(rows.total) + 2.0)
        of_logarithm = in_u + log_total_error(rows, format_)[..., None]
        through_logarithm = expected.hi * np.expm1(of_logarithm * (1.0 + 4.0 * format_.u))
    return np.maximum(shifted, np.nan_to_num(through_logarithm, nan=0.0) + 2.0 * format_.smallest)


def compare_near(actual: Tensor, expected: DoubleDouble, absolute: Array, format_: Format) -> Measurement:
    """Compare with a value computed from other outputs and rounded once to float64; it may cancel to zero."""
    return compare_absolute(actual, expected.hi, absolute + 2.0**-53 * np.abs(expected.hi), format_)


# Inputs


def exact_shift(logits: Tensor) -> Tensor:
    """Return ``x - max(x)`` for rows where it is exact in the format, and ``x`` for other rows."""
    return replace_exact_rows(logits, gaps(to_array(logits)))


def normalised(rng: np.random.Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Logarithms of probabilities, whose logsumexp is the rounding error of the logits."""
    return portable.log_softmax(portable.standard_normal(rng, shape) * np.minimum(magnitude, 64.0))


def dominated(rng: np.random.Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """One zero, and other entries so small that they vanish in a sum near one."""
    rows = -np.minimum(magnitude, -format_.log_smallest) * (1.0 + rng.random(shape))
    rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = 0.0
    return rows


def at_the_limits(rng: np.random.Generator, shape: Shape, _: Array, format_: Format) -> Array:
    """Rows in which each exponential, or their sum, is near the limits of the format's range or beyond."""
    ends = np.array([format_.log_max - portable.log(shape.columns), format_.log_smallest + 2.0])
    centre = rng.choice(ends, size=(shape.rows, 1)) + portable.standard_normal(rng, (shape.rows, 1))
    return np.asarray(centre + rng.random(shape))
