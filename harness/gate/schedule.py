"""Schedule of the measurements, such that two blocks of pairs fit into the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.gate.confirmation import BLOCK
from harness.timing.clock import ROUND_S

ARMS = 3
"""Base, candidate, and a second base."""

MIN_SLICES, MAX_SLICES = 3, 40
"""Minimum and maximum number of slices per arm and couple."""

SLICE_S, MIN_TURNS = 0.01, 5
"""Minimum duration and number of rounds of a slice."""

FEWER, MORE = 10, 11
"""Numbers of calls of the base and the positive control, which does a tenth more work."""

RESERVE = 0.8
"""Planned share of the budget for two blocks of pairs; the rest is a reserve for delays."""


@dataclass(frozen=True)
class SlicePlan:
    """Plan of the measurement of a case in every couple.

    Parameters
    ----------
    rounds
        Rounds a slice.
    iterations
        Calls a round.
    """

    rounds: int
    iterations: int

    @classmethod
    def of(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case, given the seconds of a warm call."""
        iterations = max(1, round(ROUND_S / warm_s))
        return cls(max(MIN_TURNS, round(SLICE_S / (iterations * warm_s))), iterations)

    @classmethod
    def of_control(cls, warm_s: float) -> "SlicePlan":
        """Plan for a case to which a tenth is added: rounds as short as that allows.

        It has another number of calls than the case's own slices, which distinguishes them.
        """
        tens = max(1, round(ROUND_S / (FEWER * warm_s)))
        iterations = FEWER * (tens + 1 if FEWER * tens == cls.of(warm_s).iterations else tens)
        return cls(max(MIN_TURNS, round(SLICE_S / (iterations * warm_s))), iterations)

    @property
    def more(self) -> int:
        """Calls a round with a tenth added."""
        return self.iterations // FEWER * MORE

    def duration_s(self, warm_s: float) -> float:
        """Seconds of a slice, about."""
        return (self.rounds * self.iterations + 1) * warm_s


@dataclass(frozen=True)
class Cost:
    """Cost of a case in one process, in seconds.

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
        """Plan of its slices."""
        return SlicePlan.of(self.warm_s)

    @property
    def control(self) -> SlicePlan:
        """Plan of its slices as the positive control."""
        return SlicePlan.of_control(self.warm_s)

    @property
    def control_round_s(self) -> float:
        """Seconds of a round of the base that is compared with the positive control."""
        return self.control.iterations * self.warm_s

    @property
    def slice_s(self) -> float:
        """Seconds of a slice."""
        return self.plan.duration_s(self.warm_s)

    def couple_s(self, slices: int) -> float:
        """Seconds that the case takes in a couple, given the slices per arm."""
        return ARMS * (self.prepare_s + slices * self.slice_s)


@dataclass(frozen=True)
class Pace:
    """Duration of the last pair, as a multiple of the plan: more than 1 on a machine that has become busy.

    Parameters
    ----------
    begin
        Of the time in which processes begin, make their cases ready, and end.
    slices
        Of the time in which slices are measured.
    """

    begin: float = 1.0
    slices: float = 1.0


@dataclass(frozen=True)
class Schedule:
    """Plan of the measurements in each pair.

    Parameters
    ----------
    costs
        Of the cases that are measured.
    slices
        Slices per arm while all cases are measured.
    begin_s
        Seconds in which a process begins and has loaded the cases.
    unreached
        Cases for which the budget was too small, the slowest first.
    enough_s
        The seconds that the quickest of them needs, if the budget suffices for no case; else 0.
    pace
        How long the last pair took, compared with these costs.
    """

    costs: Mapping[str, Cost]
    slices: int
    begin_s: float = 0.0
    unreached: tuple[str, ...] = ()
    enough_s: float = 0.0
    pace: Pace = Pace()

    @property
    def control(self) -> str | None:
        """The case that is the positive control: of the shortest rounds, or what hides it would not hide the cases."""
        return min(self.costs, key=lambda case: self.costs[case].control_round_s, default=None)

    def couple_s(self, cases: Sequence[str], slices: int = MIN_SLICES) -> float:
        """Return the seconds of a couple of some of the cases, about."""
        begin_s = ARMS * self.begin_s + sum(self.costs[case].couple_s(0) for case in cases)
        return self.pace.begin * begin_s + slices * self._turn_s(cases)

    def _turn_s(self, cases: Sequence[str]) -> float:
        """Seconds of a turn: one slice per case and arm."""
        return self.pace.slices * ARMS * sum(self.costs[case].slice_s for case in cases)

    def at_pace_of(self, cases: Sequence[str], slices: int, begin_s: float, slices_s: float) -> "Schedule":
        """Return the schedule with the pace of a pair that was measured."""
        planned = replace(self, pace=Pace())
        planned_begin_s, planned_slices_s = planned.couple_s(cases, 0), slices * planned._turn_s(cases)
        return replace(self, pace=Pace(begin_s / planned_begin_s, slices_s / planned_slices_s))

    def fitting(self, cases: Sequence[str], couples: int, left_s: float) -> list[str]:
        """Return the cases for which there is time in the next pairs."""
        kept: list[str] = []
        for case in cases:
            if couples * self.couple_s([*kept, case]) <= left_s:
                kept.append(case)
        return kept

    def slices_of(self, cases: Sequence[str], affordable_s: float) -> int:
        """Return the number of slices per arm in a couple of some cases, given its seconds.

        After other cases are decided, a pair does not become shorter. The remaining cases are disturbed by other
        programs, and the fastest of more slices is disturbed less.
        """
        as_long = self.slices * self._turn_s(list(self.costs)) / self._turn_s(cases)
        fitting = (affordable_s - self.couple_s(cases, 0)) / self._turn_s(cases)
        return max(MIN_SLICES, int(min(MAX_SLICES, as_long, fitting)))


def scheduled(costs: Mapping[str, Cost], begin_s: float, left_s: float) -> Schedule:
    """Drop the slowest cases until the fewest slices of the others fit, then plan as many slices as fit."""
    couples = 2 * BLOCK / RESERVE
    affordable_s = left_s / couples - ARMS * begin_s
    cases = sorted(costs, key=lambda case: costs[case].couple_s(MIN_SLICES))
    unreached = []

    def needed_s(slices: int) -> float:
        return sum(costs[case].couple_s(slices) for case in cases)

    while cases and needed_s(MIN_SLICES) > affordable_s:
        unreached.append(cases.pop())
    if not cases:
        quickest_s = costs[unreached[-1]].couple_s(MIN_SLICES) if unreached else 0.0
        return Schedule({}, MIN_SLICES, begin_s, tuple(unreached), couples * (ARMS * begin_s + quickest_s))
    slices = MIN_SLICES
    while slices < MAX_SLICES and needed_s(slices + 1) < affordable_s:
        slices += 1
    return Schedule({case: costs[case] for case in cases}, slices, begin_s, tuple(unreached))
