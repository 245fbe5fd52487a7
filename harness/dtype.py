"""The dtypes: parameters of their binary formats, and the position of a number in its format.

This module does not import torch.

References
----------
IEEE Std 754-2019, section 3.3.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple


class Parameters(NamedTuple):
    """The parameters of a binary format.

    Parameters
    ----------
    precision
        ``p``: significand bits, including the implicit one.
    emin, emax
        Exponents of the smallest normal and of the largest finite number.
    """

    precision: int
    emin: int
    emax: int

    @property
    def bits(self) -> int:
        """Bits of a number: sign, biased exponent, and significand without the implicit bit."""
        return self.emax.bit_length() + 1 + self.precision


PARAMETERS: Mapping[str, Parameters] = {
    "float64": Parameters(53, -1022, 1023),
    "float32": Parameters(24, -126, 127),
    "bfloat16": Parameters(8, -126, 127),
    "float16": Parameters(11, -14, 15),
}
"""Parameters by torch dtype name, in display order."""


def short_name(dtype: str) -> str:
    """Return the dtype as a heading of a narrow column: ``64``, ``32``, ``b16``, ``16``."""
    return dtype.replace("float", "")


def ordinal(value: float, dtype: str) -> int:
    """Return the position of a number or infinity in its format: neighbors differ by one, and both zeros are 0."""
    precision, emin, emax = PARAMETERS[dtype]
    size = abs(value)
    if math.isinf(size):
        exponent, significand = emax + 1, 1.0
    else:
        exponent = math.frexp(max(size, math.ldexp(1.0, emin)))[1] - 1
        significand = math.ldexp(size, -exponent)
    place = ((exponent - emin) << (precision - 1)) + round(math.ldexp(significand, precision - 1))
    return place if value >= 0.0 else -place
