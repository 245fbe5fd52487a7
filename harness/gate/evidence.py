"""What a trial measured, and the numbers that are read off it: one a couple for each case and arm."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.gate.analysis import ArmPair, sharper
from harness.gate.couple import BASE, CONTROL, FEWER, MORE, NULL
from harness.record import Slices


@dataclass
class Evidence:
    """What was measured.

    Parameters
    ----------
    slices
        Of all couples, cases and arms.
    failures
        Why a case could not be timed, by case.
    unreached
        Cases for which the budget was too small.
    enough_s
        The budget that had reached the quickest case, where none was reached; else 0.
    startup_s
        Seconds of the budget that passed before the first pair.
    control
        The case that was the positive control.
    duration_s
        What it took.
    """

    slices: list[Slices] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    unreached: list[str] = field(default_factory=list)
    enough_s: float = 0.0
    startup_s: float = 0.0
    control: str | None = None
    duration_s: float = 0.0

    def log_ratios(self, case: str, arm: str) -> list[float]:
        """Numbers of a case in an arm, one a couple."""
        return log_ratios(self.slices, case, arm)


def log_ratios(slices: Sequence[Slices], case: str, arm: str) -> list[float]:
    """Return the numbers of a case in an arm, one a couple, in the order of the couples.

    They are read as the case's null arm is read most sharply; the control, whose rounds are of another length and
    disturbed more often or less, as it is itself.
    """
    read = sharper(_pairs(slices, case, CONTROL if arm == CONTROL else NULL))
    return [read(*pair) for pair in _pairs(slices, case, arm)]


def _pairs(slices: Sequence[Slices], case: str, arm: str) -> list[ArmPair]:
    """The base's slices and an arm's, one pair a couple.

    The control is compared with the base's slices that were taken beside it, which have fewer calls a round.
    """
    ours = [these for these in slices if these.case == case]
    bases = {(these.couple, these.iterations): these for these in ours if these.arm == BASE}
    own = [these for these in ours if these.arm == arm]
    calls = [these.iterations // MORE * FEWER if arm == CONTROL else these.iterations for these in own]
    return [(bases[these.couple, fewer].minima_s, these.minima_s) for these, fewer in zip(own, calls, strict=True)]
