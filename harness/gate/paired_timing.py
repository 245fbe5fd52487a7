"""The time gate's trial: pair after pair until every case is decided, or the budget is spent.

The schedule of the measurements is such that two blocks of pairs fit into the budget.
"""

import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from harness.data.images import short_epoch
from harness.error import UsageError
from harness.gate.arm import (
    BASE,
    CANDIDATE,
    CONTROL,
    NULL,
    ArmError,
    ArmProcess,
    CaseSource,
    ProcessPair,
    SlicePlan,
    SliceTimes,
    start_pair,
)
from harness.gate.confirmation import BLOCK, Evidence, Margins, State, is_slower, state
from harness.isolation.fork_server import ForkServer
from harness.record import Slices
from harness.timing.turns import take_turns

ARMS = 3
"""Base, candidate, and a second base."""

MIN_SLICES, MAX_SLICES = 3, 40
"""Minimum and maximum number of slices per arm and pair."""

RESERVE = 0.8
"""Planned share of the budget for two blocks of pairs; the rest is a reserve for delays."""

Live = Callable[
    [Mapping[str, CaseSource], random.Random, Callable[[], float], ForkServer | None],
    AbstractContextManager[ProcessPair],
]
"""Begins the processes of a pair, and ends them; see :func:`harness.gate.arm.start_pair`."""

PATIENCE_S = 600.0
"""Maximum seconds to wait for another measurement."""

GRACE_S = 10.0
"""Seconds beyond the budget for an answer that was requested within it."""

STARTUPS = 3.0
"""Suggested budget as a multiple of the start-up, if no case was measured."""


# The schedule


@dataclass(frozen=True)
class Cost:
    """Cost of a case in one process, in seconds: to make it ready, and of a warm call."""

    prepare_s: float
    warm_s: float

    @property
    def plan(self) -> SlicePlan:
        """Plan of its slices."""
        return SlicePlan.of(self.warm_s)

    @property
    def control(self) -> SlicePlan:
        """Plan of its slices as the positive control."""
        return SlicePlan.plan_control(self.warm_s)

    @property
    def control_round_s(self) -> float:
        """Seconds of a round of the base that is compared with the positive control."""
        return self.control.iterations * self.warm_s

    @property
    def slice_s(self) -> float:
        """Seconds of a slice."""
        return self.plan.duration_s(self.warm_s)

    def pair_s(self, slices: int) -> float:
        """Seconds that the case takes in a pair, given the slices per arm."""
        return ARMS * (self.prepare_s + slices * self.slice_s)


@dataclass(frozen=True)
class Schedule:
    """Plan of the measurements in each pair."""

    costs: Mapping[str, Cost]
    """Costs of the measured cases."""
    slices: int
    """Slices per arm while all cases are measured."""
    begin_s: float = 0.0
    """Seconds in which a process begins and has loaded the cases."""
    unreached: tuple[str, ...] = ()
    """Cases for which the budget was too small, the slowest first."""
    enough_s: float = 0.0
    """The seconds that the quickest of them needs, if the budget suffices for no case; else 0."""
    begin_pace: float = 1.0
    """Time of the last pair outside its slices, over the planned time: more than 1 on a machine that became busy."""
    slices_pace: float = 1.0
    """The same for the time of its slices."""

    @property
    def control(self) -> str | None:
        """The positive control: the case with the shortest rounds, as a slowdown that it shows is visible in all."""
        return min(self.costs, key=lambda case: self.costs[case].control_round_s, default=None)

    def pair_s(self, cases: Sequence[str], slices: int = MIN_SLICES) -> float:
        """Return the seconds of a pair with some of the cases, about."""
        begin_s = ARMS * self.begin_s + sum(self.costs[case].pair_s(0) for case in cases)
        return self.begin_pace * begin_s + slices * self._compute_turn_s(cases)

    def _compute_turn_s(self, cases: Sequence[str]) -> float:
        """Seconds of a turn: one slice per case and arm."""
        return self.slices_pace * ARMS * sum(self.costs[case].slice_s for case in cases)

    def adapt_pace(self, cases: Sequence[str], slices: int, begin_s: float, slices_s: float) -> "Schedule":
        """Return the schedule with the pace of a pair that was measured."""
        planned = replace(self, begin_pace=1.0, slices_pace=1.0)
        planned_begin_s, planned_slices_s = planned.pair_s(cases, 0), slices * planned._compute_turn_s(cases)
        return replace(self, begin_pace=begin_s / planned_begin_s, slices_pace=slices_s / planned_slices_s)

    def choose_fitting(self, cases: Sequence[str], pairs: int, left_s: float) -> list[str]:
        """Return the cases for which there is time in the next pairs."""
        kept: list[str] = []
        for case in cases:
            if pairs * self.pair_s([*kept, case]) <= left_s:
                kept.append(case)
        return kept

    def count_slices(self, cases: Sequence[str], affordable_s: float) -> int:
        """Return the number of slices per arm in a pair with some cases, given its seconds.

        After other cases are decided, a pair does not become shorter. The remaining cases are disturbed by other
        programs, and the fastest of more slices is disturbed less.
        """
        as_long = self.slices * self._compute_turn_s(list(self.costs)) / self._compute_turn_s(cases)
        fitting = (affordable_s - self.pair_s(cases, 0)) / self._compute_turn_s(cases)
        return max(MIN_SLICES, int(min(MAX_SLICES, as_long, fitting)))


