"""What was seen of a law is counted whatever its size."""

import sys

import numpy as np

from harness.floats import Measurement
from harness.verdict.trial import Census


def test_the_largest_bound_there_is_has_a_mean() -> None:
    """Its logarithm rounds to 1024, and no float64 is two to that power."""
    census = Census()
    zero = np.zeros(1)
    census.note(Measurement(zero, np.full(1, sys.float_info.max), zero, zero))
    assert census.typical_bound is not None
    assert 1e308 < census.typical_bound < np.inf
