"""Numbers of two hundred bits and any exponent: a ball's midpoint if finite, a float if infinite or NaN."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

PRECISION = 240
"""Precision in bits: a difference of numbers that agree in a hundred bits still has more digits than float64."""

_LARGEST, _SMALLEST = np.finfo(np.float64).max, 5e-324


def number(x: float) -> Any:
    """Return a float as a number."""
    return arb(x) if math.isfinite(x) else x


def to_float(x: Any) -> tuple[float, float]:
    """Return a number as the sum of two floats; finite numbers stay finite, and nonzero ones nonzero."""
    if not isinstance(x, arb):
        return float(x), 0.0
    hi = float(x)
    if math.isinf(hi):
        return math.copysign(_LARGEST, hi), 0.0
    if hi == 0.0:
        return (0.0 if x == 0 else _SMALLEST if x > 0 else -_SMALLEST), 0.0
    return hi, float(x - hi)


def elementwise(on_balls: Callable[..., Any], on_floats: Callable[..., Any], arguments: int = 1) -> Callable[..., Any]:
    """Return a function of arrays of numbers."""

    def of_numbers(*xs: Any) -> Any:
        if all(isinstance(x, arb) for x in xs):
            ball = on_balls(*xs)
            if ball.is_finite():
                return ball.mid()
        return number(float(on_floats(*(np.float64(to_float(x)[0]) for x in xs))))

    each = np.frompyfunc(of_numbers, arguments, 1)

    def applied(*xs: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.asarray(each(*xs), dtype=object)

    return applied
