"""The statistics of a law count all results, whatever their size."""

import sys

import numpy as np
from torch import Tensor

import harness
from harness.case import Case
from harness.floats import Measurement
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import jobs
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
    """The bound depends on the answer, which is NaN: the law still has a verdict."""
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


def test_the_final_re_check_does_not_count() -> None:
    """Its seed is new each time, so that its examples are no figures of the run."""

    def checked(late: int | None) -> Verdict:
        (job,) = jobs([Case(lambda x: x.softmax(-1), "softmax")], laws=["value"], dtypes=["float32"])
        return decide(job, examples=4, corpora=(), recheck_seed=late)

    without, once, again = checked(None), checked(1), checked(2)
    assert without.rows > 0
    assert figures(without) == figures(once) == figures(again)


def test_the_final_re_check_still_finds_what_only_it_sees() -> None:
    """An implementation that is right at first and wrong later is broken."""
    calls = 0

    def softmax(x: Tensor) -> Tensor:
        nonlocal calls
        calls += len(x) > 512
        return x.softmax(-1) * (1.0 if calls < 2 else 1.5)

    (job,) = jobs([Case(softmax, "softmax")], laws=["value"], dtypes=["float32"])
    assert decide(job, examples=4, corpora=()).status is Status.HOLDS
    calls = 0
    assert decide(job, examples=4, corpora=(), recheck_seed=3).status in {Status.BROKEN, Status.ERROR}


def figures(verdict: Verdict) -> tuple[object, ...]:
    """Return the figures that a baseline stores."""
    return verdict.examples, verdict.rows, verdict.largest, verdict.typical_bound, verdict.inputs
