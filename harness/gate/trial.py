"""The time gate's trial: couple after couple until every case is decided, or the budget is spent."""

import os
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

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
    Couple,
    SliceTimes,
    couple,
    warm_parent,
)
from harness.gate.confirmation import BLOCK, Margins, State, is_slower, state
from harness.gate.evidence import Condition, Evidence, condition
from harness.gate.schedule import MIN_SLICES, RESERVE, Cost, Schedule, SlicePlan, scheduled
from harness.record import Slices

Live = Callable[[Mapping[str, CaseSource], random.Random], AbstractContextManager[Couple]]
"""Begins the processes of a pair, and ends them."""


PATIENCE_S = 600.0
"""Maximum seconds to wait for another measurement."""

STARTUPS = 3.0
"""Suggested budget as a multiple of the start-up, if no case was measured."""


@dataclass(frozen=True)
class TrialSettings:
    """Settings of a trial.

    Parameters
    ----------
    budget_s
        Seconds it takes at most.
    margins
        What counts as slower, of a case.
    seed
        Of the orders that are drawn.
    max_couples
        Couples there are at most.
    """

    budget_s: float
    margins: Callable[[str], Margins]
    seed: int = 0
    max_couples: int = 40


class Trial:
    """A measurement that goes on couple by couple until its cases are decided.

    Parameters
    ----------
    sources
        Where the arms find their cases.
    settings
        How it is made.
    progress
        Callback with a description of the next step.
    live
        Begins the processes of a pair.
    clock
        Returns the seconds since a fixed time.
    start_s
        Time of the clock at which the budget begins; now by default.
    """

    def __init__(
        self,
        sources: Mapping[str, CaseSource],
        settings: TrialSettings,
        progress: Callable[[str], None] = lambda _: None,
        *,
        live: Live = couple,
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

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self.settings.budget_s - (self._clock() - self._start)

    def cases(self) -> tuple[dict[str, str], dict[str, str]]:
        """Names of the cases of the base and of the candidate that are timed, each with its contract."""
        # Not from the warm parent, which is to import what this one says.
        probe = ArmProcess(self._sources[CANDIDATE], method="spawn")
        try:
            warm_parent(probe.imports(self.left_s), self._sources[CANDIDATE].compiled.with_name("imports"))
            candidate, self._loads_images = probe.cases(), probe.loads_images()
        finally:
            probe.end()
        with self._live({BASE: self._sources[BASE]}, self._draw) as first:
            return first.cases(BASE), candidate

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
        while number < self.settings.max_couples:
            if not (wanted := self._affordable(number) or self._returned(number)):
                break
            self._progress(f"pair of processes {number + 1}: {len(wanted)} cases")
            self._one_couple(number, wanted)
            number += 1
        self.evidence.duration_s = self._clock() - self._start
        return self.evidence

    def _affordable(self, number: int) -> list[str]:
        """Return the cases of the next pair, and drop those for which the budget does not suffice.

        A case is measured in all pairs until the next look, or not at all: fewer pairs are no verdict. After the
        first pair, whose cost is then known, the pairs that confirm a suspicion have to fit as well.
        """
        wanted = self._wanted()
        done = number - self._began_with
        if done == 0:
            return wanted
        ranked, block = self._by_importance(wanted), BLOCK - done % BLOCK
        kept = self._schedule.fitting(ranked, block + BLOCK, self.left_s) if done == 1 else []
        # If no case has time for two blocks, one block can still show that a case is unchanged.
        kept = kept or self._schedule.fitting(ranked, block, self.left_s)
        for case in wanted:
            if case not in kept:
                self._dropped.add(case)
                if len(self.evidence.log_ratios(case, CANDIDATE)) < BLOCK:
                    self.evidence.unreached.append(case)
        return [case for case in wanted if case in kept]

    def _returned(self, number: int) -> list[str]:
        """Return cases that were dropped, and for which there is time now that all others are decided."""
        if not self._control_is_seen():
            return []
        schedule = replace(self._schedule, costs=self._costs)
        ranked = sorted(
            (case for case in self.evidence.unreached if case in self._costs),
            key=lambda case: self._costs[case].couple_s(MIN_SLICES),
        )
        kept = schedule.fitting(ranked, 2 * BLOCK, self.left_s) or schedule.fitting(ranked, BLOCK, self.left_s)
        if kept:
            self._schedule, self._began_with = schedule, number
            self._dropped -= set(kept)
            self.evidence.unreached[:] = [case for case in self.evidence.unreached if case not in kept]
        return kept

    def _by_importance(self, cases: Sequence[str]) -> list[str]:
        """Sort: first the control, which every verdict needs, then suspected cases, then the cheapest cases."""

        def rank(case: str) -> tuple[bool, bool, float]:
            is_suspected = self._state(case) is State.SUSPECTED
            return (case != self._sought(), not is_suspected, self._schedule.costs[case].couple_s(MIN_SLICES))

        return sorted(cases, key=rank)

    def _prepare(self, cases: Sequence[str]) -> None:
        """Measure how long calls take, and plan the measurements."""
        costs = self._costs
        if self.left_s <= 0:
            self._give_up(cases)
            return
        self._progress("measuring how long calls take")
        start = self._clock()
        with self._live({BASE: self._sources[BASE]}, self._draw) as standalone:
            standalone.cases(BASE)
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
        new_schedule = self._schedule = scheduled(costs, begin_s, self.left_s)
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

    def _wanted(self) -> list[str]:
        """The undecided cases, and the control until it is detected; a decided case stays decided."""
        out = self.evidence.failures.keys() | self._dropped
        able = [case for case in self._schedule.costs if case not in out]
        return [case for case in able if case == self._sought() or not self._state(case).settled]

    def _sought(self) -> str | None:
        """The control, until it is seen."""
        return None if self._control_is_seen() else self.evidence.control

    def _state(self, case: str) -> State:
        log_ratios, nulls = (self.evidence.log_ratios(case, arm) for arm in (CANDIDATE, NULL))
        return state(log_ratios, nulls, self.settings.margins(case))

    def _one_couple(self, number: int, cases: Sequence[str]) -> None:
        """Measure cases in turns, so that the slices of a case are spread over the time of the pair.

        Another program on the machine slows everything down for tenths of a second, or for seconds. It would affect
        only one arm if the slices of each arm followed each other.
        """
        before, start = condition(), self._clock()
        sought = self._sought()
        taken: dict[tuple[str, SlicePlan, bool], list[dict[str, SliceTimes]]] = defaultdict(list)
        # Results are examined at the end of a block, so the remaining budget is for all pairs until then. In the
        # first block it is also for the pairs that confirm a suspicion.
        done = number - self._began_with
        ahead = 2 * BLOCK - done if done < BLOCK else BLOCK - done % BLOCK
        share_s = self.left_s / ahead
        slices, taken_slices = self._schedule.slices_of(cases, RESERVE * share_s), 0

        def turn(case: str) -> None:
            cost = self._schedule.costs[case]
            taken[case, cost.plan, False].append(arms.turn(case, cost.plan))
            if case == sought:
                taken[case, cost.control, True].append(arms.control(case, cost.control))

        with self._live(self._sources, self._draw) as arms:
            for case in self._draw.sample(cases, len(cases)):
                self._try(arms.prepare, case)
            ready = self._clock()
            for taken_slices in range(1, slices + 1):
                able = [case for case in cases if case not in self.evidence.failures]
                for case in self._draw.sample(able, len(able)):
                    if self.left_s > 0:
                        self._try(turn, case)
                # The machine has become busy: fewer slices, so that all pairs have their share of the budget.
                if taken_slices >= MIN_SLICES and self._clock() - start >= share_s:
                    break
            measured_s = self._clock() - ready
        begin_s = self._clock() - start - measured_s
        self._schedule = self._schedule.at_pace_of(cases, taken_slices, begin_s, measured_s)
        for (case, plan, _), turns in taken.items():
            if len(turns) >= MIN_SLICES and case not in self.evidence.failures:
                self._note(number, case, plan, turns, before)

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

    def _note(
        self, number: int, case: str, plan: SlicePlan, turns: Sequence[Mapping[str, SliceTimes]], before: Condition
    ) -> None:
        now = condition()
        for arm in turns[0]:
            slices = [turn[arm] for turn in turns]
            entry: dict[str, object] = {"couple": number, "case": case, "arm": arm, "rounds": plan.rounds}
            entry |= {"iterations": plan.more if arm == CONTROL else plan.iterations}
            entry |= {"load": now.load, "steal": now.steal_since(before), "frequency_hz": now.frequency_hz}
            self.evidence.slices.append(
                Slices.model_validate(
                    entry
                    | {
                        "starts_s": tuple(round(times.start_s - self._start, 4) for times in slices),
                        "minima_s": tuple(_short(times.minimum_s) for times in slices),
                        "medians_s": tuple(_short(times.median_s) for times in slices),
                        "cpu_s": tuple(_short(times.cpu_s) for times in slices),
                    }
                )
            )


def _short(seconds: float) -> float:
    """A duration to five digits: finer than any clock's jitter."""
    return float(f"{seconds:.5g}")


@contextmanager
def alone(patience_s: float = PATIENCE_S) -> Iterator[None]:
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
        raise UsageError(
            "another measurement is already running",
            place=lock.lock_file,
            remedy="wait for it to finish",
        ) from error
    with acquired:
        yield
