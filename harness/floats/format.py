"""Floating-point formats, ulps, ordinals, and measurements: how far results deviate from the exact values.

The unit of error is ``ulp(y) = 2^(max(floor(log2 |y|), emin) - p + 1)``, evaluated at the *exact* value ``y`` with the
exponent capped at ``emax``. The deviation ``|actual - y| / ulp(y)`` is a real number and contains no rounding of the
oracle. A result is correctly rounded if its deviation is at most one half, for normal numbers, subnormal numbers and
zero.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 2.1.
J.-M. Muller et al. (2018), *Handbook of Floating-Point Arithmetic*, 2nd ed., section 2.3.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from flint import arb, ctx
from numpy.typing import NDArray
from torch import Tensor

from harness.dtype import PARAMETERS
from harness.error import UsageError, did_you_mean, join_names
from harness.floats.double_double import Array, DoubleDouble, lift


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Parameters
    ----------
    name
        Name of the torch dtype.
    precision
        ``p``: number of significand bits, including the implicit one.
    emin, emax
        Exponents of the smallest normal and of the largest finite number.
    flushes
        Whether the processor replaces subnormal numbers by zero.
    """

    name: str
    precision: int
    emin: int
    emax: int
    flushes: bool = False

    @cached_property
    def dtype(self) -> torch.dtype:
        """The torch dtype."""
        dtype = getattr(torch, self.name)
        assert isinstance(dtype, torch.dtype)
        return dtype

    @property
    def u(self) -> float:
        """Unit roundoff ``2^-p``."""
        return math.ldexp(1.0, -self.precision)

    @cached_property
    def accumulator(self) -> "Format":
        """The format in which a reduction should accumulate: float32 for the 16-bit formats."""
        return max(self, FORMATS["float32"], key=lambda format_: format_.precision)

    @property
    def u_accumulator(self) -> float:
        """Unit roundoff of the accumulator."""
        return self.accumulator.u

    @property
    def max(self) -> float:
        """Largest finite number."""
        return math.ldexp(2.0 - 2.0 * self.u, self.emax)

    @property
    def tiny(self) -> float:
        """Smallest positive normal number."""
        return math.ldexp(1.0, self.emin)

    @property
    def smallest(self) -> float:
        """Smallest positive number: the ulp below ``tiny``, or ``tiny`` itself if subnormals are flushed to zero."""
        return self.tiny if self.flushes else math.ldexp(1.0, self.emin - self.precision + 1)

    @cached_property
    def log_max(self) -> float:
        """``ln(max + ulp/2)``: the exponential of this or a larger number rounds to infinity."""
        return _compute_log(2 - arb(2) ** -self.precision, self.emax)

    @cached_property
    def log_smallest(self) -> float:
        """``ln(smallest / 2)``: the exponential of this or a smaller number rounds to zero."""
        return _compute_log(arb(1), self.emin - self.precision)

    def round(self, value: float) -> float:
        """Round a float64 to the format, to nearest with ties to even."""
        return float(torch.tensor(value, dtype=torch.float64).to(self.dtype))


def _compute_log(significand: arb, exponent: int) -> float:
    """``ln(significand * 2^exponent)``, correctly rounded; the float64 product with ``ln 2`` errs by a few ulp."""
    with ctx.workprec(200):
        return float((significand * arb(2) ** exponent).log())


FORMATS = {name: Format(name, *parameters) for name, parameters in PARAMETERS.items()}
"""The formats by the name of their dtype."""


def format_of(name: str) -> Format:
    """Return the format with a dtype's name.

    Parameters
    ----------
    name
        ``float64``, ``float32``, ``bfloat16`` or ``float16``.

    Returns
    -------
    Format
        The format with its precision and exponents.

    Raises
    ------
    UsageError
        If there is no such format.
    """
    if name not in FORMATS:
        raise UsageError(
            f"unknown dtype `{name}`", rule=f"choose from {join_names(FORMATS)}", remedy=did_you_mean(name, FORMATS)
        )
    return FORMATS[name]


def to_array(tensor: Tensor) -> Array:
    """Convert a tensor to float64 values, exactly; the result shares no memory with the tensor.

    Parameters
    ----------
    tensor
        A tensor of any shape, dtype and device.

    Returns
    -------
    Array
        The values, with the shape of ``tensor``.
    """
    converted = tensor.detach().to(device="cpu", dtype=torch.float64).numpy(force=True)
    return converted.copy(order="K") if tensor.dtype is torch.float64 else converted


