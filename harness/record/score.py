"""The score of an implementation in one document: its correctness, and its speed relative to a reference."""

from enum import StrEnum

from harness.record.schema import SCHEMA, Count, Record, Size


class Tier(StrEnum):
    """Degree of correctness of an implementation; the first two count as correct."""

    HOLDS = "every law holds"
    LOST = "loses digits"
    DEFECT = "defect"
    UNANSWERED = "no answer"


class Speed(Record):
    """Speed of an implementation relative to a reference, on equal inputs that are new to both."""

    dtype: str
    device: str
    inputs: dict[str, tuple[Count, ...]]
    """Shapes of the inputs."""
    ratio: Size
    """Time of the reference over the implementation's: 2 is twice as fast."""
    low: Size
    high: Size
    """Ends of the interval; zero and infinity where there was time for one couple of processes only."""
    level: float
    couples: Count
    """Number of pairs of fresh processes, with one ratio per pair."""
    seconds: Size
    """Time of a call of the implementation, the fastest of all rounds."""
    reference_seconds: Size
    """The same of the reference."""


class Score(Record):
    """The result for an evaluation of generated kernels."""

    schema_version: int = SCHEMA
    candidate: str
    source: str | None
    """A checksum of its source; ``None`` where that is unknown."""
    reference: str
    contract: str
    seed: int
    late_seed: int
    """Unpredictable seed for the final re-checks, the timed inputs and the sampled answers."""
    correct: bool
    tier: Tier
    verdict: str
    """In words, as ``check`` says it."""
    laws: dict[str, Count]
    """Number of laws by status."""
    findings: tuple[str, ...]
    """Findings, one sentence for each, the worst first."""
    speed: Speed | None
    """``None`` where it was not measured."""
    reason: str | None = None
    """Why it was not."""
