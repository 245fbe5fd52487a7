"""What was seen of a law is counted whatever its size."""

import sys

import numpy as np

import harness
from harness.floats import Measurement
from harness.record import Status
from harness.verdict.trial import Census


def test_a_huge_bound_does_not_hide_the_others() -> None:
    """A bound above 2**40 counts as 2**40, so that doubling the other one changes the mean."""
    zero = np.zeros(2)

    def typical(bound: float) -> float | None:
        census = Census()
        census.note(Measurement(zero, np.array([sys.float_info.max, bound]), zero, zero))
        return census.typical_bound

    assert typical(16.0) == 2.0**22
    assert typical(64.0) == 2.0**23


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
