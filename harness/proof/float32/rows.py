"""Rows of exact values: the pieces of a range as matrices whose product is the function, with a proved error.

Each piece is divided into rows of 2^11 numbers. On a row, the polynomial of the piece becomes a polynomial of degree
five in the row's variable. Its coefficients depend linearly on the coefficients of the piece. The product of the matrix
of the rows' coefficients with the matrix of the powers contains the values.

The error of a computed value relative to the sum of the sizes of the piece's coefficients is at most
``(1 + 1 + 9 + 1 + 14) u (1 + 26 u)`` with ``u = 2^-53``. The coefficients, the transformation and the powers are
rounded once, and inner products of nine and seven terms are formed in any order [1]_. The seventh term is the output,
which is subtracted. It is at most as large as the other terms together, or the error is small relative to the
difference. The bound in ``model`` is ``32 u``. The terms above degree five are bounded separately.

References
----------
.. [1] N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.1.
"""

import math
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from flint import arb
from numpy.typing import NDArray

from harness.floats.double_double import Array
from harness.proof.float32.model import DEGREE, INFINITE, LARGEST, MIN_BITS, Kind, number, pieces, precision
from harness.proof.float32.operation import Operation

WIDTH = 1 << MIN_BITS
_TERMS = 6

_ONE = 0x3F80_0000
"""Code of 1. Rows of functions that scale are computed from here on, and multiplied by a power of two."""

_NORMAL = 100
"""Largest binary logarithm of this power, so that all values are normal numbers."""

_WAVES_FROM = 0x4180_0000
"""Code of 16; from here on, rows of sines and cosines use the addition theorem."""

_WAVE_ERROR = 2.0**-49
"""Bound on the error of two products of rounded sines and cosines, which is below ``5 u``."""

NEAR = 2.0**-7
"""Distance in ulp of values that are next to a number."""

CAREFUL = 2.0**-20
"""Largest error in ulp of a row that is not treated number by number."""


@dataclass(frozen=True)
class Rows:
    """Consecutive rows of one sign, ``2^11`` codes each.

    Parameters
    ----------
    coefficients
        Of the rows' polynomials, ``[rows, 6]``.
    powers
        Matrices of powers, each with the number of the first row that it is multiplied with.
    error
        Bound on the absolute error of the values, ``[rows]``.
    kind, direction
        As for pieces; ``[rows]``.
    low, high
        Bounds on the values of a row. Both are infinite if all values are too large, and NaN if they are unknown.
    ulp
        Ulp of the values of a row; NaN if it is not the same for the whole row.
    slope
        1 or 1/2 if all values of a row are next to this multiple of their inputs, which is exact; else NaN.
    """

    coefficients: Array
    powers: tuple[tuple[int, Array], ...]
    error: Array
    kind: NDArray[np.int8]
    direction: NDArray[np.int8]
    low: Array
    high: Array
    ulp: Array
    slope: Array

    def powers_at(self, row: int) -> Array:
        """Return the matrix for a row and those after it."""
        return next(matrix for first, matrix in reversed(self.powers) if first <= row)


