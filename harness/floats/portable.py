"""Elementary functions with the same bits on every processor, for drawing inputs.

The ``exp`` and ``log`` of NumPy, torch and the C library differ in the last bit between processors. Inputs drawn with
them would also differ, and results from two machines could not be compared. These functions use only operations that
IEEE 754 rounds correctly: addition, multiplication, division, and scaling by a power of two. Their error is a few ulp.
"""

from functools import lru_cache

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from harness.floats.double_double import Array

LN2 = float.fromhex("0x1.62e42fefa39efp-1")
_LN2_HIGH, _LN2_LOW = float.fromhex("0x1.62e42feep-1"), float.fromhex("0x1.a39ef35793c76p-33")
"""Two parts of ln 2; the product of the first with an integer below 2**20 is exact."""

_SQRT_HALF = float.fromhex("0x1.6a09e667f3bcdp-1")

_EXP_TERMS = 14
_LOG_TERMS = 12
"""Number of series terms that leaves a remainder below 2**-56 of the sum."""

_TABLE_END = 3.65
"""Magnitude from which NumPy's normal generator calls the logarithm of the C library."""


def exp(x: ArrayLike) -> Array:
    """Exponential."""
    y = np.clip(np.asarray(x, dtype=np.float64), -1100.0, 1100.0)
    k = np.rint(y / LN2)
    return _scale((y - k * _LN2_HIGH) - k * _LN2_LOW, k)


def exp2(x: ArrayLike) -> Array:
    """Power of two; exact for integers."""
    y = np.clip(np.asarray(x, dtype=np.float64), -2200.0, 2200.0)
    k = np.rint(y)
    return _scale((y - k) * LN2, k)


def log(x: ArrayLike) -> Array:
    """Natural logarithm."""
    significand_log, e = _split_log_of_number(x) if isinstance(x, (int, float)) else _split_log(x)
    return np.asarray(e * _LN2_HIGH + (e * _LN2_LOW + significand_log))


def log2(x: ArrayLike) -> Array:
    """Binary logarithm; exact for powers of two."""
    significand_log, e = _split_log_of_number(x) if isinstance(x, (int, float)) else _split_log(x)
    return np.asarray(e + significand_log / LN2)


def log1p(x: ArrayLike) -> Array:
    """Logarithm of one plus ``x``."""
    y = np.asarray(x, dtype=np.float64)
    total = 1.0 + y
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where((total > 0.0) & np.isfinite(total), (y - (total - 1.0)) / total, 0.0)
    return np.asarray(log(total) + lost)


def softmax(x: ArrayLike) -> Array:
    """Softmax along the last axis."""
    weights = exp(_subtract_maximum(x))
    return np.asarray(weights / weights.sum(-1, keepdims=True))


def log_softmax(x: ArrayLike) -> Array:
    """Logarithm of the softmax along the last axis."""
    shifted = _subtract_maximum(x)
    return np.asarray(shifted - log(exp(shifted).sum(-1, keepdims=True)))


def standard_normal(rng: Generator, size: int | tuple[int, ...]) -> Array:
    """Independent standard normal numbers.

    NumPy takes all but about three of 10,000 from a table. These three are rounded to multiples of 2**-20, which
    removes the bits that depend on the C library.
    """
    drawn = rng.standard_normal(size)
    return np.asarray(np.where(np.abs(drawn) > _TABLE_END, np.rint(drawn * 2.0**20) * 2.0**-20, drawn))


def _scale(r: Array, k: Array) -> Array:
    """Return ``exp(r) * 2**k`` for ``|r| <= 0.35``; NaN stays NaN."""
    total = np.ones_like(r)
    for n in range(_EXP_TERMS, 0, -1):
        total = 1.0 + r * total / n
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.ldexp(total, np.where(np.isnan(k), 0.0, k).astype(np.int32)))


def _split_log(x: ArrayLike) -> tuple[Array, Array]:
    """Return ``ln m`` and ``e`` with ``x = m * 2**e``, where ``m`` is between the square roots of 1/2 and 2."""
    y = np.asarray(x, dtype=np.float64)
    ordinary = (y > 0.0) & np.isfinite(y)
    m, exponent = np.frexp(np.where(ordinary, y, 1.0))
    small = m < _SQRT_HALF
    m, e = np.where(small, 2.0 * m, m), (exponent - small).astype(np.float64)
    s = (m - 1.0) / (m + 1.0)
    square, series = s * s, np.zeros_like(s)
    for n in range(_LOG_TERMS, -1, -1):
        series = series * square + 1.0 / (2 * n + 1)
    special = np.where(y == 0.0, -np.inf, np.where(y > 0.0, y, np.nan))
    return np.where(ordinary, 2.0 * s * series, special), np.where(ordinary, e, 0.0)


@lru_cache(1024)
def _split_log_of_number(x: float) -> tuple[Array, Array]:
    """Return the same for a number; draws ask for few different ones."""
    return _split_log(x)


def _subtract_maximum(x: ArrayLike) -> Array:
    """Subtract the maximum of each row."""
    y = np.ascontiguousarray(x, dtype=np.float64)
    return np.asarray(y - y.max(-1, keepdims=True))