def make_schedule(costs: Mapping[str, Cost], begin_s: float, left_s: float) -> Schedule:
    """Drop the slowest cases until the fewest slices of the others fit, then plan as many slices as fit."""
    pairs = 2 * BLOCK / RESERVE
    affordable_s = left_s / pairs - ARMS * begin_s
    cases = sorted(costs, key=lambda case: costs[case].pair_s(MIN_SLICES))
    unreached = []

    def needed_s(slices: int) -> float:
        return sum(costs[case].pair_s(slices) for case in cases)

    while cases and needed_s(MIN_SLICES) > affordable_s:
        unreached.append(cases.pop())
    if not cases:
        quickest_s = costs[unreached[-1]].pair_s(MIN_SLICES) if unreached else 0.0
        return Schedule({}, MIN_SLICES, begin_s, tuple(unreached), pairs * (ARMS * begin_s + quickest_s))
    slices = MIN_SLICES
    while slices < MAX_SLICES and needed_s(slices + 1) < affordable_s:
        slices += 1
    return Schedule({case: costs[case] for case in cases}, slices, begin_s, tuple(unreached))


# The trial


CpuTimes = Any
"""CPU time since the machine started, by use, from psutil."""


def steal_since(before: CpuTimes) -> float | None:
    """Return the share of the time since then that the hypervisor gave to others; ``None`` where it is unknown."""
    now = psutil.cpu_times()
    if not hasattr(now, "steal"):
        return None
    passed_s = sum(now) - sum(before)
    return float((now.steal - before.steal) / passed_s) if passed_s > 0 else None


@dataclass(frozen=True)
class TrialSettings:
    """Settings of a trial: its longest duration, and the seed of the orders that are drawn."""

    budget_s: float
    margins: Callable[[str], Margins]
    """Returns what counts as slower, of a case."""
    seed: int = 0
    max_pairs: int = 40