@cache
def _build_powers() -> Array:
    """Powers of the row's variable, which runs from -1 to 1."""
    variable = (np.arange(WIDTH) - WIDTH // 2) / (WIDTH // 2)
    return np.stack([variable**k for k in range(_TERMS)])


@cache
def _build_division(bits: int) -> tuple[Array, Array]:
    """Return a matrix from the coefficients of a piece to its rows, and weights of omitted terms."""
    count = 1 << (bits - MIN_BITS)
    centers, half = (2.0 * np.arange(count) + 1) / count - 1, 1.0 / count
    matrix, omitted = np.zeros((DEGREE + 1, count, _TERMS)), np.zeros(DEGREE + 1)
    for k in range(DEGREE + 1):
        for j in range(min(k + 1, _TERMS)):
            matrix[k, :, j] = math.comb(k, j) * centers ** (k - j) * half**j
        omitted[k] = 1.001 * sum(math.comb(k, j) * half**j for j in range(_TERMS, k + 1))
    return matrix.reshape(DEGREE + 1, -1), omitted


def rows_of(operation: Operation, quantity: str, codes: range, sign: int) -> Rows:
    """Return the rows of a range of magnitudes, whose ends are multiples of the length of a row."""
    p, q = operation.scaling(quantity)
    shift = (codes.start - _ONE) // (p << 23) if p and 1 << 23 <= codes.start < codes.stop <= INFINITE else 0
    if shift and abs(shift * q) <= _NORMAL:
        moved = (end - shift * (p << 23) for end in (codes.start, codes.stop))
        rows, factor = rows_of(operation, quantity, range(*moved), sign), 2.0 ** (shift * q)
        rows = replace(rows, coefficients=rows.coefficients * factor, error=rows.error * factor)
        return replace(rows, low=rows.low * factor, high=rows.high * factor, ulp=rows.ulp * factor)
    parity = operation.parity if quantity == "value" else -operation.parity
    if sign > 0 or not parity:
        return _build_rows(operation, quantity, codes, sign)
    rows = _build_rows(operation, quantity, codes, 1)
    if parity > 0:
        return rows
    turned = replace(rows, coefficients=-rows.coefficients, direction=-rows.direction)
    return replace(turned, low=-rows.high, high=-rows.low)


@lru_cache(maxsize=4)
def _build_rows(operation: Operation, quantity: str, codes: range, sign: int) -> Rows:
    if operation.is_wave and codes.start >= _WAVES_FROM:
        return _build_wave_rows(operation.name, quantity, codes)
    parts = [(piece, *_build_division(piece.bits)) for piece in pieces(operation, quantity, codes, sign)]
    coefficients = np.concatenate([(piece.coefficients @ matrix).reshape(-1, _TERMS) for piece, matrix, _ in parts])
    facts = [(fit.error + np.abs(fit.coefficients) @ omitted, fit.kind, fit.direction) for fit, _, omitted in parts]
    error, *rest = np.repeat(
        np.array(facts, dtype=np.float64), [1 << (piece.bits - MIN_BITS) for piece, *_ in parts], axis=0
    ).T
    kind, direction = (values.astype(np.int8) for values in rest)
    first, spread = coefficients[:, 0], 1.000001 * np.abs(coefficients[:, 1:]).sum(1) + error
    least, most = np.abs(first) - spread, 1.000001 * (np.abs(first) + spread)
    ordinary = kind == Kind.ORDINARY
    kind[ordinary & (most >= LARGEST)] = Kind.SINGLE
    kind[ordinary & (least >= LARGEST)] = Kind.OVERFLOW
    low, high = first - spread, first + spread
    for end in (low, high):
        end[(kind == Kind.SINGLE) | (kind == Kind.UNDEFINED)] = np.nan
        end[kind == Kind.OVERFLOW] = np.copysign(np.inf, first)[kind == Kind.OVERFLOW]
    ulp = ulp_of(least)
    same = (ulp == ulp_of(most)) & ((least > 0) | (most < 2.0**-126)) & (error <= CAREFUL * ulp)
    ulp[~same] = np.nan
    slope = _find_slope(coefficients, np.where(kind == Kind.ORDINARY, error, np.inf), ulp, codes, sign)
    return Rows(coefficients, ((0, _build_powers()),), error, kind, direction, low, high, ulp, slope)


def _find_slope(coefficients: Array, error: Array, ulp: Array, codes: range, sign: int) -> Array:
    starts = np.arange(codes.start, codes.stop, WIDTH)
    exponent = np.maximum(starts >> 23, 1)
    half = WIDTH // 2 * np.exp2(exponent - 150.0)
    center = (starts - ((exponent - 1) << 23)) * np.exp2(exponent - 150.0) + half
    rest = np.abs(coefficients[:, 2:]).sum(1) + error
    slope = np.full(len(starts), np.nan)
    for candidate in (0.5, 1.0):
        first, second = (np.abs(coefficients[:, k] - sign * candidate * x) for k, x in ((0, center), (1, half)))
        slope[(first + second + rest <= NEAR * ulp) & (starts >= 1 << 24)] = candidate
    return slope


def ulp_of(sizes: Array) -> Array:
    """Return the ulp of positive numbers; beyond the normal numbers of float32, the nearest ulp."""
    ulps: Array = np.ldexp(1.0, np.frexp(np.clip(np.nan_to_num(sizes), 2.0**-126, 2.0**127))[1] - 24)
    return ulps


def _build_wave_rows(name: str, quantity: str, codes: range) -> Rows:
    """Return the rows of a sine or cosine at positive numbers: f(a + b) = f(a) cos b + f'(a) sin b.

    ``a`` is the first number of a row, and ``b`` the distance from it.
    """
    starts = range(codes.start, codes.stop, WIDTH)
    coefficients, powers = np.zeros((len(starts), _TERMS)), [(0, np.zeros((_TERMS, WIDTH)))]
    with precision(320):
        for i, start in enumerate(starts[: max(0, (INFINITE - codes.start) // WIDTH)]):
            if start % (1 << 23) == 0 or i == 0:
                powers.append((i, _build_wave_powers(2.0 ** ((start >> 23) - 150))))
            sine, cosine = arb(number(start)).sin(), arb(number(start)).cos()
            value, slope = (sine, cosine) if name == "sin" else (cosine, -sine)
            if quantity != "value":
                value, slope = slope, -value
            coefficients[i, :2] = float(value), float(slope)
    count = len(starts)
    kind = np.where(np.array(starts) < INFINITE, Kind.ORDINARY, Kind.UNDEFINED).astype(np.int8)
    unknown = np.full(count, np.nan)
    none = np.zeros(count, dtype=np.int8)
    error = np.where(kind == Kind.ORDINARY, _WAVE_ERROR, 0.0)
    return Rows(coefficients, tuple(powers), error, kind, none, *[unknown] * 4)


def _build_wave_powers(spacing: float) -> Array:
    """Return the cosines and sines of the distances from the first number of a row."""
    matrix = np.zeros((_TERMS, WIDTH))
    for j in range(WIDTH):
        b = arb(j * spacing)
        matrix[0, j], matrix[1, j] = float(b.cos()), float(b.sin())
    return matrix