_MANTISSA_BITS, _MANTISSA_MASK, _BIAS = 52, (1 << 52) - 1, 1023


def ulp(expected: DoubleDouble, format_: Format) -> Array:
    """Unit in the last place at the exact values, elementwise, in float64.

    The exponent is one lower if ``hi`` is a power of two and ``lo`` points towards zero. The exact value then lies in
    the binade below.

    Parameters
    ----------
    expected
        Exact values of any shape; subnormal numbers and zero have the ulp of the smallest normal number.
    format_
        The format.

    Returns
    -------
    Array
        Positive powers of two, with the shape of ``expected``.
    """
    bits = np.ascontiguousarray(expected.hi, dtype=np.float64).view(np.int64)
    biased = bits >> _MANTISSA_BITS
    biased &= 0x7FF
    power = (bits & _MANTISSA_MASK) == 0
    if power.any():
        biased -= power & (np.sign(expected.lo) * np.sign(expected.hi) < 0)
    # Clip the biased exponents of zero and subnormals (0), and of infinities and NaN (2047).
    np.maximum(biased, format_.emin + _BIAS, out=biased)
    np.minimum(biased, format_.emax + _BIAS, out=biased)
    biased -= format_.precision - 1
    if format_.emin + _BIAS >= format_.precision:
        biased <<= _MANTISSA_BITS
        return np.asarray(biased.view(np.float64)).reshape(np.shape(expected.hi))
    return np.asarray(np.ldexp(1.0, biased - _BIAS)).reshape(np.shape(expected.hi))


def deviation(actual: Array, expected: DoubleDouble, format_: Format) -> Array:
    """``|actual - expected| / ulp(expected)``, elementwise.

    Parameters
    ----------
    actual
        Values of the format, or of a wider one, converted to float64.
    expected
        Exact values; NaN where the contract requires NaN.
    format_
        Format of ``actual``.

    Returns
    -------
    ndarray of float64
        In ulp. It is zero where both are NaN or the same infinity. It is ``inf`` where ``actual`` is NaN or an infinity
        to which the exact value does not round. It is also ``inf`` where the exact value rounds to an infinity and
        ``actual`` is a number of the format.
    """
    limit_hi, limit_lo = format_.max, float(np.ldexp(1.0, format_.emax - format_.precision))
    excess = (np.abs(expected.hi) - limit_hi) + np.sign(expected.hi) * expected.lo
    overflows = np.isinf(expected.hi) | (excess >= limit_lo)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs((actual - expected.hi) - expected.lo) / ulp(expected, format_)
    deviations = np.where(np.isfinite(actual), error, np.inf)
    if overflows.any():
        same_infinity = np.isinf(actual) & (np.sign(actual) == np.sign(expected.hi))
        # A wider output format can represent a number beyond the range of the format; it has an ordinary deviation.
        out_of_range = np.isfinite(actual) & np.isfinite(expected.hi) & (np.abs(actual) >= limit_hi + limit_lo)
        of_overflow = np.where(same_infinity, 0.0, np.where(out_of_range, error, np.inf))
        deviations = np.where(overflows, of_overflow, deviations)
    if format_.flushes:
        deviations = np.where((np.abs(expected.hi) < format_.tiny) & (np.abs(actual) <= format_.tiny), 0.0, deviations)
    expected_nan = np.isnan(expected.hi)
    if expected_nan.any():
        deviations = np.where(expected_nan, np.where(np.isnan(actual), 0.0, np.inf), deviations)
    return np.asarray(deviations, dtype=np.float64)