class Trial:
    """A measurement that goes on pair by pair until its cases are decided.

    ``progress`` is called with a description of the next step. The budget begins at the time ``start_s`` of the clock,
    by default now.
    """

    def __init__(
        self,
        sources: Mapping[str, CaseSource],
        settings: TrialSettings,
        progress: Callable[[str], None] = lambda _: None,
        *,
        live: Live = start_pair,
        clock: Callable[[], float] = time.perf_counter,
        start_s: float | None = None,
    ) -> None:
        self.settings = settings
        self._live = live
        self._clock = clock
        self._costs: dict[str, Cost] = {}
        self._dropped: set[str] = set()
        self._began_with = 0
        self.evidence = Evidence()
        self._sources = sources
        self._progress = progress
        self._draw = random.Random(settings.seed)  # noqa: S311 - an order, not a secret
        self._start = clock() if start_s is None else start_s
        self._schedule = Schedule({}, MIN_SLICES)
        self._loads_images = False
        self._server: ForkServer | None = None

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self.settings.budget_s - (self._clock() - self._start)

    def cases(self) -> tuple[dict[str, str], dict[str, str]]:
        """Names of the cases of the base and of the candidate that are timed, each with its contract."""
        try:
            with ArmProcess(self._sources[CANDIDATE], lambda: self.left_s) as probe:
                self._server = ForkServer(*probe.call(list[str], "imports"))
                candidate, self._loads_images = probe.call(dict[str, str], "cases"), probe.call(bool, "loads_images")
            with self._begin({BASE: self._sources[BASE]}) as first:
                return first.cases(BASE), candidate
        except ArmError:
            if self.left_s <= 0.0:
                raise ArmError("start-up takes longer than the budget") from None
            raise

    def _begin(self, sources: Mapping[str, CaseSource]) -> AbstractContextManager[ProcessPair]:
        """Begin a process for each source, which have until a little after the end of the budget."""
        return self._live(sources, self._draw, lambda: self.left_s + GRACE_S, self._server)

    def lay_out_images(self, data: str | None) -> None:
        """Put the images where the arms look for them, if the candidate's cases load any."""
        if self._loads_images:
            images = self._sources[CANDIDATE].images
            cut = images.with_name("cut")
            cut.mkdir()
            images.symlink_to(short_epoch(data, cut), target_is_directory=True)

    def run(self, cases: Sequence[str]) -> Evidence:
        """Measure some cases of both trees."""
        self._prepare(cases)
        number = 0
        while number < self.settings.max_pairs:
            if not (wanted := self._choose_affordable(number) or self._choose_returning(number)):
                break
            self._progress(f"pair of processes {number + 1}: {len(wanted)} cases")
            self._measure_pair(number, wanted)
            number += 1
        self.evidence.duration_s = self._clock() - self._start
        return self.evidence

    def _choose_affordable(self, number: int) -> list[str]:
        """Return the cases of the next pair, and drop those for which the budget does not suffice.

        A case is measured in all pairs until the next look, or not at all: fewer pairs are no verdict. After the
        first pair, whose cost is then known, the pairs that confirm a suspicion have to fit as well.
        """
        wanted = self._list_undecided()
        done = number - self._began_with
        if done == 0:
            return wanted
        ranked, block = self._sort_by_importance(wanted), BLOCK - done % BLOCK
        kept = self._schedule.choose_fitting(ranked, block + BLOCK, self.left_s) if done == 1 else []
        # If no case has time for two blocks, one block can still show that a case is unchanged.
        kept = kept or self._schedule.choose_fitting(ranked, block, self.left_s)
        for case in wanted:
            if case not in kept:
                self._dropped.add(case)
                if len(self.evidence.log_ratios(case, CANDIDATE)) < BLOCK:
                    self.evidence.unreached.append(case)
        return [case for case in wanted if case in kept]

    def _choose_returning(self, number: int) -> list[str]:
        """Return cases that were dropped, and for which there is time now that all others are decided."""
        if not self._control_is_seen():
            return []
        schedule = replace(self._schedule, costs=self._costs)
        ranked = sorted(
            (case for case in self.evidence.unreached if case in self._costs),
            key=lambda case: self._costs[case].pair_s(MIN_SLICES),
        )
        kept = schedule.choose_fitting(ranked, 2 * BLOCK, self.left_s)
        kept = kept or schedule.choose_fitting(ranked, BLOCK, self.left_s)
        if kept:
            self._schedule, self._began_with = schedule, number
            self._dropped -= set(kept)
            self.evidence.unreached[:] = [case for case in self.evidence.unreached if case not in kept]
        return kept

    def _sort_by_importance(self, cases: Sequence[str]) -> list[str]:
        """Sort: first the control, which every verdict needs, then suspected cases, then the cheapest cases."""

        def rank(case: str) -> tuple[bool, bool, float]:
            is_suspected = self._get_state(case) is State.SUSPECTED
            return case != self._find_unseen(), not is_suspected, self._schedule.costs[case].pair_s(MIN_SLICES)

        return sorted(cases, key=rank)

    def _prepare(self, cases: Sequence[str]) -> None:
        """Measure how long calls take, and plan the measurements."""
        costs = self._costs
        if self.left_s <= 0:
            self._give_up(cases)
            return
        self._progress("measuring how long calls take")
        start = self._clock()
        with self._begin({BASE: self._sources[BASE]}) as standalone:
            try:
                standalone.cases(BASE)
            except ArmError as error:
                self.evidence.failures |= dict.fromkeys(cases, str(error))
                return
            begin_s = self._clock() - start
            for case in cases:
                before = self._clock()
                # One case is always measured, to suggest a sufficient budget.
                if self.left_s <= 0 and costs:
                    self.evidence.unreached.append(case)
                    continue
                try:
                    warm_s = standalone.warm_s(case)
                except ArmError as error:
                    self.evidence.failures[case] = str(error)
                else:
                    costs[case] = Cost(self._clock() - before, warm_s)
        spent_s = self.evidence.startup_s = self.settings.budget_s - self.left_s
        new_schedule = self._schedule = make_schedule(costs, begin_s, self.left_s)
        self.evidence.unreached += new_schedule.unreached
        self._dropped |= set(new_schedule.unreached)
        self.evidence.control = new_schedule.control
        if new_schedule.unreached and not new_schedule.costs:
            self.evidence.enough_s = spent_s + new_schedule.enough_s

    def _give_up(self, cases: Sequence[str]) -> None:
        """Measure nothing, because start-up took the whole budget, and suggest a budget from its duration."""
        self.evidence.startup_s = self.settings.budget_s - self.left_s
        self.evidence.enough_s = STARTUPS * self.evidence.startup_s
        self.evidence.unreached += cases

    def _list_undecided(self) -> list[str]:
        """The undecided cases, and the control until it is detected; a decided case stays decided."""
        out = self.evidence.failures.keys() | self._dropped
        able = [case for case in self._schedule.costs if case not in out]
        return [case for case in able if case == self._find_unseen() or not self._get_state(case).is_settled]

    def _find_unseen(self) -> str | None:
        """The control, until it is seen."""
        return None if self._control_is_seen() else self.evidence.control

    def _get_state(self, case: str) -> State:
        log_ratios, nulls = (self.evidence.log_ratios(case, arm) for arm in (CANDIDATE, NULL))
        return state(log_ratios, nulls, self.settings.margins(case))

    def _measure_pair(self, number: int, cases: Sequence[str]) -> None:
        """Measure cases in turns, so that the slices of a case are spread over the time of the pair.

        Another program on the machine slows everything down for tenths of a second, or for seconds. It would affect
        only one arm if the slices of each arm followed each other.
        """
        before, start = psutil.cpu_times(), self._clock()
        sought = self._find_unseen()
        taken: dict[tuple[str, SlicePlan, bool], list[dict[str, SliceTimes]]] = defaultdict(list)
        # Results are examined at the end of a block, so the remaining budget is for all pairs until then. In the
        # first block it is also for the pairs that confirm a suspicion.
        done = number - self._began_with
        ahead = 2 * BLOCK - done if done < BLOCK else BLOCK - done % BLOCK
        share_s = self.left_s / ahead
        slices = taken_slices = self._schedule.count_slices(cases, RESERVE * share_s)

        def turn(case: str) -> None:
            cost = self._schedule.costs[case]
            taken[case, cost.plan, False].append(arms.turn(case, cost.plan))
            if case == sought:
                taken[case, cost.control, True].append(arms.control(case, cost.control))

        def are_enough(done: int) -> bool:
            # The machine has become busy: fewer slices, so that all pairs have their share of the budget.
            return done >= MIN_SLICES and self._clock() - start >= share_s

        with self._begin(self._sources) as arms:
            for case in self._draw.sample(cases, len(cases)):
                self._try(arms.prepare, case)
            ready = self._clock()
            order = take_turns(cases, self._draw, self.evidence.failures, slices, are_enough)
            for taken_slices, case in order:  # noqa: B007 - needed after the loop
                if self.left_s > 0:
                    self._try(turn, case)
            measured_s = self._clock() - ready
        begin_s = self._clock() - start - measured_s
        self._schedule = self._schedule.adapt_pace(cases, taken_slices, begin_s, measured_s)
        for (case, plan, _), turns in taken.items():
            if len(turns) >= MIN_SLICES and case not in self.evidence.failures:
                self._record(number, case, plan, turns, before)

    def _try(self, step: Callable[[str], None], case: str) -> None:
        try:
            step(case)
        except ArmError as error:
            self.evidence.failures[case] = str(error)

    def _control_is_seen(self) -> bool:
        if self.evidence.control is None:
            return False
        log_ratios = self.evidence.log_ratios(self.evidence.control, CONTROL)
        return len(log_ratios) >= BLOCK and is_slower(log_ratios, self.settings.margins(self.evidence.control).margin)

    def _record(
        self, number: int, case: str, plan: SlicePlan, turns: Sequence[Mapping[str, SliceTimes]], before: CpuTimes
    ) -> None:
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
        steal = steal_since(before)
        for arm in turns[0]:
            slices = [turn[arm] for turn in turns]
            measured = {
                "couple": number,
                "case": case,
                "arm": arm,
                "rounds": plan.rounds,
                "iterations": plan.more if arm == CONTROL else plan.iterations,
                "starts_s": tuple(round(times.start_s - self._start, 4) for times in slices),
                "minima_s": tuple(_round_duration(times.minimum_s) for times in slices),
                "medians_s": tuple(_round_duration(times.median_s) for times in slices),
                "cpu_s": tuple(_round_duration(times.cpu_s) for times in slices),
                "load": load,
                "steal": steal,
                "frequency_hz": frequency.current * 1e6 if frequency else None,
            }
            self.evidence.slices.append(Slices.model_validate(measured))


def _round_duration(seconds: float) -> float:
    """A duration to five digits: finer than any clock's jitter."""
    return float(f"{seconds:.5g}")


@contextmanager
def reserve_machine(patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Keep other measurements of this user away; two at a time would measure each other.

    Raises
    ------
    UsageError
        If another one is still running when patience is at its end.
    """
    # In the machine's own folder for temporary files: the lock is the machine's, and not a checkout's.
    lock = FileLock(Path(tempfile.gettempdir(), f"harness-measurement-{os.getuid()}.lock"), timeout=patience_s)
    try:
        acquired = lock.acquire(poll_interval=0.5)
    except Timeout as error:
        problem = "another measurement is already running"
        raise UsageError(problem, place=lock.lock_file, remedy="wait for it to finish") from error
    with acquired:
        yield
