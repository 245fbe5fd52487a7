"""What is measured in each couple, so that two blocks of couples fit into the budget: plain arithmetic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.gate.analysis import BLOCK
from harness.gate.couple import SlicePlan

ARMS = 3
"""Base, candidate, and a second base."""

FEWEST_SLICES, MOST_SLICES = 3, 40
"""Minimum and maximum number of slices per arm and couple."""

RESERVE = 0.8
"""Share of the budget that two blocks of couples may take by plan; the rest is for what takes longer than planned."""


@dataclass(frozen=True)
class Cost:
    """What a case takes in one process, in seconds.

    Parameters
    ----------
    prepare_s
        To make it ready.
    warm_s
        A warm call.
    """

    prepare_s: float
    warm_s: float

    @property
    def plan(self) -> SlicePlan:
        """How it is measured."""
        return SlicePlan.of(self.warm_s)

    @property
    def control(self) -> SlicePlan:
        """How it is measured as the positive control."""
        return SlicePlan.of_control(self.warm_s)

    @property
    def control_round_s(self) -> float:
        """Seconds of a round of the base beside the positive control."""
        return self.control.iterations * self.warm_s

    @property
    def slice_s(self) -> float:
        """Seconds of a slice."""
        return self.plan.duration_s(self.warm_s)

    def couple_s(self, slices: int) -> float:
        """Seconds it takes in a couple, given the slices of each arm."""
        return ARMS * (self.prepare_s + slices * self.slice_s)


@dataclass(frozen=True)
class Schedule:
    """What is measured in each couple.

    Parameters
    ----------
    costs
        Of the cases that are measured.
    slices
        Of each arm, while all cases are measured.
    begin_s
        Seconds in which a process begins and has loaded the cases.
    unreached
        Cases for which the budget was too small, the slowest first.
    enough_s
        The seconds in which the quickest of them had been reached, where none was; else 0.
    """

    costs: Mapping[str, Cost]
    slices: int
    begin_s: float = 0.0
    unreached: tuple[str, ...] = ()
    enough_s: float = 0.0

    @property
    def control(self) -> str | None:
        """The case that is the positive control: of the shortest rounds, or what hides it would not hide the cases."""
        return min(self.costs, key=lambda case: self.costs[case].control_round_s, default=None)

    def couple_s(self, cases: Sequence[str], slices: int = FEWEST_SLICES) -> float:
        """Return the seconds of a couple of some of the cases, about."""
        return ARMS * self.begin_s + sum(self.costs[case].couple_s(slices) for case in cases)

    def slices_of(self, cases: Sequence[str], affordable_s: float) -> int:
        """Return how many slices of each arm some of the cases have in a couple, given the seconds it may take.

        When others are decided the couple does not become shorter: what is left is what neighbours on the machine
        disturb, and the fastest of more slices, over as long a time, is disturbed less.
        """
        slice_s = sum(self.costs[case].slice_s for case in cases)
        as_long = self.slices * sum(cost.slice_s for cost in self.costs.values()) / slice_s
        fitting = (affordable_s - self.couple_s(cases, 0)) / (ARMS * slice_s)
        return max(FEWEST_SLICES, int(min(MOST_SLICES, as_long, fitting)))


def scheduled(costs: Mapping[str, Cost], begin_s: float, left_s: float) -> Schedule:
    """Drop the slowest cases while even the fewest slices of all do not fit, then take as many as do.

    Parameters
    ----------
    costs
        Of all cases.
    begin_s
        Seconds in which a process begins and has loaded the cases.
    left_s
        Seconds of the budget that are left.
    """
    couples = 2 * BLOCK / RESERVE
    affordable_s = left_s / couples - ARMS * begin_s
    cases = sorted(costs, key=lambda case: costs[case].couple_s(FEWEST_SLICES))
    unreached = []

    def needed_s(slices: int) -> float:
        return sum(costs[case].couple_s(slices) for case in cases)

    while cases and needed_s(FEWEST_SLICES) > affordable_s:
        unreached.append(cases.pop())
    if not cases:
        quickest_s = costs[unreached[-1]].couple_s(FEWEST_SLICES) if unreached else 0.0
        return Schedule({}, FEWEST_SLICES, begin_s, tuple(unreached), couples * (ARMS * begin_s + quickest_s))
    slices = FEWEST_SLICES
    while slices < MOST_SLICES and needed_s(slices + 1) < affordable_s:
        slices += 1
    return Schedule({case: costs[case] for case in cases}, slices, begin_s, tuple(unreached))
