"""Double-double arithmetic on arrays: the vectorized tier of the oracle.

A number is an unevaluated sum ``hi + lo`` of two float64 with ``|lo| <= ulp(hi) / 2``, which has about 106 bits. Every
operation below has a relative error of a few ``2^-104`` while nothing under- or overflows. Below about ``2^-969`` the
low part is subnormal, and the pair is only as accurate as float64; the ulp's subnormal floor absorbs the difference.

References
----------
T. J. Dekker (1971), "A floating-point technique for extending the available precision".
M. Joldes, J.-M. Muller, V. Popescu (2017), "Tight and rigorous error bounds for basic building blocks of
double-word arithmetic", ACM TOMS 44(2): AccurateDWPlusDW for addition, DWTimesDW1 for multiplication, and, with
the remainder formed by that addition, DWDivDW2 for division.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""An array of float64."""

Pair = tuple[Array, Array]

_SPLITTER = 134217729.0  # 2^27 + 1, Dekker
_LARGE = 2.0**996  # the splitter overflows for larger numbers


@dataclass(frozen=True, slots=True)
class DoubleDouble:
    """An array of numbers ``hi + lo``.

    Parameters
    ----------
    hi
        The leading parts.
    lo
        The remainders, of the same shape.
    """

    hi: Array
    lo: Array

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.hi.shape

    @property
    def pair(self) -> Pair:
        """The two parts."""
        return self.hi, self.lo

    def __neg__(self) -> "DoubleDouble":
        return DoubleDouble(-self.hi, -self.lo)

    def __add__(self, other: Any) -> "DoubleDouble":
        return add(self, lift(other))

    def __radd__(self, other: Any) -> "DoubleDouble":
        return add(lift(other), self)

    def __sub__(self, other: Any) -> "DoubleDouble":
        return add(self, -lift(other))

    def __rsub__(self, other: Any) -> "DoubleDouble":
        return add(lift(other), -self)

    def __mul__(self, other: Any) -> "DoubleDouble":
        return multiply(self, lift(other))

    def __rmul__(self, other: Any) -> "DoubleDouble":
        return multiply(lift(other), self)

    def __truediv__(self, other: Any) -> "DoubleDouble":
        return divide(self, lift(other))

    def __rtruediv__(self, other: Any) -> "DoubleDouble":
        return divide(lift(other), self)

    def __getitem__(self, index: Any) -> "DoubleDouble":
        return DoubleDouble(self.hi[index], self.lo[index])


def lift(value: Any) -> DoubleDouble:
    """Convert a float or a float64 array, taken as exact, to a double-double.

    Parameters
    ----------
    value
        A float, a float64 array of any shape, or a double-double, which is returned unchanged.

    Returns
    -------
    DoubleDouble
        The same numbers, with ``lo`` zero.
    """
    if isinstance(value, DoubleDouble):
        return value
    hi = np.asarray(value, dtype=np.float64)
    return DoubleDouble(hi, np.zeros_like(hi))


def _replace_non_finite(hi: Array, lo: Array, plain: Array) -> DoubleDouble:
    """Replace non-finite entries by the plain float64 result, which has the right infinities and NaN."""
    lost = ~np.isfinite(hi)
    if lost.any():
        hi, lo = np.where(lost, plain, hi), np.where(lost, 0.0, lo)
    return DoubleDouble(hi, lo)


def _two_sum(a: Array, b: Array) -> Pair:
    """``a + b`` exactly (Knuth)."""
    total = a + b
    virtual = total - a
    return total, (a - (total - virtual)) + (b - virtual)


def _quick_two_sum(a: Array, b: Array) -> Pair:
    """``a + b`` exactly where ``|a| >= |b|`` (Dekker)."""
    total = a + b
    return total, b - (total - a)


def _split(a: Array) -> Pair:
    """Split into two halves of at most 26 bits each (Veltkamp)."""
    shifted = _SPLITTER * a
    high = shifted - (shifted - a)
    return high, a - high


