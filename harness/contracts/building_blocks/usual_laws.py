"""What most laws measure, whichever the operation: numbers that are finite, and not lost."""

import numpy as np
from torch import Tensor

from harness.floats import DoubleDouble, Format, Measurement, compare, to_array


def finite(actual: Tensor, expected: DoubleDouble, format_: Format) -> Measurement:
    """Measure zero where the output is finite, ``inf`` where it is not."""
    values = to_array(actual)
    reference = DoubleDouble(np.where(np.isfinite(values), values, expected.hi), np.zeros(values.shape))
    return compare(values, reference, 0.0, format_)


def not_lost(actual: Tensor, expected: DoubleDouble, format_: Format) -> Measurement:
    """Measure ``inf`` where a value is exactly zero and the truth is a normal number."""
    values = to_array(actual)
    lost = (values == 0.0) & (np.abs(expected.hi) >= format_.tiny)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(values.shape), values, expected.hi)
