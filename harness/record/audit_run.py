"""A run of steps with some audits: their number, their cost, and the outcome of the other steps."""

from typing import Literal

from harness.record.number import SECONDS, scaled
from harness.record.schema import Count, Record, Size
from harness.record.text import count

Again = Literal["", "the same", "another"]
"""Outcome of repeating the steps: not done, identical bit for bit, or different."""


class Ruin(Record):
    """An unaudited step that became non-finite right after a finite step."""

    step: Count
    what: str
    """The loss, or a weight."""


class AuditRun(Record):
    """A run in which some steps were not audited."""

    steps: Count
    audited: Count
    """Number of audited steps."""
    within: Size | None = None
    """Time limit as a multiple of the CPU time of plain steps; ``None`` if the steps were selected by number."""
    cpu_s: Size
    """CPU time of all steps, including their audits."""
    step_s: Size | None = None
    """Mean CPU time of a plain step; ``None`` if every step was audited."""
    audited_s: Size | None = None
    """Mean CPU time of a step that is audited."""
    ruins: tuple[Ruin, ...] = ()
    """The first steps without an audit that produced a value that is not finite."""
    spoiled: Count = 0
    """Number of steps without an audit that produced a value that is not finite."""
    again: Again = ""
    """Outcome of repeating the steps up to those."""
    differs_at: Count | None = None
    """The step from which on those were others."""

    @property
    def ratio(self) -> float | None:
        """CPU time of the run as a multiple of the CPU time of the plain steps."""
        return None if not self.step_s else self.cpu_s / (self.steps * self.step_s)

    @property
    def is_open(self) -> bool:
        """Whether a step went wrong that no audit has seen."""
        return bool(self.ruins) and self.again != "the same"


def run_line(run: AuditRun) -> str:
    """Return how many steps were audited, and the reason if not all were."""
    line = f"audited {run.audited:,} of {count(run.steps, 'step')}"
    if not run.step_s or run.audited_s is None or run.within is None:
        return line
    step, unit = scaled(run.step_s, SECONDS)
    times = f"an audited step takes {run.audited_s / run.step_s:.2g} times as long as a plain one ({step} {unit})"
    return f"{line}: {times}; the run took {run.ratio:.1f} times its time without the audit, limit {run.within:g}"


def run_lines(run: AuditRun) -> list[str]:
    """Return how many steps were audited, and the outcome of the others."""
    return [line for line in (run_line(run), ruin_line(run)) if line is not None]


def ruin_line(run: AuditRun) -> str | None:
    """Return which unaudited step failed, and its result; ``None`` if none failed."""
    if not run.ruins:
        others = run.steps - run.audited
        if run.spoiled:
            return f"{run.spoiled:,} of the other {others:,} steps are not finite, all after an audited step"
        return "loss and weights of the other steps are finite" if others else None
    numbers = [ruin.step for ruin in run.ruins]
    which = f"step{'s' * (len(numbers) > 1)} {', '.join(f'{number:,}' for number in numbers)}"
    what = f"{run.ruins[0].what} is not finite after {which}, which the audit skipped"
    if run.again == "the same":
        return f"{what}; a second run, identical bit for bit, audited it"
    if run.again == "another":
        remedy = "fix the random seed, or audit every step with `--sample 1` or a larger `--within`"
        return f"{what}; a second run differs from step {run.differs_at:,} on: {remedy}"
    remedy = f"`--at {numbers[0]}` or `harness.audit_run(at={numbers})`"
    return f"{what}: repeat the run with {remedy} to audit it"
