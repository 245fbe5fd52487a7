"""The records of the gate: its findings, and the slices behind its verdicts on time."""

from enum import StrEnum
from typing import Literal

from harness.record.schema import Count, Record, Size


class Gate(StrEnum):
    """The gate that a finding is from."""

    NUMERICS = "numerics"
    COUNTS = "counts"
    TIME = "time"
    SAMENESS = "sameness"


class Outcome(StrEnum):
    """Outcome of one comparison of the gate."""

    REGRESSED = "regressed"
    IMPROVED = "improved"
    UNCHANGED = "unchanged"
    NEW = "new"
    """There is nothing to compare it with."""
    INCONCLUSIVE = "inconclusive"
    """The measurement shows neither a regression nor its absence."""
    RELEASE = "release"
    """The law fails only because of another release of torch: the source is the baseline's."""
    NO_VERDICT = "no verdict"
    """It could not be compared, though it was to be."""


MOST_DECISIVE = (
    *(Outcome.REGRESSED, Outcome.NO_VERDICT, Outcome.RELEASE),
    *(Outcome.INCONCLUSIVE, Outcome.NEW, Outcome.IMPROVED, Outcome.UNCHANGED),
)
"""The outcomes, the most decisive first."""


class GateFinding(Record):
    """One comparison of the gate and its outcome, in one sentence."""

    kind: Literal["finding"] = "finding"
    gate: Gate
    case: str = ""
    """The case; empty where it is about all of them."""
    subject: str = ""
    """The law and dtype, the ray, or the quantity that was compared; empty for the case as a whole."""
    outcome: Outcome
    sentence: str
    machine: bool = False
    """Whether a verdict is missing for want of a quiet machine, and for no other reason."""


class Comparison(Record):
    """The time of a case in one arm over its time in the base, with its interval over couples of processes."""

    kind: Literal["comparison"] = "comparison"
    case: str
    arm: Literal["candidate", "null", "control"]
    """``null``: a second process of the base. ``control``: the base with a tenth more calls."""
    outcome: Outcome
    couples: Count
    ratio: Size
    """Geometric mean over the couples."""
    low: Size
    """Lower 95 % bound, one-sided."""
    high: Size
    """Upper 95 % bound, one-sided."""
    visible: Size | None
    """Smallest slowdown that would have been seen with a probability of 95 %; 0.1 is ten percent."""
    margin: Size
    """A slowdown within it is none."""
    tolerance: Size
    """A slowdown below it is tolerated: a case is unchanged where its upper bound is below."""


class Slices(Record):
    """The measurements of one case by one process of a pair."""

    kind: Literal["slices"] = "slices"
    couple: Count
    case: str
    arm: Literal["base", "candidate", "null", "control"]
    rounds: Count
    """Number of rounds per slice."""
    iterations: Count
    """Calls a round."""
    starts_s: tuple[Size, ...]
    """When each slice began, in seconds since the measurement did."""
    minima_s: tuple[Size, ...]
    """Fastest round per slice, in seconds."""
    medians_s: tuple[Size, ...]
    cpu_s: tuple[Size, ...]
    """Time of the process on a core, in seconds a round."""
    load: Size | None
    """Average load of the machine in the minute before."""
    steal: Size | None
    """Share of time that the hypervisor gave to others meanwhile."""
    frequency_hz: Size | None