def _two_product(a: Array, b: Array) -> Pair:
    """``a * b`` exactly, unless the splitting overflows or the error term underflows (Dekker)."""
    product = a * b
    a_high, a_low = _split(a)
    b_high, b_low = _split(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def two_sum(a: Array, b: Array) -> DoubleDouble:
    """``a + b`` exactly."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _replace_non_finite(*_two_sum(a, b), a + b)


def two_product(a: Array, b: Array) -> DoubleDouble:
    """``a * b`` exactly, unless the error term underflows; factors beyond ``2^996`` are scaled before splitting."""
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        large_a, large_b = np.abs(a) > _LARGE, np.abs(b) > _LARGE
        if large_a.any() or large_b.any():
            scale_a, scale_b = np.where(large_a, 2.0**-28, 1.0), np.where(large_b, 2.0**-28, 1.0)
            hi, lo = _two_product(a * scale_a, b * scale_b)
            return _replace_non_finite(hi / scale_a / scale_b, lo / scale_a / scale_b, a * b)
        return _replace_non_finite(*_two_product(a, b), a * b)


def _add(x: Pair, y: Pair) -> Pair:
    s, e = _two_sum(x[0], y[0])
    t, f = _two_sum(x[1], y[1])
    v, w = _quick_two_sum(s, e + t)
    return _quick_two_sum(v, f + w)


def _multiply(x: Pair, y: Pair) -> Pair:
    product, error = _two_product(x[0], y[0])
    return _quick_two_sum(product, error + (x[0] * y[1] + x[1] * y[0]))


def add(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """AccurateDWPlusDW of Joldes et al.: relative error at most ``3 * 2^-106`` even with cancellation."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _replace_non_finite(*_add(x.pair, y.pair), x.hi + y.hi)


def multiply(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """Product; relative error at most ``5 * 2^-106`` while the factors are below ``2^996``."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        product, error = two_product(x.hi, y.hi).pair
        hi, lo = _quick_two_sum(product, error + (x.hi * y.lo + x.lo * y.hi))
        return _replace_non_finite(hi, lo, x.hi * y.hi)


def divide(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    """Quotient; relative error at most ``10 * 2^-106``. Division by zero gives an infinity or NaN."""
    with np.errstate(invalid="ignore", over="ignore", under="ignore", divide="ignore"):
        quotient = x.hi / y.hi
        hi, lo = _quick_two_sum(quotient, add(x, -multiply(y, lift(quotient))).hi / y.hi)
        return _replace_non_finite(hi, lo, quotient)


def root(x: DoubleDouble) -> DoubleDouble:
    """Square root by one Newton step; relative error of about ``2^-105``."""
    start = np.sqrt(x.hi)
    usable = (start > 0.0) & np.isfinite(start)
    step = (x - two_product(start, start)) / np.where(usable, 2.0 * start, 1.0)
    return select(usable, lift(start) + step, start)


def select(condition: Any, x: Any, y: Any) -> DoubleDouble:
    """``x`` where the condition holds, ``y`` elsewhere."""
    x, y = lift(x), lift(y)
    return DoubleDouble(np.where(condition, x.hi, y.hi), np.where(condition, x.lo, y.lo))


def total(x: DoubleDouble, axis: int = -1, *, keepdims: bool = False) -> DoubleDouble:
    """Sum along an axis, pairwise; an empty sum is zero."""
    hi, lo = np.moveaxis(x.hi, axis, 0), np.moveaxis(x.lo, axis, 0)
    if len(hi) == 0:
        result = lift(np.zeros(hi.shape[1:]))
    else:
        while len(hi) > 1:
            half = len(hi) // 2
            paired = add(DoubleDouble(hi[:half], lo[:half]), DoubleDouble(hi[half : 2 * half], lo[half : 2 * half]))
            odd = slice(2 * half, None)
            hi, lo = np.concatenate([paired.hi, hi[odd]]), np.concatenate([paired.lo, lo[odd]])
        result = DoubleDouble(hi[0], lo[0])
    return DoubleDouble(np.expand_dims(result.hi, axis), np.expand_dims(result.lo, axis)) if keepdims else result


# ln 2 in three parts. The first two have 42 and 41 significant bits: their product with an integer below 2^11 is exact.
_LN2_A = float.fromhex("0x1.62e42fefa38p-1")
_LN2_B = float.fromhex("0x1.ef35793c76p-45")
_LN2_C = float.fromhex("0x1.cc01f97b57a08p-87")
_HALVINGS = 8
_TERMS = 9


def _inverse_factorial(n: int) -> Pair:
    """``1 / n!`` as a pair, from exact rational arithmetic."""
    exact = Fraction(1, math.factorial(n))
    hi = float(exact)
    return np.asarray(hi), np.asarray(float(exact - Fraction(hi)))


_TWO = np.asarray(2.0), np.asarray(0.0)
_INVERSE_FACTORIALS = [_inverse_factorial(n) for n in range(1, _TERMS + 1)]


_BLOCK = 8192
"""Elements whose intermediate results fit into the processor's cache."""


def _compute_in_blocks(function: Callable[[DoubleDouble], DoubleDouble]) -> Callable[[DoubleDouble], DoubleDouble]:
    """Apply an elementwise function to large arrays block by block, in half of the time."""

    @wraps(function)
    def apply(x: DoubleDouble) -> DoubleDouble:
        if x.hi.size <= 2 * _BLOCK or not (x.hi.flags.c_contiguous and x.lo.flags.c_contiguous):
            return function(x)
        hi, lo = x.hi.reshape(-1), x.lo.reshape(-1)
        starts = range(0, hi.size, _BLOCK)
        parts = [
            function(DoubleDouble(hi[start : start + _BLOCK], lo[start : start + _BLOCK])).pair for start in starts
        ]
        first, second = map(np.concatenate, zip(*parts, strict=True))
        return DoubleDouble(first.reshape(x.shape), second.reshape(x.shape))

    return apply


@_compute_in_blocks
def exp(x: DoubleDouble) -> DoubleDouble:
    """Exponential; relative error below ``2^-98`` while the result is normal.

    The argument is reduced to ``x = k ln 2 + 2^8 r`` with ``|r| < 0.0014``. The Taylor series of ``expm1(r)`` has
    degree nine. Eight doublings ``expm1(2r) = expm1(r) (2 + expm1(r))`` follow; each at most doubles the absolute
    error.
    """
    clipped = np.clip(np.nan_to_num(x.hi, nan=0.0), -800.0, 800.0)
    inside = x.hi == clipped
    x_in = DoubleDouble(clipped, np.where(inside, x.lo, 0.0))
    k = np.rint(x_in.hi / np.log(2.0))
    s = _expm1_reduced(_reduce(x_in, k))
    result = add(lift(np.ones_like(k)), s)
    with np.errstate(over="ignore", under="ignore"):
        first = np.trunc(k / 2.0)
        for shift in (first, k - first):
            result = _scale(result, shift)
    overflow = np.isinf(result.hi)
    return DoubleDouble(np.where(np.isnan(x.hi), np.nan, result.hi), np.where(overflow, 0.0, result.lo))


def _scale(x: DoubleDouble, k: Array) -> DoubleDouble:
    """``x 2^k``, exactly unless it over- or underflows."""
    exponent = k.astype(np.int64)
    return DoubleDouble(np.ldexp(x.hi, exponent), np.ldexp(x.lo, exponent))


def _reduce(x: DoubleDouble, k: Array) -> DoubleDouble:
    """``x - k ln 2``, with the products ``k * ln2`` exact."""
    r = x - k * _LN2_A
    r = r - k * _LN2_B
    return r - two_product(k, np.full_like(k, _LN2_C))


def _expm1_reduced(r: DoubleDouble) -> DoubleDouble:
    """``exp(r) - 1`` for ``|r| <= 0.35``."""
    scale = 2.0**-_HALVINGS
    reduced = (r.hi * scale, r.lo * scale)
    series = _multiply(reduced, _INVERSE_FACTORIALS[-1])
    for coefficient in _INVERSE_FACTORIALS[-2::-1]:
        series = _multiply(_add(series, coefficient), reduced)
    for _ in range(_HALVINGS):
        series = _multiply(series, _add(series, _TWO))
    return DoubleDouble(*series)


@_compute_in_blocks
def log1p(x: DoubleDouble) -> DoubleDouble:
    """``ln(1 + x)`` for ``x > -1``; relative error below ``2^-95``.

    One Newton step solves ``exp(y) = 1 + x``, starting from the float64 value. The residual ``x - expm1(y)`` has no
    cancellation where ``y`` is small.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        y = np.log1p(x.hi)
    # Below 2^-300, x - x^2/2 equals x to far more digits than a pair has, and the steps below would underflow.
    usable = np.isfinite(y) & (np.abs(x.hi) >= 2.0**-300)
    start = np.where(usable, y, 0.0)
    lifted = lift(start)
    k = np.where(np.abs(start) < 0.34, 0.0, np.rint(start / np.log(2.0)))
    s = _expm1_reduced(_reduce(lifted, k))
    # expm1(y) = 2^k (s + 1) - 1, which is s itself where k = 0.
    scaled = _scale(s + 1.0, k) - 1.0
    expm1_y = DoubleDouble(np.where(k == 0, s.hi, scaled.hi), np.where(k == 0, s.lo, scaled.lo))
    argument = DoubleDouble(np.where(usable, x.hi, 0.0), np.where(usable, x.lo, 0.0))
    residual = argument - expm1_y
    step = residual / (expm1_y + 1.0)
    # Second order: y + t - t^2/2 with t of the order of 1e-16 leaves 1e-48 at most.
    corrected = lifted + (step - step * step * 0.5)
    lo = np.where(np.isfinite(y), x.lo, 0.0)
    return DoubleDouble(np.where(usable, corrected.hi, y), np.where(usable, corrected.lo, lo))


def log(x: DoubleDouble) -> DoubleDouble:
    """Logarithm of a non-negative number; relative error below ``2^-95`` unless it underflows near ``x = 1``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mantissa, exponent = np.frexp(x.hi)
    positive = (x.hi > 0) & np.isfinite(x.hi)
    low = mantissa < np.sqrt(0.5)
    exponent = np.where(positive, exponent - low, 0)
    scaled = DoubleDouble(
        np.where(positive, np.ldexp(mantissa, low.astype(np.int64)), 1.0),
        np.where(positive, np.ldexp(x.lo, -exponent), 0.0),
    )
    fraction = log1p(scaled - 1.0)
    k = exponent.astype(np.float64)
    result = lift(k * _LN2_A) + k * _LN2_B + two_product(k, np.full_like(k, _LN2_C)) + fraction
    with np.errstate(divide="ignore", invalid="ignore"):
        special = np.log(x.hi)
    return DoubleDouble(np.where(positive, result.hi, special), np.where(positive, result.lo, 0.0))


def _compensated_exp(x: DoubleDouble) -> DoubleDouble:
    """``exp(hi) (1 + lo)``: has the relative error of float64's ``exp`` and includes the argument's low part."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        hi = np.exp(x.hi)
        return DoubleDouble(hi, np.where(np.isfinite(hi), hi * x.lo, 0.0))


def _compensated_log1p(x: DoubleDouble) -> DoubleDouble:
    with np.errstate(divide="ignore", invalid="ignore"):
        hi = np.log1p(x.hi)
        lo = x.lo / (1.0 + x.hi)
    return DoubleDouble(hi, np.where(np.isfinite(lo), lo, 0.0))


def _compensated_log(x: DoubleDouble) -> DoubleDouble:
    with np.errstate(divide="ignore", invalid="ignore"):
        hi = np.log(x.hi)
        lo = x.lo / x.hi
    return DoubleDouble(hi, np.where(np.isfinite(lo), lo, 0.0))


def _plain_sum(x: DoubleDouble) -> DoubleDouble:
    return lift((x.hi + x.lo).sum(-1, keepdims=True))


def _plain_quotient(x: DoubleDouble, y: DoubleDouble) -> DoubleDouble:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return lift((x.hi + x.lo) / (y.hi + y.lo))


class Elementary(NamedTuple):
    """Elementary functions of one accuracy; all other operations are double-double for both accuracies."""

    exp: Callable[[DoubleDouble], DoubleDouble]
    log1p: Callable[[DoubleDouble], DoubleDouble]
    log: Callable[[DoubleDouble], DoubleDouble]
    sum_of_one_sign: Callable[[DoubleDouble], DoubleDouble]
    """Sum of terms of one sign along the last axis, which is retained; nothing cancels."""
    quotient: Callable[[DoubleDouble, DoubleDouble], DoubleDouble]
    """Quotient with a small relative error."""


DOUBLE = Elementary(exp, log1p, log, lambda x: total(x, keepdims=True), divide)
"""Relative error of about 2^-98, needed to measure float64 results."""

COMPENSATED = Elementary(_compensated_exp, _compensated_log1p, _compensated_log, _plain_sum, _plain_quotient)
"""Relative error of about 2^-50, ten times as fast; measures float32 and narrower results to 2^-26 ulp."""
