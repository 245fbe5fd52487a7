"""Ball arithmetic at single inputs: the deviation of an output, and its class of an eighth of an ulp."""

import math
from typing import NamedTuple

import numpy as np
from flint import arb
from numpy.typing import NDArray

from harness.floats import Array, UndecidedError
from harness.proof.float32.model import LARGEST, precision, taylor
from harness.proof.float32.operation import Operation

_PRECISIONS = (128, 320, 1024, 4096)
_ENOUGH_BITS = 64
_NOTHING = arb(2) ** -60
"""Eighths of an ulp that count as none at the highest precision: none separates ``gelu(x)`` from a large ``x``."""

SMALL = 2.0**-45
"""Below this size, a value is so close to the tangent that both are in one class, or on either side of its end."""

_NEGLIGIBLE = 2.0**-100
"""Below this size, the distance of a value from the tangent does not change a deviation in float64."""


class Resolved(NamedTuple):
    """An output next to the exact value."""

    deviation: float
    """In ulp."""
    eighths: int
    """``k`` if the deviation is above ``k / 8`` and at most ``(k + 1) / 8``; zero has ``k = 0``."""
    expected: float


INFINITE = 1 << 40
"""The class of infinite deviations."""


def resolve(operation: Operation, quantity: str, x: float, y: float) -> Resolved:
    """Compare an output ``y`` at ``x`` with the exact value.

    Raises
    ------
    UndecidedError
        If ball arithmetic gives no decision at the highest precision.
    """
    p, q, _ = operation.tangent
    if p and quantity == "value" and 0 < abs(x) < _NEGLIGIBLE and math.isfinite(y):
        deviation, eighths = classify_off_tangent(operation.tangent, np.array([x]), np.array([y]))
        return Resolved(float(deviation[0]), int(eighths[0]), p * x / q)
    for bits in _PRECISIONS:
        with precision(bits):
            (exact,) = taylor(operation, quantity, arb(x), arb(1), 1)
            comparison = _compare(exact, y, is_last=bits == _PRECISIONS[-1])
        if comparison is not None:
            return comparison
    raise UndecidedError(f"{operation.name} at {x.hex()} is undecided at {_PRECISIONS[-1]} bits")


def _compare(exact: arb, y: float, *, is_last: bool = False) -> Resolved | None:
    """Return ``None`` if the precision is too low."""
    if not exact.is_finite():
        return None
    low, high = exact.abs_lower(), exact.abs_upper()
    expected = float(exact.mid())
    if low >= LARGEST:
        same = math.isinf(y) and (y > 0) == (exact > 0)
        return Resolved(0.0, 0, expected) if same else Resolved(math.inf, INFINITE, expected)
    if is_last and math.isfinite(y) and abs(arb(y) - exact) * arb(2) ** (26 - _get_exponent(low)) < _NOTHING:
        return Resolved(0.0, 0, expected)
    if high >= LARGEST:
        return None
    if not math.isfinite(y):
        return Resolved(math.inf, INFINITE, expected)
    # No precision separates some values from a power of two; then the smaller ulp counts.
    exponent = _get_exponent(low)
    if _get_exponent(high) != exponent and not is_last:
        return None
    eighths = abs(arb(y) - exact) * arb(2) ** (26 - exponent)
    whole = (eighths.mid() + 0.5).floor()
    above = (whole if is_last and abs(eighths - whole) < _NOTHING else eighths.ceil()).unique_fmpz()
    if above is None or not (eighths.is_exact() or eighths.rel_accuracy_bits() >= _ENOUGH_BITS):
        return None
    return Resolved(float(eighths.mid()) / 8.0, max(int(above) - 1, 0), expected)


def _get_exponent(size: arb) -> int:
    """Return the exponent that determines the ulp of a number."""
    if size <= 2.0**-126:
        return -126
    mantissa, exponent = size.man_exp()
    return max(-126, int(exponent) + int(mantissa).bit_length() - 1)


def classify_off_tangent(tangent: tuple[int, int, int], x: Array, y: Array) -> tuple[Array, NDArray[np.int64]]:
    """Return deviations and classes of outputs if the value differs from ``p x / q`` by much less than an ulp.

    ``x`` are float32 numbers below :data:`SMALL`, and ``y`` finite outputs.
    """
    p, q, side = tangent
    ulp: Array | float = 2.0**-149
    if p * np.abs(x).max() >= q * 2.0**-126:
        mantissa, exponent = np.frexp(p * x / q)
        # A value next to a power of two, and smaller than it, lies in the binade below.
        ulp = np.ldexp(1.0, np.maximum(exponent - 1 - (mantissa == -0.5 * side), -126) - 23)
    # All are multiples of half an ulp, so that the quotient is a whole number.
    gap = q * y - p * x
    parts = np.abs(gap) * 8.0 / ulp
    classes = np.clip(np.floor((parts - (side * gap > 0.0)) / q), 0.0, float(INFINITE))
    return parts / (8.0 * q), classes.astype(np.int64)
