"""Measurements of a trial, and the numbers derived from them: one number for each couple, case and arm."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from harness.gate.analysis import ArmPair, sharper
from harness.gate.arm import BASE, CONTROL, NULL
from harness.gate.schedule import FEWER, MORE
from harness.record import Slices


@dataclass
class Evidence:
    """Measurements of a trial.

    Parameters
    ----------
    slices
        All slices: of every couple, case and arm.
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
        Seconds of the whole trial.
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

    The reading is the sharpest one for the null arm of the case. The control has rounds of another length, so its own
    pairs choose its reading.
    """
    read = sharper(_pairs(slices, case, CONTROL if arm == CONTROL else NULL))
    return [read(*pair) for pair in _pairs(slices, case, arm)]


def _pairs(slices: Sequence[Slices], case: str, arm: str) -> list[ArmPair]:
    """The base's slices and an arm's, one pair a couple.

    The control is compared with slices of the base from the same turns, which have fewer calls per round.
    """
    ours = [these for these in slices if these.case == case]
    bases = {(these.couple, these.iterations): these for these in ours if these.arm == BASE}
    own = [these for these in ours if these.arm == arm]
    calls = [these.iterations // MORE * FEWER if arm == CONTROL else these.iterations for these in own]
    return [(bases[these.couple, fewer].minima_s, these.minima_s) for these, fewer in zip(own, calls, strict=True)]
