"""Measurements of a trial, and the numbers derived from them: one number for each couple, case and arm.

A measurement comes with the state of the machine: load, stolen time and clock rate.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from harness.gate.arm import BASE, CONTROL, NULL
from harness.gate.confirmation import ArmPair, sharper
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
    of_case = [one for one in slices if one.case == case]
    bases = {(one.couple, one.iterations): one for one in of_case if one.arm == BASE}
    of_arm = [one for one in of_case if one.arm == arm]
    calls = [one.iterations // MORE * FEWER if arm == CONTROL else one.iterations for one in of_arm]
    return [(bases[one.couple, fewer].minima_s, one.minima_s) for one, fewer in zip(of_arm, calls, strict=True)]


@dataclass(frozen=True)
class Condition:
    """The state of the machine. Unknown is ``None``.

    Parameters
    ----------
    load
        Processes that ran or waited to, on average over the minute before.
    stolen_s, total_s
        CPU time since the machine started: given to other virtual machines, and in total.
    frequency_hz
        Clock rate.
    """

    load: float | None
    stolen_s: float | None
    total_s: float
    frequency_hz: float | None

    def steal_since(self, before: "Condition") -> float | None:
        """Share of the time since then that the hypervisor gave to others."""
        if self.stolen_s is None or before.stolen_s is None:
            return None
        passed_s = self.total_s - before.total_s
        return (self.stolen_s - before.stolen_s) / passed_s if passed_s > 0 else None


def condition() -> Condition:
    """Look at the machine now."""
    times = psutil.cpu_times()
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return Condition(
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        stolen_s=getattr(times, "steal", None),
        total_s=sum(times),
        frequency_hz=frequency.current * 1e6 if frequency else None,
    )
