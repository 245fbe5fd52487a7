"""The time gate's trial: couple after couple until every case is decided, or the budget is spent."""

import random
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from harness.data.images import short_epoch
from harness.gate.analysis import BLOCK, Margins, State, is_slower, state
from harness.gate.arm import ArmError, ArmProcess, CaseSource, SliceTimes, warm_parent
from harness.gate.couple import BASE, CANDIDATE, CONTROL, NULL, SlicePlan, couple
from harness.gate.evidence import Evidence
from harness.gate.machine import Condition, condition
from harness.gate.schedule import FEWEST_SLICES, RESERVE, Cost, Schedule, scheduled
from harness.record import Slices


@dataclass(frozen=True)
class TrialSettings:
    """How a trial is made.

    Parameters
    ----------
    budget_s
        Seconds it takes at most.
    margins
        What counts as slower, of a case.
    seed
        Of the orders that are drawn.
    most_couples
        Couples there are at most.
    """

    budget_s: float
    margins: Callable[[str], Margins]
    seed: int = 0
    most_couples: int = 40


class Trial:
    """A measurement that goes on couple by couple until its cases are decided.

    Parameters
    ----------
    sources
        Where the arms find their cases.
    settings
        How it is made.
    progress
        Is called with what is done next, in words.
    """

    def __init__(
        self,
        sources: Mapping[str, CaseSource],
        settings: TrialSettings,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        self.evidence = Evidence()
        self._sources = sources
        self._progress = progress
        self._draw = random.Random(settings.seed)  # noqa: S311 - an order, not a secret
        self._start = time.perf_counter()
        self._schedule = Schedule({}, FEWEST_SLICES)
        self._loads_images = False

    @property
    def left_s(self) -> float:
        """Seconds of the budget that are left."""
        return self.settings.budget_s - (time.perf_counter() - self._start)

    def cases(self) -> tuple[dict[str, str], dict[str, str]]:
        """Names of the cases of the base and of the candidate that are timed, each with its contract."""
        # Not from the warm parent, which is to import what this one says.
        probe = ArmProcess(self._sources[CANDIDATE], method="spawn")
        try:
            warm_parent(probe.imports(), self._sources[CANDIDATE].compiled.with_name("imports"))
            candidate, self._loads_images = probe.cases(), probe.loads_images()
        finally:
            probe.end()
        with couple({BASE: self._sources[BASE]}, self._draw) as first:
            return first.cases(BASE), candidate

    def lay_out_images(self, data: str | None) -> None:
        """Put the images where the arms look for them, if the candidate's cases load any.

        Parameters
        ----------
        data
            Folder of the images, as :func:`harness.data.dataset.prepare` takes it.
        """
        if self._loads_images:
            images = self._sources[CANDIDATE].images
            cut = images.with_name("cut")
            cut.mkdir()
            images.symlink_to(short_epoch(data, cut), target_is_directory=True)

    def run(self, cases: Sequence[str]) -> Evidence:
        """Measure some cases of both trees."""
        self._prepare(cases)
        number = 0
        while (wanted := self._wanted()) and number < self.settings.most_couples and self._reaches(wanted):
            self._progress(f"pair of processes {number + 1}: {len(wanted)} cases")
            self._one_couple(number, wanted)
            number += 1
        self.evidence.duration_s = time.perf_counter() - self._start
        return self.evidence

    def _reaches(self, cases: Sequence[str]) -> bool:
        """Whether what is left of the budget is enough for another couple, be it a short one."""
        return self.left_s > self._schedule.couple_s(cases)

    def _prepare(self, cases: Sequence[str]) -> None:
        """Look how long calls take, and plan what is measured."""
        costs: dict[str, Cost] = {}
        self._progress("measuring how long calls take")
        began = time.perf_counter()
        with couple({BASE: self._sources[BASE]}, self._draw) as alone:
            alone.cases(BASE)
            begin_s = time.perf_counter() - began
            for case in cases:
                before = time.perf_counter()
                try:
                    warm_s = alone.warm_s(case)
                except ArmError as error:
                    self.evidence.failures[case] = str(error)
                else:
                    costs[case] = Cost(time.perf_counter() - before, warm_s)
        spent_s = self.settings.budget_s - self.left_s
        made = self._schedule = scheduled(costs, begin_s, self.left_s)
        self.evidence.unreached += made.unreached
        self.evidence.control = made.control
        if made.unreached and not made.costs:
            self.evidence.enough_s = spent_s + made.enough_s

    def _wanted(self) -> list[str]:
        """Cases that are not decided, and the control until it is seen: what is decided once, stays so."""
        able = [case for case in self._schedule.costs if case not in self.evidence.failures]
        unseen = None if self._control_is_seen() else self.evidence.control
        return [case for case in able if case == unseen or not self._state(case).settled]

    def _state(self, case: str) -> State:
        log_ratios, nulls = (self.evidence.log_ratios(case, arm) for arm in (CANDIDATE, NULL))
        return state(log_ratios, nulls, self.settings.margins(case))

    def _one_couple(self, number: int, cases: Sequence[str]) -> None:
        """Measure cases in turns, so that the slices of each lie all over the couple's time.

        A neighbour on the machine slows everything down for tenths of a second, or for seconds. Of slices that follow
        each other, one arm's would have met it and another's not.
        """
        before = condition()
        sought = None if self._control_is_seen() else self.evidence.control
        taken: dict[tuple[str, SlicePlan, bool], list[dict[str, SliceTimes]]] = defaultdict(list)
        # A look is taken at the end of a block: what is left of the budget is for all couples until then.
        affordable_s = RESERVE * self.left_s / (BLOCK - number % BLOCK)

        def turn(case: str) -> None:
            cost = self._schedule.costs[case]
            taken[case, cost.plan, False].append(arms.turn(case, cost.plan))
            if case == sought:
                taken[case, cost.control, True].append(arms.control(case, cost.control))

        with couple(self._sources, self._draw) as arms:
            for case in self._draw.sample(cases, len(cases)):
                self._try(arms.prepare, case)
            for _ in range(self._schedule.slices_of(cases, affordable_s)):
                able = [case for case in cases if case not in self.evidence.failures]
                for case in self._draw.sample(able, len(able)):
                    if self.left_s > 0:
                        self._try(turn, case)
        for (case, plan, _), turns in taken.items():
            if len(turns) >= FEWEST_SLICES and case not in self.evidence.failures:
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
            facts: dict[str, object] = {"couple": number, "case": case, "arm": arm, "rounds": plan.rounds}
            facts |= {"iterations": plan.more if arm == CONTROL else plan.iterations}
            facts |= {"load": now.load, "steal": now.steal_since(before), "frequency_hz": now.frequency_hz}
            self.evidence.slices.append(
                Slices.model_validate(
                    facts
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
