"""Measurements: how far each element of an output deviates from the exact value, in the unit of a law."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from harness.floats.double_double import Array, DoubleDouble, lift
from harness.floats.format import Format, deviation, to_array, ulp


@dataclass(frozen=True)
class Measurement:
    """Result of one law on one example, element by element.

    Parameters
    ----------
    deviation, bound
        In the law's unit; the law holds where ``deviation <= bound``.
    actual, expected
        The implementation's values and the exact ones, for the message.
    circumstance
        How the implementation was called if a law calls it in several ways, otherwise empty.
    free
        Elements for which any result is admissible, and may differ between runs; ``None`` if there are none.
    """

    deviation: Array
    bound: Array
    actual: Array
    expected: Array
    circumstance: str = ""
    free: NDArray[np.bool_] | None = None

    @cached_property
    def ratio(self) -> Array:
        """``deviation / bound``; zero if the deviation is zero, ``inf`` if the deviation is infinite, for any bound."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.deviation / self.bound
        ratio = np.where(self.deviation == 0.0, 0.0, ratio)
        return np.where(np.isposinf(self.deviation) | np.isnan(self.deviation), np.inf, ratio)

    @property
    def worst(self) -> tuple[int, ...]:
        """Index of the largest ratio."""
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(self.ratio)), self.ratio.shape))

    @cached_property
    def severity(self) -> Array:
        """The ratio to a bound of at least half a unit, so that measurements with a bound of zero can be compared."""
        with np.errstate(over="ignore", invalid="ignore"):
            severity = self.deviation / np.maximum(self.bound, 0.5)
        return np.where(np.isnan(severity), np.inf, severity)

    @property
    def most_severe(self) -> float:
        """The largest severity; zero for an empty measurement."""
        return float(self.severity.max(initial=0.0))

    def admitted(self, index: Any) -> float:
        """Return the bound at an index; zero if the bound is NaN."""
        return float(np.nan_to_num(self.bound[index], nan=0.0, posinf=np.inf))

    @property
    def over(self) -> int:
        """Number of elements beyond their bound."""
        return int(np.count_nonzero(self.ratio > 1.0))

    @property
    def broken(self) -> bool:
        """Whether any element is beyond its bound."""
        return self.over > 0


def compare(actual: Tensor | Array, expected: DoubleDouble | Array | float, bound: Any, format_: Format) -> Measurement:
    """Measure the deviation of an output in ulp of the exact value.

    Parameters
    ----------
    actual
        The implementation's output.
    expected
        Exact values, broadcast to ``actual``.
    bound
        Largest admissible deviation in ulp, broadcast to ``actual``.
    format_
        The format whose ulp is the unit.

    Returns
    -------
    Measurement
        Deviations in ulp, and bounds, with the shape of ``actual``.

    Notes
    -----
    If the output has another shape than the exact values, every deviation is ``inf``.
    """
    values = to_array(actual) if isinstance(actual, Tensor) else np.asarray(actual, dtype=np.float64)
    exact = lift(expected)
    if isinstance(expected, DoubleDouble) and values.shape != exact.shape:
        return _all_infinite(values, exact)
    exact = DoubleDouble(np.broadcast_to(exact.hi, values.shape), np.broadcast_to(exact.lo, values.shape))
    limit = np.broadcast_to(np.asarray(bound, dtype=np.float64), values.shape)
    return Measurement(deviation(values, exact, format_), limit, values, exact.hi)


def compare_absolute(actual: Tensor | Array, expected: Array, bound: Array, format_: Format) -> Measurement:
    """Measure the deviation in ulp of one or of the expected value, whichever is larger.

    The ulp of a value that is near zero after cancellation is no useful unit.

    Parameters
    ----------
    actual, expected
        Values of the same shape; equal ones have deviation zero, also infinities.
    bound
        Largest admissible absolute error.
    format_
        The format whose ulp is the unit.

    Returns
    -------
    Measurement
        Deviations and bounds in that ulp, with the shape of ``actual``; ``inf`` for a NaN or an unexpected infinity.
    """
    values = to_array(actual) if isinstance(actual, Tensor) else actual
    unit = 2.0 * format_.u * np.maximum(1.0, np.where(np.isfinite(expected), np.abs(expected), 1.0))
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(values), np.abs(values - expected), np.inf)
    error = np.where(values == expected, 0.0, error)
    with np.errstate(over="ignore"):
        return Measurement(error / unit, np.broadcast_to(bound / unit, values.shape), values, expected)


def compare_runs(actual: Array, reference: Array, first: Measurement, format_: Format) -> Measurement:
    """Compare a second run with the first, within twice the bound of the first.

    Parameters
    ----------
    actual
        Output of the second run.
    reference
        Output of the first run; NaN equals NaN, and an infinity equals itself.
    first
        The first run measured against the oracle: supplies the bound and the unit. If an output of the first run
        exceeds the exact value, the unit is the ulp of that output.
    format_
        The format whose ulp is the unit.

    Returns
    -------
    Measurement
        Differences in ulp, and twice the bound of the first run.
    """
    if actual.shape != reference.shape:
        return _all_infinite(actual, lift(reference))
    size = np.fmax(np.abs(np.where(np.isfinite(reference), reference, 0.0)), np.abs(first.expected))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(actual - reference) / ulp(lift(size), format_)
        bound = 2.0 * first.bound
    # The number of ulps can overflow for finite outputs; only an infinite or NaN output has an infinite deviation.
    error = np.where(np.isfinite(actual) & np.isfinite(reference), np.minimum(error, np.finfo(np.float64).max), error)
    error = np.where((actual == reference) | (np.isnan(actual) & np.isnan(reference)), 0.0, error)
    error = np.where(np.isnan(error), np.inf, error)
    if first.free is not None and first.free.shape == error.shape:
        error = np.where(first.free, 0.0, error)
    return Measurement(error, bound, actual, reference)


def worse(first: Measurement, *others: Measurement) -> Measurement:
    """Return the worst of several runs, element by element.

    Parameters
    ----------
    first, others
        Measurements of the same shape, with the same bounds and exact values.

    Returns
    -------
    Measurement
        The largest deviation of each element, with its output.
    """
    worst = first
    for other in others:
        is_worse = other.deviation > worst.deviation
        worst = replace(
            worst,
            deviation=np.where(is_worse, other.deviation, worst.deviation),
            actual=np.where(is_worse, other.actual, worst.actual),
        )
    return worst


def _all_infinite(values: Array, exact: DoubleDouble) -> Measurement:
    shape = exact.shape or (1,)
    actual = np.broadcast_to(np.nan if values.size != 1 else values.reshape(()), shape)
    return Measurement(np.full(shape, np.inf), np.zeros(shape), actual, exact.hi.reshape(shape))


def in_ulp(absolute: Array, expected: DoubleDouble, format_: Format) -> Array:
    """Convert an absolute error to ulp of the exact value; zero where the exact value is not finite.

    Parameters
    ----------
    absolute
        Absolute errors, broadcast to ``expected``.
    expected
        Exact values.
    format_
        The format whose ulp is the unit.

    Returns
    -------
    Array
        Errors in ulp.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(np.where(np.isfinite(expected.hi), absolute / ulp(expected, format_), 0.0))
