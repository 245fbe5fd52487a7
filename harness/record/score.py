"""The score of an implementation: whether it is right, and how fast it is beside another, in one document."""

from enum import StrEnum

from harness.record.schema import SCHEMA, Count, Record, Size


class Tier(StrEnum):
    """How right an implementation is; the first two are correct."""

    HOLDS = "every law holds"
    LOST = "loses digits"
    DEFECT = "defect"
    UNANSWERED = "no answer"


class Speed(Record):
    """How fast an implementation answers beside a reference, on equal inputs that neither has seen before."""

    dtype: str
    device: str
    inputs: dict[str, tuple[Count, ...]]
    """The shape of each input."""
    ratio: Size
    """Time of the reference over the implementation's: 2 is twice as fast."""
    low: Size
    high: Size
    """Ends of the interval; zero and infinity where there was time for one couple of processes only."""
    level: float
    couples: Count
    """Couples of fresh processes of which each gave one ratio."""
    seconds: Size
    """Of one call of the implementation, the fastest of all turns."""
    reference_seconds: Size
    """The same of the reference."""


class Score(Record):
    """What an evaluation of generated kernels asks for."""

    schema_version: int = SCHEMA
    candidate: str
    source: str | None
    """A checksum of its source; ``None`` where that is unknown."""
    reference: str
    contract: str
    seed: int
    late_seed: int
    """Of what nobody could foresee: late questions, the inputs that were timed, and the answers that were looked at."""
    correct: bool
    tier: Tier
    verdict: str
    """In words, as ``check`` says it."""
    laws: dict[str, Count]
    """How many laws there are of each status."""
    findings: tuple[str, ...]
    """What is wrong, one sentence each, the worst first."""
    speed: Speed | None
    """``None`` where it was not measured."""
    reason: str | None = None
    """Why it was not."""
