"""Steps of one contract, device and batch size: measured in turns, with their phases and the floor beside them."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.bench.suites.limit import within
from harness.bench.suites.training import Problem, finite, problem, started
from harness.case import Case
from harness.record import median_ratio
from harness.timing.clock import Accelerator, Clock, WarmUp, warm, without_garbage_collection
from harness.timing.interleaving import (
    SLICE_S,
    Arm,
    Interleaved,
    Times,
    calls_within,
    in_parts,
    interleave,
    rounds_for,
    whole,
)
from harness.timing.roofline import COPY, MULTIPLY, READ, Rates, Work, gauges, rates, work_of_step

PHASES = ("forward", "loss", "backward", "update")
"""The methods of a step whose phases can be timed apart."""

FIRST_CALL_S = 120.0
"""A first call that takes longer is given up: a compiler needs some ten seconds."""

WARM_S = 0.03
"""Warm-up seconds for each step after its first call."""

WITHIN = 0.03
"""Rounds stop when the interval of each step's ratio to the first is narrow enough, or when the requested seconds
are over."""

GAUGE_S = 1e-3
"""Turn length, in seconds, for measuring the machine's rates."""


@dataclass(frozen=True)
class Timed:
    """What was measured of one step.

    Parameters
    ----------
    warmed
        Its calls before the rounds.
    calls
        Calls a round.
    rounds_s
        Seconds a call, a number a round.
    phases_s
        The same of each phase, by name; empty where the step does not tell its phases.
    launch
        One call on the timed minibatch, not waited for.
    finite
        Whether its parameters are numbers after all that.
    """

    warmed: WarmUp
    calls: int
    rounds_s: Sequence[float]
    phases_s: Mapping[str, Sequence[float]]
    launch: Callable[[], object]
    finite: bool


@dataclass(frozen=True)
class Group:
    """Steps that were measured in turns.

    Parameters
    ----------
    timed
        By the name of the case.
    failed
        What the others raised.
    work
        What one step cannot do without.
    rates
        Of the machine, round by round.
    """

    timed: Mapping[str, Timed]
    failed: Mapping[str, Exception]
    work: Work
    rates: Sequence[Rates]

    @property
    def floor_s(self) -> list[float]:
        """The least time of a step, round by round."""
        return [each.floor_s(self.work) for each in self.rates]


def measure_group(
    cases: Sequence[Case],
    batch_size: int,
    accelerator: Accelerator | None,
    *,
    seconds: float,
    clock: Clock = time.perf_counter,
) -> Group:
    """Measure the steps of some cases of one contract on one minibatch, in turns.

    Parameters
    ----------
    cases
        The cases; one that raises is left out and the others go on.
    batch_size
        Samples of the minibatch.
    accelerator
        Where; the CPU when absent. Every call is then waited for, and so is every phase.
    seconds
        Seconds of each arm in all, about, at most.
    clock
        Seconds.
    """
    place, settle = ("cpu", _nothing) if accelerator is None else (accelerator.name, accelerator.synchronize)
    lanes: dict[str, _Lane] = {}
    failed: dict[str, Exception] = {}
    with without_garbage_collection():
        for case in cases:
            try:
                lanes[case.name] = _lane(case, problem(case, batch_size).to(place), settle, clock)
            except Exception as error:  # noqa: BLE001 - the case's own benchmark raises it
                failed[case.name] = error
        work = _work(problem(cases[0], batch_size))
        measuring = gauges(work, place)
        arms = {name: lane.arm for name, lane in lanes.items()}
        arms |= {name + _PHASES: lane.phases for name, lane in lanes.items() if lane.phases is not None}
        arms |= {name: _arm(gauge.call, settle, clock, GAUGE_S) for name, gauge in measuring.items()}
        taken = interleave(arms, rounds=_rounds(arms, seconds), seed=batch_size, enough=_ratios_known(list(lanes)))
    failed |= {name.removesuffix(_PHASES): error for name, error in taken.failed.items()}
    timed = {name: _timed(lane, taken) for name, lane in lanes.items() if name not in failed}
    per_s = ([measuring[gauge].amount / call_s for (call_s,) in taken.times[gauge]] for gauge in (READ, COPY, MULTIPLY))
    return Group(timed, failed, work, list(map(rates, *per_s)))


