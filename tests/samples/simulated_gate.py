"""A simulated machine for the time gate: its clock is a number, and no process begins."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from harness.gate.arm import BASE, CANDIDATE, CONTROL, NULL, CaseSource, ProcessPair, SlicePlan, SliceTimes
from harness.gate.confirmation import Evidence, Margins
from harness.gate.paired_timing import Trial, TrialSettings

SOURCES = dict.fromkeys((BASE, CANDIDATE, NULL), CaseSource(Path(), "kernels", None, Path(), Path()))
CASES = {f"kernels.case_{number}": 1e-4 * 2**number for number in range(6)}
"""Seconds of a call of each case."""

Load = Callable[[float], float]
"""How many times slower the machine is, by the second."""

Noise = Callable[[str, str, int], float]
"""``noise(case, arm, turn)`` is the factor by which noise lengthens the fastest round of a slice."""


class Machine:
    """A machine with a clock of its own.

    Parameters
    ----------
    load
        How many times slower it is, by the second.
    slowdown
        The candidate compared with the base, for all cases or for each: 1.44 is 44 % slower.
    begin_s, prepare_s
        Time for a process to begin, and to make a case ready.
    cases
        Seconds of a call of each case.
    noise
        Makes the noise of one pair; a tenth of a percent by default.
    """

    def __init__(
        self,
        load: Load = lambda _: 1.0,
        *,
        slowdown: float | Mapping[str, float] = 1.0,
        begin_s: float = 0.2,
        prepare_s: float = 0.03,
        cases: Mapping[str, float] = CASES,
        noise: Callable[[], Noise] | None = None,
    ) -> None:
        self.now = 0.0
        self.pairs_s: list[float] = []
        self.call_s = cases
        self._load, self._begin_s, self._prepare_s = load, begin_s, prepare_s
        self._slowdown = slowdown if isinstance(slowdown, Mapping) else dict.fromkeys(cases, slowdown)
        self._jitter = random.Random(0)
        self._noise = noise or (lambda: lambda *_: 1.0 + 0.001 * self._jitter.random())

    def pass_s(self, seconds: float) -> None:
        """Let time pass, as fast as the load allows."""
        self.now += seconds * self._load(self.now)

    @contextmanager
    def live(self, sources: Mapping[str, CaseSource], draw: random.Random, *_: object) -> Iterator[ProcessPair]:
        """Begin the processes of a pair."""
        began = self.now
        for _source in sources:
            self.pass_s(self._begin_s)
        yield cast("ProcessPair", SimulatedPair(self, list(sources), draw, self._noise()))
        if len(sources) > 1:
            self.pairs_s.append(self.now - began)

    def prepare(self, case: str) -> float:
        """Make a case ready in one process, and return the seconds of a warm call."""
        self.pass_s(self._prepare_s + 3 * self.call_s[case])
        return float(self.call_s[case] * self._load(self.now))

    def slice(self, case: str, arm: str, plan: tuple[int, int], factor: float) -> SliceTimes:
        """Time a slice of some rounds and iterations, which noise lengthens by a factor."""
        rounds, iterations = plan
        call_s = self.call_s[case] * (self._slowdown.get(case, 1.0) if arm == CANDIDATE else 1.0)
        start_s = self.now
        self.pass_s((rounds * iterations + 1) * call_s)
        round_s = iterations * call_s * factor
        return SliceTimes(round_s, round_s, round_s, start_s)


class SimulatedPair:
    """The part of a :class:`harness.gate.arm.ProcessPair` that a trial uses."""

    def __init__(self, machine: Machine, arms: Sequence[str], draw: random.Random, noise: Noise) -> None:
        self._machine, self._arms, self._draw, self._noise = machine, arms, draw, noise
        self._turns: dict[str, int] = {}

    def cases(self, _: str) -> dict[str, str]:
        """Names of the cases."""
        return dict.fromkeys(self._machine.call_s, "softmax")

    def warm_s(self, case: str) -> float:
        """Seconds of a warm call."""
        return self._machine.prepare(case)

    def prepare(self, case: str) -> None:
        """Make a case ready in all arms."""
        for _ in self._arms:
            self._machine.prepare(case)

    def turn(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice in every arm."""
        return self._measure(case, plan, dict.fromkeys(self._arms, plan.iterations))

    def control(self, case: str, plan: SlicePlan) -> dict[str, SliceTimes]:
        """Measure one slice of the base, and one with a tenth more calls."""
        return self._measure(case, plan, {BASE: plan.iterations, CONTROL: plan.more})

    def _measure(self, case: str, plan: SlicePlan, calls: Mapping[str, int]) -> dict[str, SliceTimes]:
        turn = self._turns[case] = self._turns.get(case, -1) + 1
        return {
            arm: self._machine.slice(case, arm, (plan.rounds, iterations), self._noise(case, arm, turn))
            for arm, iterations in calls.items()
        }


def ran(machine: Machine, budget_s: float, **settings: Any) -> Evidence:
    """Run a trial of all cases; time that has passed on the machine counts as start-up."""
    started_s, machine_now = 0.0, lambda: machine.now
    settings = {"margins": lambda _: Margins(), **settings}
    trial = Trial(SOURCES, TrialSettings(budget_s, **settings), live=machine.live, clock=machine_now, start_s=started_s)
    return trial.run(list(machine.call_s))
