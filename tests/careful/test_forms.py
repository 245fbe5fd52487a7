"""No false alarm on a careful engineer's own forms: what breaks on one is lost digits, or listed with its reason."""

import pytest
from careful.forms import DEFECTS, FORMS, Form

from harness.case import Case
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job, jobs

DTYPES = ("float32", "bfloat16")

OF_ALL_DTYPES = {"value", "gradient", "gradient_at_zero"}
"""Laws that are decided in float64 and float16, too."""

GROUPS = {"value", "algebra", "finite", "gradient"}
"""What rounding decides; the other groups are those of any implementation."""


def decidable(form: Form) -> list[Job]:
    """The laws of a form that rounding decides."""
    case = Case(form.function, form.contract, declares=dict(form.declares), name=f"careful.forms.{form.name}")
    rounded = [job for job in jobs([case]) if job.law.group in GROUPS]
    return [job for job in rounded if job.format.name in DTYPES or job.law.name in OF_ALL_DTYPES]


def decided(job: Job) -> Verdict:
    """On a few examples, without making what fails smaller."""
    return decide(job, examples=3, minimal=False)


JOBS = [job for form in FORMS for job in decidable(form)]


def _known(job: Job) -> bool:
    return job.law.name in DEFECTS.get(job.case.name.rpartition(".")[2], {})


@pytest.mark.parametrize(
    "job", [job for job in JOBS if not _known(job)], ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}"
)
def test_a_careful_form_is_not_called_wrong(job: Job) -> None:
    """It holds, or loses digits that a better algorithm keeps; a backward pass of one's own need not have another."""
    verdict = decided(job)
    skipped = {Status.SKIPPED} if job.law.name == "second_derivative" else set()
    assert verdict.status in {Status.HOLDS, Status.LOST} | skipped, verdict.violation or verdict.reason


@pytest.mark.parametrize(
    "job", [job for job in JOBS if _known(job)], ids=lambda job: f"{job.case.name}-{job.law.name}-{job.format.name}"
)
def test_what_is_wrong_with_a_careful_form_is_found(job: Job) -> None:
    """However careful the rest of it is."""
    assert decided(job).status is Status.BROKEN
