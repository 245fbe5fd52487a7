"""The trace of a ray: recorded calls of an implementation while the parameter of the ray grows."""

from typing import Literal

from harness.record.schema import Record
from harness.record.survey import SurveyRecord

BOOK = 50.0
"""The chapter's example, exp(50): a call on every ray that reaches it, and a mark on the number lines."""


class Stage(Record):
    """The result of one operation within a call."""

    operation: str
    """Name of the operation in torch."""
    values: tuple[float, ...]


class RecordedCall(Record):
    """One recorded call; nothing is interpolated."""

    t: float
    t_hex: str
    given: tuple[float, ...]
    """The entries of the first input."""
    stages: tuple[Stage, ...]
    """Results on the way to the answer; none where the implementation's operations cannot be followed."""
    actual: tuple[float, ...]
    expected: tuple[float, ...]
    """Exact answer, in float64."""
    deviation: float
    """Largest deviation of an entry, and its bound."""
    bound: float

    @property
    def broken(self) -> bool:
        """Whether the law is broken here."""
        return not self.deviation <= self.bound


class RayTrace(SurveyRecord):
    """Calls of an implementation along a ray, up to its breaking point and beyond it."""

    kind: Literal["passage"] = "passage"
    ray: str
    formula: str
    breaks_at: float | None
    """The breaking point, where there is one."""
    form: str | None = None
    """Its closed form, where it is known."""
    expected_break: bool = False
    """Whether the case declares that the law fails."""
    stations: tuple[RecordedCall, ...]
    """The calls, in the order of the parameter."""

    @property
    def key(self) -> tuple[str, ...]:
        """The key of the trace within a run."""
        return (self.case, self.law, self.dtype, self.device, self.ray)
