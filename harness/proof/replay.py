"""Replay commands for violations that a proof found; they call the case as declared, without the proof's bridge."""

from typing import overload

from harness.calling.adapter import unbridged
from harness.laws.law import Example
from harness.record import Violation
from harness.verdict.job import Job
from harness.verdict.replay import replay_command


@overload
def as_declared(violation: Violation, job: Job, example: Example) -> Violation: ...
@overload
def as_declared(violation: None, job: Job, example: Example) -> None: ...
def as_declared(violation: Violation | None, job: Job, example: Example) -> Violation | None:
    """Return the violation with the command that calls the case as the user does."""
    if violation is None:
        return None
    read = {name: example[name] for name in job.law.reads}
    replay = replay_command(unbridged(job.case), job.contract, job.law.name, job.format, read, "")
    return violation.model_copy(update={"replay": replay})