def round_to(exact: DoubleDouble, format_: Format) -> Tensor:
    """Round exact values to nearest, ties to even, with a single rounding; infinities and NaN stay.

    Converting ``hi`` alone would round twice: ``hi`` is already rounded to float64, and torch converts float64 to
    float16 through float32. The nearest of that result and its two neighbors is therefore taken.

    Parameters
    ----------
    exact
        Exact values of any shape.
    format_
        The format to round to.

    Returns
    -------
    Tensor
        The rounded values, with the shape of ``exact``; ``max + ulp/2`` and larger values become infinite.
    """
    start = torch.from_numpy(np.array(exact.hi)).to(format_.dtype)
    limit = torch.full_like(start, format_.max)
    # Infinity is nearest from max + ulp/2 on, even if the conversion gave a finite number.
    excess = (np.abs(exact.hi) - format_.max) + np.sign(exact.hi) * exact.lo
    overflows = np.isinf(exact.hi) | (excess >= np.ldexp(1.0, format_.emax - format_.precision))
    ordinals = to_ordinal(torch.where(start.isinf(), limit.copysign(start), start))
    best, error = ordinals, np.full(ordinals.shape, np.inf)
    for step in (0, -1, 1):
        candidate = ordinals + step
        value = to_array(from_ordinal(candidate, format_))
        with np.errstate(invalid="ignore", over="ignore"):
            distance = np.abs((value - exact.hi) - exact.lo)
        nearer = (distance < error) | ((distance == error) & (candidate % 2 == 0))
        nearer &= np.isfinite(value)
        best, error = np.where(nearer, candidate, best), np.where(nearer, distance, error)
    rounded = from_ordinal(best, format_).copysign(torch.from_numpy(np.array(exact.hi)).to(format_.dtype))
    keep = torch.from_numpy(np.asarray(np.isnan(exact.hi) | overflows))
    infinite = torch.from_numpy(np.where(np.isnan(exact.hi), np.nan, np.copysign(np.inf, exact.hi)))
    return torch.where(keep, infinite.to(format_.dtype), rounded)


_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def view_bits(tensor: Tensor) -> Tensor:
    """View the bits of a tensor as integers of the same size.

    Parameters
    ----------
    tensor
        A tensor of any shape, of a dtype of at most eight bytes.

    Returns
    -------
    Tensor
        The integers; they share their memory with ``tensor``.
    """
    return tensor.detach().view(_INTEGERS[tensor.element_size()])


def to_ordinal(tensor: Tensor) -> NDArray[np.int64]:
    """Number the floats of a format so that neighbors differ by one; both zeros are 0.

    The numbers are the sign-magnitude bits, read as an integer. They are exact for every format and include infinities.

    Parameters
    ----------
    tensor
        Floats of any shape, without NaN.

    Returns
    -------
    ndarray of int64
        The numbers, with the shape of ``tensor``.
    """
    bits = view_bits(tensor.cpu()).numpy().astype(np.int64, order="C")
    sign_bit = -(1 << (8 * tensor.element_size() - 1))
    return np.where(bits < 0, sign_bit - bits, bits)


def from_ordinal(ordinals: NDArray[np.int64], format_: Format) -> Tensor:
    """Invert :func:`to_ordinal`; ordinal 0 gives +0.

    Parameters
    ----------
    ordinals
        Numbers of floats, of any shape; see :func:`to_ordinal`.
    format_
        The format of the result.

    Returns
    -------
    Tensor
        The floats, with the shape of ``ordinals``.
    """
    size = format_.dtype.itemsize
    sign_bit = -(1 << (8 * size - 1))
    bits = np.array(ordinals, dtype=np.int64)
    bits[bits < 0] = sign_bit - bits[bits < 0]
    return torch.from_numpy(bits.astype(f"int{8 * size}")).view(format_.dtype)


# Measurements


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
    unjudged
        Elements whose deviation is not judged, because no bound is known there; ``None`` if there are none.
    """

    deviation: Array
    bound: Array
    actual: Array
    expected: Array
    circumstance: str = ""
    free: NDArray[np.bool_] | None = None
    unjudged: NDArray[np.bool_] | None = None

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

    def get_bound(self, index: Any) -> float:
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
        return _make_infinite(values, exact)
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
        return _make_infinite(actual, lift(reference))
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
    for measurement in others:
        is_worse = measurement.deviation > worst.deviation
        worst = replace(
            worst,
            deviation=np.where(is_worse, measurement.deviation, worst.deviation),
            actual=np.where(is_worse, measurement.actual, worst.actual),
        )
    return worst


def _make_infinite(values: Array, exact: DoubleDouble) -> Measurement:
    shape = exact.shape or (1,)
    actual = np.broadcast_to(np.nan if values.size != 1 else values.reshape(()), shape)
    return Measurement(np.full(shape, np.inf), np.zeros(shape), actual, exact.hi.reshape(shape))


def convert_to_ulp(absolute: Array, expected: DoubleDouble, format_: Format) -> Array:
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
