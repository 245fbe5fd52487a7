"""What was seen of a law is counted whatever its size."""

import sys

import numpy as np

import harness
from harness.floats import Measurement
from harness.record import Status
from harness.verdict.trial import Census


def test_the_largest_bound_there_is_has_a_mean() -> None:
    """Its logarithm rounds to 1024, and no float64 is two to that power."""
    census = Census()
    zero = np.zeros(1)
    census.note(Measurement(zero, np.full(1, sys.float_info.max), zero, zero))
    assert census.typical_bound is not None
    assert 1e308 < census.typical_bound < np.inf


def test_a_bound_that_is_no_number_admits_nothing() -> None:
    """That of an answer which is NaN, where the law has the bound of the answer: it is a verdict all the same."""
    found = harness.check(
        lambda x: x / 0.0 * 0.0,
        "rms_norm",
        laws=["mean_square_at_most_one"],
        dtypes=["float32"],
        examples=2,
        corpora=(),
    )
    (verdict,) = found
    assert verdict.status is Status.BROKEN
    assert verdict.bound == 0.0
    assert verdict.violation is not None
    assert verdict.violation.bound == 0.0
