r"""The logarithm of a sum of exponentials and the log-softmax: exact values, bounds, and difficult inputs.

In the notation of :mod:`harness.contracts.building_blocks.softmax_function`, the logsumexp is :math:`y = m + \ln S`
with :math:`m = \max_j x_j` and :math:`S = \sum_j e^{-g_j} \ge 1`. Each error of the shifted algorithm multiplies
:math:`S` by a factor:

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

from typing import Any

import numpy as np
from numpy.random import Generator
from torch import Tensor

from harness.contracts.building_blocks.softmax_function import Weighed, absolute_by_gap, gaps, sum_of_others
from harness.floats import (
    Array,
    DoubleDouble,
    Format,
    Measurement,
    Oracle,
    compare_absolute,
    elementwise,
    portable,
    to_array,
)
from harness.floats import double_double as dd
from harness.floats.oracle import exp, log
from harness.laws.strategies import Shape

# Oracles


def logsumexp_screen(_: dd.Elementary, x: Array) -> DoubleDouble:
    """``m + log1p(sum of the others)``, always in full double-double because the two terms may cancel.

    The relative error is ``2^-95 |m| / |y|``: a thousandth of an ulp of float64 while at most 30 bits cancel. If more
    bits cancel, the absolute bound of the law still exceeds the screen's error by forty bits.
    """
    maximum = x.max(-1)
    usable = np.isfinite(maximum)
    finite_x = np.where(usable[..., None], x, 0.0)
    y = dd.lift(finite_x.max(-1)) + dd.log1p(sum_of_others(dd.DOUBLE, dd.exp(gaps(finite_x)), finite_x)[..., 0])
    return DoubleDouble(np.where(usable, y.hi, maximum), np.where(usable, y.lo, 0.0))


def logsumexp_exact(x: Any) -> Any:
    """The definition, in ball arithmetic; an infinite maximum is the result."""
    maximum = x.max(-1)
    usable = elementwise("is_finite")(maximum).astype(bool)
    shift = np.where(usable, maximum, 0)
    return np.where(usable, shift + log(exp(x - shift[..., None]).sum(-1)), maximum)


def log_softmax_screen(elementary: dd.Elementary, x: Array) -> DoubleDouble:
    """``gap - log1p(sum of the others)``: two terms of the same sign."""
    gap = gaps(x)
    return gap - elementary.log1p(sum_of_others(elementary, elementary.exp(gap), x))


def log_softmax_exact(x: Any) -> Any:
    """The definition, in ball arithmetic."""
    shifted = x - x.max(-1, keepdims=True)
    return shifted - log(exp(shifted).sum(-1, keepdims=True))


logsumexp_oracle = Oracle(logsumexp_screen, logsumexp_exact)
log_softmax_oracle = Oracle(log_softmax_screen, log_softmax_exact)


# Bounds


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


def normalised(rng: Generator, shape: Shape, magnitude: Array, _: Format) -> Array:
    """Logarithms of probabilities, whose logsumexp is the rounding error of the logits."""
    x = portable.standard_normal(rng, shape) * np.minimum(magnitude, 64.0)
    return portable.log_softmax(x)


def dominated(rng: Generator, shape: Shape, magnitude: Array, format_: Format) -> Array:
    """One zero, and other entries so small that they vanish in a sum near one."""
    largest = np.minimum(magnitude, -format_.log_smallest)
    rows = -largest * (1.0 + rng.random(shape))
    rows[np.arange(shape.rows), rng.integers(shape.columns, size=shape.rows)] = 0.0
    return rows


def at_the_limits(rng: Generator, shape: Shape, _: Array, format_: Format) -> Array:
    """Rows in which each exponential, or their sum, is near the limits of the format's range or beyond."""
    ends = np.array([format_.log_max - portable.log(shape.columns), format_.log_smallest + 2.0])
    centre = rng.choice(ends, size=(shape.rows, 1)) + portable.standard_normal(rng, (shape.rows, 1))
    return np.asarray(centre + rng.random(shape))
