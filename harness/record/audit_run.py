"""A run of steps with some audits: their number, their cost, and the outcome of the other steps."""

from typing import Literal

from harness.record.schema import Count, Record, Size

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
