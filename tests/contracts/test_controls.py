"""Correctly rounded and stable implementations keep every law, and no bound is looser than recorded.

``tox run -e mutants`` decides all controls and fails if one breaks a law or if a bound differs from the record. This
module decides the controls of one contract, in a wide and a narrow dtype.
"""

import numpy as np
import pytest
from controls.catalogue import CONTROLS
from controls.control import undecided
from tightness.record import DTYPES, is_comparable, key_of, moved, read

from harness.contracts import contracts
from harness.floats import FORMATS, DoubleDouble
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import Job

JOBS = [job for control in CONTROLS if control.contract == "softmax" for job in control.jobs(DTYPES)]

RECORDED = read()

UNCONTROLLED = {
    *("linear_regression", "softmax_regression", "linear_regression_step", "softmax_regression_step"),
    *("least_squares", "learning_curves", "loader", "data_loader"),
}
"""Contracts of trainings and loaders have no correctly rounded form; the shipped cases are their controls."""


def test_every_operation_has_its_controls() -> None:
    """Every contract has a control, except the contracts in `UNCONTROLLED`."""
    assert {control.contract for control in CONTROLS} == set(contracts()) - UNCONTROLLED


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}")
def test_a_sound_implementation_keeps_the_law(job: Job) -> None:
    """Every law holds, in each group of laws, and its bound is as loose as recorded by this version of Hypothesis."""
    verdict = decide(job)
    assert verdict.status is Status.HOLDS, verdict.reason or verdict.violation
    assert verdict.rows > 0
    assert key_of(verdict) in RECORDED, f"`python -m tightness {verdict.contract}` in tests/ records it"
    assert not is_comparable() or not moved(verdict, RECORDED[key_of(verdict)])


def test_ball_arithmetic_decides_near_a_tie() -> None:
    """The screen's error could round it to either side."""
    half_an_ulp = np.array([1.0 + 2.0**-24, 1.0 + 2.0**-25, 1.0])
    screen = DoubleDouble(half_an_ulp, np.array([1e-20, 0.0, 0.0]))
    assert undecided(screen, FORMATS["float32"]).tolist() == [True, False, False]
