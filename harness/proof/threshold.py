r"""Thresholds: for every code of a 16-bit format, the arguments of a monotone function for which the code is right.

A code :math:`c` is within :math:`k \le 1` ulp of :math:`f(t)` if :math:`f(t)` lies in an interval around :math:`c`,
and so if :math:`t` lies in an interval. Ball arithmetic gives its end points. Each end point is stored as the two
float64 that surround it: the code is certainly within the limit inside the inner ends, and certainly not outside the
outer ends. No float64 lies between them. An argument is undecided only if it is not a float64, or if an end point is
exactly a float64.

The interval is complete except for one point: where :math:`f(t)` is a power of two, its ulp is twice the ulp just
below. These functions are a power of two only at zero; it is left undecided if it is not
inside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from flint import arb, ctx
from numpy.typing import NDArray

from harness.floats import Array, DoubleDouble, Format, to_array

Flags = NDArray[np.bool_]

CODES = 2**16
_BITS = 192
_SIGN = 0x8000


@dataclass(frozen=True)
class Increasing:
    """A positive increasing function of one number.

    Parameters
    ----------
    name
        Its name.
    inverse
        The inverse function, in ball arithmetic.
    supremum
        A strict upper bound of its values.
    below_identity
        Whether ``inverse(y) < y``, which ball arithmetic cannot show where the difference is tiny.
    """

    name: str
    inverse: Callable[[arb], arb]
    supremum: float
    below_identity: bool


def _logit(y: arb) -> arb:
    return (y / (1 - y)).log()


SIGMOID = Increasing("sigmoid", _logit, 1.0, below_identity=False)
SLOPE = Increasing(
    "slope of the sigmoid at a number that is not positive",
    lambda y: _logit(2 * y / (1 + (1 - 4 * y).sqrt())),
    float(np.nextafter(0.25, 1.0)),
    below_identity=False,
)
SOFTPLUS = Increasing("softplus", lambda y: y.expm1().log(), float("inf"), below_identity=True)


class Interval(NamedTuple):
    """For every code, the ends of the interval of arguments for which the code is within its limit."""

    inner_low: Array
    inner_high: Array
    outer_low: Array
    outer_high: Array


@cache
def intervals(function: Increasing, format_: Format, limit: float, *, negative: bool = False) -> Interval:
    """Return the arguments at which each of the 65,536 codes is within ``limit <= 1`` ulp of the function.

    With ``negative``, the output is the negative of the function. A code that is never right, such as NaN or a number
    of the wrong sign, has an empty interval. Both zeros are right at the same arguments.
    """
    low, high = _bound_values(format_, limit)
    empty = low >= function.supremum
    below, above = _bound_arguments(function, np.where(empty, 0.0, low))
    lows = [np.where(empty, np.inf, ends) for ends in (above, below)]
    below, above = _bound_arguments(function, np.minimum(high, function.supremum))
    highs = [np.where(empty, -np.inf, ends) for ends in (below, above)]
    columns = ((lows[0], np.inf), (highs[0], -np.inf), (lows[1], np.inf), (highs[1], -np.inf))
    return Interval(*(_spread_over_codes(ends, fill, negative=negative) for ends, fill in columns))


def _list_magnitudes(format_: Format) -> Array:
    """Return the non-negative numbers of the format, infinity last."""
    codes = torch.arange(_SIGN, dtype=torch.int32).to(torch.int16).view(format_.dtype)
    return to_array(codes[~codes.isnan()])


def _bound_values(format_: Format, limit: float) -> tuple[Array, Array]:
    """Return the smallest and largest value within ``limit`` ulp of each non-negative number; exact in float64."""
    finite = _list_magnitudes(format_)[:-1]
    exponent = np.frexp(np.maximum(finite, format_.tiny))[1] - 1
    unit = np.ldexp(1.0, exponent - format_.precision + 1)
    starts_binade = (finite == np.ldexp(1.0, exponent)) & (exponent > format_.emin)
    low = finite - limit * np.where(starts_binade, unit / 2.0, unit)
    high = finite + limit * unit
    # The unit doubles at the next power of two.
    high = np.where(high >= np.ldexp(1.0, exponent + 1), finite + 2.0 * limit * unit, high)
    overflow = format_.max + unit[-1] / 2.0
    high = np.minimum(high, overflow)
    return np.append(np.maximum(low, 0.0), overflow), np.append(high, np.inf)


def _bound_arguments(function: Increasing, values: Array) -> tuple[Array, Array]:
    """Return for each value's argument the largest float64 below or at it, and the smallest above or at it."""
    unique, position = np.unique(values, return_inverse=True)
    with ctx.workprec(_BITS):
        arguments = np.array([_bound_argument(function, float(value)) for value in unique])
    return arguments[position, 0], arguments[position, 1]


def _bound_argument(function: Increasing, value: float) -> tuple[float, float]:
    if value <= 0.0 or value >= function.supremum:
        end = -np.inf if value <= 0.0 else np.inf
        return end, end
    exact = function.inverse(arb(value))
    below = above = float(exact.mid())
    while not arb(below) <= exact:
        below = float(np.nextafter(below, -np.inf))
    while not arb(above) >= exact:
        above = float(np.nextafter(above, np.inf))
    return below, min(above, value) if function.below_identity else above


def _spread_over_codes(ends: Array, fill: float, *, negative: bool) -> Array:
    """Spread the ends of the non-negative numbers over all codes; other codes get empty intervals."""
    table = np.full(CODES, fill)
    first = _SIGN if negative else 0
    table[first : first + len(ends)] = ends
    table[_SIGN - first] = ends[0]
    return table


def compare_with_limit(exact: DoubleDouble, codes: NDArray[np.int64], interval: Interval) -> tuple[Flags, Flags]:
    """Return which codes are within their limit at exact arguments, and which of the others are undecided."""
    inside = _is_at_least(exact, interval.inner_low[codes]) & _is_at_most(exact, interval.inner_high[codes])
    undecided = np.zeros(inside.shape, dtype=bool)
    # Only zero, or an argument that is not a float64, can lie between the inner and the outer ends.
    doubtful = np.flatnonzero(~inside & ((exact.lo != 0.0) | (exact.hi == 0.0)))
    if len(doubtful):
        chosen, chosen_codes = exact[doubtful], codes[doubtful]
        outside = _is_at_most(chosen, interval.outer_low[chosen_codes]) | _is_at_least(
            chosen, interval.outer_high[chosen_codes]
        )
        is_empty = interval.inner_low[chosen_codes] == np.inf
        undecided[doubtful] = ~is_empty & (~outside | (chosen.hi == 0.0))
    return inside, undecided


def _is_at_most(exact: DoubleDouble, end: Array) -> Flags:
    return np.asarray((exact.hi < end) | ((exact.hi == end) & (exact.lo <= 0.0)))


def _is_at_least(exact: DoubleDouble, end: Array) -> Flags:
    return np.asarray((exact.hi > end) | ((exact.hi == end) & (exact.lo >= 0.0)))
