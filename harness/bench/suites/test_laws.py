"""Every law of every loaded case, one item for each case, law and dtype."""

import pytest

from harness.calling.discovery import is_shipped
from harness.calling.target import load
from harness.record import Status
from harness.timing.clock import threads
from harness.verdict.decide import decide
from harness.verdict.job import Job, list_jobs
from harness.wording.verdict import violation_block


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each verdict, with an id that states the claim."""
    cases = metafunc.config.getoption("harness_cases")
    listed = list_jobs(load(cases), watched=not is_shipped(cases))
    ids = [f"{job.case.name}-{job.law.name}-{job.format.name}" for job in listed]
    metafunc.parametrize("job", listed, ids=ids)


def test_the_law_holds_or_fails_as_declared(job: Job) -> None:
    """Require declared failures, and fail for any other."""
    with threads(1):
        verdict = decide(job)
    if verdict.status in {Status.EXPECTED, Status.LOST}:
        pytest.xfail(verdict.reason or "declared")
    if verdict.status.fails:
        pytest.fail(violation_block(verdict) if verdict.violation else f"{verdict.reason}", pytrace=False)
    assert verdict.examples > 0
    assert verdict.rows > 0
