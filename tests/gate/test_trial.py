"""The time gate on a simulated machine: its clock is a number, and no process starts."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from harness.gate.analysis import BLOCK, Margins
from harness.gate.arm import CaseSource, SliceTimes
from harness.gate.couple import BASE, CANDIDATE, CONTROL, NULL, Couple, SlicePlan
from harness.gate.evidence import Evidence
from harness.gate.finding import comparisons, exit_code, timed
from harness.gate.policy import Policy
from harness.gate.trial import Trial, TrialSettings

SOURCES = dict.fromkeys((BASE, CANDIDATE, NULL), CaseSource(Path(), "kernels", None, Path(), Path()))
CASES = {f"kernels.case_{number}": 1e-4 * 2**number for number in range(6)}
"""Seconds of a call for each case."""

Load = Callable[[float], float]
"""The slowdown of the machine as a function of time."""


class Machine:
    """A machine with a simulated clock.

    ``load`` is its slowdown over time. ``slowdown`` is the time of the candidate relative to the base: 1.44 is 44 %
    slower. ``begin_s`` and ``prepare_s`` are the times to start a process and to prepare a case.
    """

    def __init__(
        self, load: Load = lambda _: 1.0, *, slowdown: float = 1.0, begin_s: float = 0.2, prepare_s: float = 0.03
    ) -> None:
        self.now = 0.0
        self.pairs_s: list[float] = []
        self._load, self._slowdown, self._begin_s, self._prepare_s = load, slowdown, begin_s, prepare_s
        self._jitter = random.Random(0)

    def pass_s(self, seconds: float) -> None:
        """Let time pass, as fast as the load allows."""
        self.now += seconds * self._load(self.now)

    @contextmanager
    def live(self, sources: Mapping[str, CaseSource], draw: random.Random) -> Iterator[Couple]:
        """Start the processes of a pair."""
        began = self.now
        for _ in sources:
            self.pass_s(self._begin_s)
        yield cast("Couple", SimulatedPair(self, list(sources), draw))
        if len(sources) > 1:
            self.pairs_s.append(self.now - began)

    def prepare(self, case: str) -> float:
        """Prepare a case in one process, and return the seconds of a warm call."""
        self.pass_s(self._prepare_s + 3 * CASES[case])
        return float(CASES[case] * self._load(self.now))

    def slice(self, case: str, arm: str, rounds: int, iterations: int) -> SliceTimes:
        """Time a slice."""
        call_s = CASES[case] * (self._slowdown if arm == CANDIDATE else 1.0)
        start_s = self.now
        self.pass_s((rounds * iterations + 1) * call_s)
        round_s = iterations * call_s * (1.0 + 0.001 * self._jitter.random())
        return SliceTimes(round_s, round_s, round_s, start_s)


class SimulatedPair:
    """The part of a :class:`harness.gate.couple.Couple` that a trial uses."""

    def __init__(self, machine: Machine, arms: Sequence[str], draw: random.Random) -> None:
        self._machine, self._arms, self._draw = machine, arms, draw

    def cases(self, _: str) -> dict[str, str]:
        """Names of the cases."""
        return dict.fromkeys(CASES, "softmax")

    def warm_s(self, case: str) -> float:
        """Seconds of a warm call."""
        return self._machine.prepare(case)

    def prepare(self, case: str) -> None:
        """Prepare a case in all arms."""
        for _ in self._arms:
            self._machine.prepare(case)

    def turn(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure a slice in every arm."""
        return {arm: self._machine.slice(case, arm, plan.rounds, plan.iterations) for arm in self._arms}

    def control(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure a slice of the base, and a slice with a tenth more calls."""
        calls = {BASE: plan.iterations, CONTROL: plan.more}
        return {arm: self._machine.slice(case, arm, plan.rounds, iterations) for arm, iterations in calls.items()}


def ran(machine: Machine, budget_s: float, **settings: Any) -> Evidence:
    """Run a trial of all cases."""
    settings = {"margins": lambda _: Margins(), **settings}
    trial = Trial(SOURCES, TrialSettings(budget_s, **settings), live=machine.live, clock=lambda: machine.now)
    return trial.run(list(CASES))


def pairs(evidence: Evidence) -> Counter[str]:
    """Count the pairs of each case."""
    return Counter(one.case for one in evidence.slices if one.arm == CANDIDATE)


def code(evidence: Evidence, *, blind: bool = False) -> int:
    """Return the exit code."""
    return exit_code(timed(evidence, comparisons(evidence, Policy())), blind=blind)


def after(start_s: float, factor: float) -> Load:
    """Return a load that begins at some second."""
    return lambda now: factor if now >= start_s else 1.0


LOADS = {
    "none": after(0.0, 1.0),
    "constant": after(0.0, 5.0),
    "once the plan is made": after(0.5, 5.0),
    "after the first pairs": after(12.0, 4.0),
    "rising": lambda now: 1.0 + now / 10.0,
    "bursts": lambda now: 6.0 if now % 10.0 < 3.0 else 1.0,
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("budget_s", [5.0, 20.0, 60.0, 100.0])
@pytest.mark.parametrize("slowdown", [1.0, 1.44])
def test_a_case_has_five_pairs_or_is_named_as_not_timed(load: Load, budget_s: float, slowdown: float) -> None:
    """For any load, a case with fewer pairs has no verdict, and slower code never passes."""
    machine = Machine(load, slowdown=slowdown)
    evidence = ran(machine, budget_s)
    counts = pairs(evidence)
    assert {case for case in CASES if counts[case] < BLOCK} == set(evidence.unreached)
    assert machine.now <= budget_s + max(machine.pairs_s, default=0.0)
    assert code(evidence) == (2 if evidence.unreached else 0) if slowdown == 1.0 else code(evidence) in {1, 2}
    if slowdown > 1.0 and max(counts.values(), default=0) > 1:
        assert code(evidence, blind=True) in {1, 2}


def test_fewer_cases_are_timed_fully_where_the_first_pair_took_longer_than_planned() -> None:
    """The plan fits all cases. After the machine becomes busy, the remaining cases fit with their confirmation."""
    assert set(pairs(ran(Machine(), 40.0))) == set(CASES)
    evidence = ran(Machine(after(0.5, 3.0), slowdown=1.44), 40.0)
    counts = pairs(evidence)
    full = [case for case in CASES if counts[case] == 2 * BLOCK]
    assert 0 < len(full) < len(CASES)
    assert {case for case in CASES if case not in full} == set(evidence.unreached)
    sentences = [finding.sentence for finding in timed(evidence, comparisons(evidence, Policy()))]
    assert sum("got slower: +44.0 %" in sentence for sentence in sentences) == len(full)
    assert code(evidence) == 1


def test_the_cheapest_cases_and_the_control_are_kept() -> None:
    """The slowest cases are dropped first, which leaves time for most others."""
    evidence = ran(Machine(after(0.5, 5.0)), 30.0)
    assert evidence.control not in evidence.unreached
    assert "kernels.case_5" in evidence.unreached


def test_confirmations_come_before_what_cannot_be_told() -> None:
    """A load after the first look leaves time only for the suspected case."""
    machine = Machine(after(26.0, 6.0), slowdown=1.44)
    evidence = ran(machine, 60.0)
    counts = pairs(evidence)
    assert not evidence.unreached
    assert min(counts.values()) >= BLOCK
    assert max(counts.values()) == 2 * BLOCK
    assert code(evidence) == 1


def test_cases_that_were_dropped_are_timed_when_the_others_are_decided_early() -> None:
    """A neighbor was busy during the plan only, which costs no verdict."""
    assert not ran(Machine(lambda now: 6.0 if now < 3.0 else 1.0), 60.0).unreached


def test_looking_how_long_calls_take_ends_with_the_budget() -> None:
    """Unreached cases are named with a sufficient budget, for which at least one case is timed."""
    for budget_s, longest_s in ((5.0, 8.0), (0.1, 3.0)):
        machine = Machine(prepare_s=2.0)
        evidence = ran(machine, budget_s)
        assert machine.now < longest_s
        assert set(evidence.unreached) == set(CASES)
        assert evidence.enough_s > 2 * BLOCK * 3 * 2.0
        assert code(evidence, blind=True) == 2