_PHASES = " in phases"


@dataclass(frozen=True)
class _Lane:
    """One case on its way through the measurement."""

    name: str
    warmed: WarmUp
    parameters: tuple[Tensor, Tensor]
    launch: Callable[[], object]
    arm: Arm
    phases: Arm | None


def _nothing() -> None:
    """On the CPU nothing is to be waited for."""


def _waited(call: Callable[[], object], settle: Callable[[], None]) -> Callable[[], object]:
    """The call, and the wait for what it queued where there is a queue."""
    if settle is _nothing:
        return call

    def both() -> None:
        call()
        settle()

    return both


def _lane(case: Case, given: Problem, settle: Callable[[], None], clock: Clock) -> _Lane:
    step, parameters = started(case, given)
    X, y = given.minibatch(0)

    def launch() -> None:
        step(X, y)

    call = _waited(launch, settle)
    with within(FIRST_CALL_S, f"the warm-up of {case.name}"):
        warmed = warm(call, duration_s=WARM_S, clock=clock)
    calls = calls_within(SLICE_S, warmed.warm_s)
    phases = in_parts(_in_phases(step, X, y, settle), clock) if _tells_phases(step) else None
    return _Lane(
        case.name,
        warmed,
        parameters,
        launch,
        Arm(whole(call, clock), calls),
        None if phases is None else Arm(phases, calls),
    )


def _tells_phases(step: Any) -> bool:
    return all(callable(getattr(step, phase, None)) for phase in PHASES)


def _in_phases(step: Any, X: Tensor, y: Tensor, settle: Callable[[], None]) -> Callable[[Callable[[], None]], None]:
    """One step that says at the end of each phase that it has come to it."""

    def call(ended: Callable[[], None]) -> None:
        scores = step.forward(X)
        settle()
        ended()
        loss = step.loss(scores, y)
        settle()
        ended()
        step.backward(loss)
        settle()
        ended()
        step.update()
        settle()
        ended()

    return call


def _arm(call: Callable[[], object], settle: Callable[[], None], clock: Clock, slice_s: float) -> Arm:
    waited = _waited(call, settle)
    return Arm(whole(waited, clock), calls_within(slice_s, warm(waited, duration_s=0.0, clock=clock).warm_s))


def _rounds(arms: Mapping[str, Arm], seconds: float) -> int:
    """How many rounds, from the seconds that one takes."""
    once = interleave(arms, rounds=1)
    round_s = sum(sum(times[0]) * (arms[name].calls + 1) for name, times in once.times.items())
    return rounds_for(seconds, round_s, len(arms))


def _ratios_known(steps: Sequence[str]) -> Callable[[Times], bool]:
    """Whether the ratios of the steps are known; of a single one, whether its own time is."""

    def known(times: Times) -> bool:
        series = [[whole_s for (whole_s,) in times[name]] for name in steps if name in times]
        bases = series[:1] if len(series) > 1 else [[1.0] * len(times_s) for times_s in series]
        return all(median_ratio(each, base).is_within(WITHIN) for base in bases for each in series)

    return known


def _timed(lane: _Lane, taken: Interleaved) -> Timed:
    parts = taken.times.get(lane.name + _PHASES)
    return Timed(
        lane.warmed,
        lane.arm.calls,
        [call_s for (call_s,) in taken.times[lane.name]],
        dict(zip(PHASES, map(list, zip(*parts, strict=True)), strict=True)) if parts else {},
        lane.launch,
        finite(lane.parameters),
    )


def _work(given: Problem) -> Work:
    m, d = given.weight.shape
    return work_of_step(len(given.plan.batches[0]), d, m, target_bytes=given.y.element_size())
