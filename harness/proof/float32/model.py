"""Taylor models: a function on a piece of the float32 numbers as a polynomial with a proved error.

A piece is a run of numbers of equal distance. With its center ``z`` and half its length ``r``,

    f(z + r t) = c_0 + c_1 t + ... + c_8 t^8 + R,    |t| <= 1,

and Lagrange's form of the remainder bounds ``R`` by the ninth coefficient of the series around the whole interval.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from flint import arb, arb_series, ctx

from harness.floats.double_double import Array
from harness.proof.float32.operation import Operation

DEGREE = 8
MIN_BITS = 11
"""Binary logarithm of the length of the shortest piece."""

INFINITE = 0x7F80_0000
"""Code of infinity; codes of larger magnitude are NaN."""

LARGEST = float.fromhex("0x1.ffffffp+127")
"""Numbers of at least this size round to infinity."""

_PRECISIONS = (128, 320, 1024)
_ROUNDINGS = 32 * 2.0**-53
"""Bound on all relative rounding errors of a polynomial: see :mod:`harness.proof.float32.rows`."""

_ENOUGH = 2.0**-47
"""Remainder, relative to the coefficients, up to which a piece is not split."""

_TINY = 2.0**-126
_NEGLIGIBLE = 2.0**-180
"""Far below the ulp of the smallest numbers; covers the underflow of coefficients."""


class Kind(IntEnum):
    """Class of the numbers of a piece."""

    ORDINARY = 0
    """A polynomial encloses the function."""
    SINGLE = 1
    """Ball arithmetic evaluates the function at each number."""
    UNDEFINED = 2
    """The result is NaN."""
    OVERFLOW = 3
    """The result is too large for float32."""


@dataclass(frozen=True)
class Piece:
    """The function on a run of ``2^bits`` codes of one sign."""

    start: int
    bits: int
    kind: Kind
    coefficients: Array
    error: float = 0.0
    """Bound on the remainder and on all rounding errors but the truncation of :mod:`harness.proof.float32.rows`."""
    direction: int = 0
    """Sign of the derivative with respect to ``t`` if it is constant on the piece, else 0."""


_NOTHING = np.zeros(DEGREE + 1)


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute with series of sufficient length at a precision in bits."""
    before = ctx.cap
    ctx.cap = DEGREE + 4
    try:
        with ctx.workprec(bits):
            yield
    finally:
        ctx.cap = before


def number(code: int) -> float:
    """Return the finite float32 number of a code."""
    return float(np.uint32(code).view(np.float32))


def pieces(operation: Operation, quantity: str, codes: range, sign: int) -> Iterator[Piece]:
    """Yield the pieces of a range of magnitudes, whose ends are multiples of the shortest length.

    ``sign`` is 1 or -1.
    """
    start = codes.start
    while start < codes.stop:
        bits = 23 if start == 0 else min(23, (start & -start).bit_length() - 1)
        while start + (1 << bits) > codes.stop:
            bits -= 1
        yield from _split(operation, quantity, start, bits, sign)
        start += 1 << bits


def _split(operation: Operation, quantity: str, start: int, bits: int, sign: int) -> Iterator[Piece]:
    piece = _fit_piece(operation, quantity, start, bits, sign)
    if piece is not None:
        yield piece
    elif bits == MIN_BITS:
        yield _enclose(operation, quantity, start, sign)
    else:
        yield from _split(operation, quantity, start, bits - 1, sign)
        yield from _split(operation, quantity, start + (1 << (bits - 1)), bits - 1, sign)


def _enclose(operation: Operation, quantity: str, start: int, sign: int) -> Piece:
    """Return a run without a polynomial: its values are too large, or each is computed alone."""
    radius = 2.0 ** (max(start >> 23, 1) - 151 + MIN_BITS)
    with precision(_PRECISIONS[0]):
        (value,) = taylor(operation, quantity, arb(sign * (number(start) + radius), radius), arb(1), 1)
    if value.is_finite() and value.abs_lower() >= LARGEST:
        return Piece(start, MIN_BITS, Kind.OVERFLOW, np.eye(DEGREE + 1)[0] * (LARGEST if value > 0 else -LARGEST))
    return Piece(start, MIN_BITS, Kind.SINGLE, _NOTHING)


def _fit_piece(operation: Operation, quantity: str, start: int, bits: int, sign: int) -> Piece | None:
    """Return the function on a run of codes, or ``None`` if it must be split."""
    if start >= INFINITE:
        return Piece(start, bits, Kind.UNDEFINED, _NOTHING)
    low = number(start)
    if sign < 0 and -low <= operation.lowest:
        return Piece(start, bits, Kind.UNDEFINED, _NOTHING)
    if sign > 0 and low >= operation.overflows_from:
        return Piece(start, bits, Kind.OVERFLOW, _NOTHING)
    radius = 2.0 ** (max(start >> 23, 1) - 150) * 2.0 ** (bits - 1)
    return _fit(operation, quantity, (start, bits), (sign * (low + radius), sign * radius))


def taylor(operation: Operation, quantity: str, center: arb, radius: arb, terms: int) -> list[arb]:
    """Return Taylor coefficients in ``t`` of the value or the derivative at ``center + radius t``."""
    more = quantity != "value"
    series = operation.series(arb_series([center, radius], prec=terms + more))
    if more:
        series = series.derivative() / radius
    return [series[k] for k in range(terms)]


def _sum_sizes(coefficients: list[arb]) -> arb:
    """Return the sum of the sizes; its radius is no less than the sum of the radii."""
    return sum(map(abs, coefficients), arb(0))


def _fit(operation: Operation, quantity: str, run: tuple[int, int], position: tuple[float, float]) -> Piece | None:
    center, radius = arb(position[0]), arb(position[1])
    for bits in _PRECISIONS:
        with precision(bits):
            around = taylor(operation, quantity, arb(position[0], abs(position[1])), radius, DEGREE + 2)
            remainder, whole = (float(ball.abs_upper()) for ball in (around[-1], _sum_sizes(around[:-1])))
            if not remainder <= _ENOUGH * max(whole, _TINY):
                return None
            expansion = taylor(operation, quantity, center, radius, DEGREE + 1)
            radii = float(_sum_sizes(expansion).rad())
            coefficients = np.array([float(ball) for ball in expansion])
            size = float(np.abs(coefficients).sum())
            if radii <= 2.0**-54 * max(size, _TINY):
                break
    else:
        return None
    if not (math.isfinite(size) and remainder <= _ENOUGH * max(size, _TINY)):
        return None
    error = (remainder + radii) * 1.001 + _ROUNDINGS * size + _NEGLIGIBLE
    direction = 1 if around[1] > 0 else -1 if around[1] < 0 else 0
    return Piece(*run, Kind.ORDINARY, coefficients, error, direction)
