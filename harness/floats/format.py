"""Floating-point formats, ulps and ordinals: one definition for float64, float32, bfloat16 and float16.

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
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from flint import arb, ctx
from numpy.typing import NDArray
from torch import Tensor

from harness.dtype import PARAMETERS
from harness.error import UsageError, listed
from harness.floats.double_double import DoubleDouble
from harness.suggestion import did_you_mean

Array = NDArray[np.float64]


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
        if self.flushes:
            return self.tiny
        return math.ldexp(1.0, self.emin - self.precision + 1)

    @cached_property
    def log_max(self) -> float:
        """``ln(max + ulp/2)``: the exponential of this or a larger number rounds to infinity."""
        return _log_of(2 - arb(2) ** -self.precision, self.emax)

    @cached_property
    def log_smallest(self) -> float:
        """``ln(smallest / 2)``: the exponential of this or a smaller number rounds to zero."""
        return _log_of(arb(1), self.emin - self.precision)

    def round(self, value: float) -> float:
        """Round a float64 to the format, to nearest with ties to even."""
        return float(torch.tensor(value, dtype=torch.float64).to(self.dtype))


def _log_of(significand: arb, exponent: int) -> float:
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
            f"unknown dtype `{name}`", rule=f"choose from {listed(FORMATS)}", remedy=did_you_mean(name, FORMATS)
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
    found = np.where(np.isfinite(actual), error, np.inf)
    if overflows.any():
        same_infinity = np.isinf(actual) & (np.sign(actual) == np.sign(expected.hi))
        # A wider output format can represent a number beyond the range of the format; it has an ordinary deviation.
        out_of_range = np.isfinite(actual) & np.isfinite(expected.hi) & (np.abs(actual) >= limit_hi + limit_lo)
        of_overflow = np.where(same_infinity, 0.0, np.where(out_of_range, error, np.inf))
        found = np.where(overflows, of_overflow, found)
    if format_.flushes:
        found = np.where((np.abs(expected.hi) < format_.tiny) & (np.abs(actual) <= format_.tiny), 0.0, found)
    expected_nan = np.isnan(expected.hi)
    if expected_nan.any():
        found = np.where(expected_nan, np.where(np.isnan(actual), 0.0, np.inf), found)
    return np.asarray(found, dtype=np.float64)


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


def as_integers(tensor: Tensor) -> Tensor:
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
    bits = as_integers(tensor.cpu()).numpy().astype(np.int64, order="C")
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
