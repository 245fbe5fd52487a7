"""Steps with a common contract, device and batch size, interleaved with their phases and measurements of the floor."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from harness.bench.suites.doubt import SHORTEST_S, find_copies, find_faults, find_remarks
from harness.bench.suites.number_format import FORMATS, add_rounds, compare_formats
from harness.bench.suites.training import Problem, finite, problem, start_step
from harness.case import Case
from harness.record import median_ratio
from harness.record.bench import FormatRecord
from harness.record.estimate import MIN_SAMPLES
from harness.timing.clock import (
    Accelerator,
    Clock,
    NotCapturableError,
    WarmUp,
    limit_wall_time,
    stop_garbage_collection,
    warm,
)
from harness.timing.device import (
    LAST_READINGS,
    MAX_CALLS,
    DeviceState,
    calls_in_queue,
    device_state,
    list_full_rounds,
    make_flush,
    read_clock,
    time_by_events,
    time_cold,
    time_replays,
    watch_clock,
)
from harness.timing.roofline import (
    CACHED,
    COPY,
    FLUSHED,
    MULTIPLY,
    READ,
    Gauge,
    Rates,
    Work,
    gauges,
    rates,
    work_of_step,
)
from harness.timing.turns import (
    SLICE_S,
    Arm,
    Interleaved,
    Times,
    calls_within,
    interleave,
    rounds_for,
    time_parts,
    whole,
)
from harness.wording.number import percent

PHASES = ("forward", "loss", "backward", "update")
"""Methods of a step whose phases can be timed separately."""

FIRST_CALL_S = 120.0
"""Time limit of a first call in seconds; a compiler needs about ten."""

WARM_S = 0.03
"""Warm-up seconds for each step after its first call."""

WITHIN = 0.03
"""Rounds stop when the interval of each step's ratio to the first is narrow enough, or when the requested seconds
are over."""

GAUGE_S = 1e-3
"""Duration of a turn that measures a rate of the machine, in seconds."""


@dataclass(frozen=True)
class Timed:
    """The measurements of one step.

    Parameters
    ----------
    warmed
        Its calls before the rounds.
    calls
        Calls per round.
    rounds_s
        Seconds per call, one number per round.
    phases_s
        Seconds by name of the phase; empty if the step does not report its phases.
    finite
        Whether its parameters are finite afterwards.
    device_s
        On an accelerator, seconds per call by :data:`TIMES` and round.
    graph_absent
        Reason why there is no graph of the step on an accelerator.
    faults, remarks
        Reasons why the times are wrong, and remarks on the work that they include.
    formats
        The step in other formats, if it is the first of its style.
    """

    warmed: WarmUp
    calls: int
    rounds_s: Sequence[float]
    phases_s: Mapping[str, Sequence[float]]
    finite: bool
    device_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    graph_absent: str | None = None
    faults: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    formats: Mapping[str, FormatRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Steps that were measured in turns.

    Parameters
    ----------
    timed
        Measurements by case.
    failed
        Errors of the other cases.
    work
        Least work of a step.
    rates
        Rates of the machine in each round.
    transfer_s
        Seconds to copy the minibatch to the accelerator in each round; empty on the CPU.
    states
        State of the accelerator before and after the rounds.
    """

    timed: Mapping[str, Timed]
    failed: Mapping[str, Exception]
    work: Work
    rates: Sequence[Rates]
    transfer_s: Sequence[float] = ()
    states: tuple[DeviceState, DeviceState] = (DeviceState(), DeviceState())

    @property
    def floor_s(self) -> list[float]:
        """Return the least time of a step in each round."""
        return [rate.floor_s(self.work) for rate in self.rates]


def measure_group(
    cases: Sequence[Case],
    batch_size: int,
    accelerator: Accelerator | None,
    *,
    seconds: float,
    clock: Clock = time.perf_counter,
) -> Group:
    """Measure the steps of some cases on the same minibatch, interleaved.

    A case that raises leaves. On an accelerator, calls and phases are synchronized; further turns time queued calls by
    events, the step as a graph, and the copy of the minibatch to the device.
    """
    device_name, settle = ("cpu", _skip_waiting) if accelerator is None else (accelerator.name, accelerator.synchronize)
    lanes: dict[str, _Lane] = {}
    failed: dict[str, Exception] = {}
    with stop_garbage_collection():
        for case in cases:
            try:
                lanes[case.name] = _make_lane(case, problem(case, batch_size), settle, clock, accelerator)
            except Exception as error:  # noqa: BLE001 - the case's own benchmark raises it
                failed[case.name] = error
        for case in {case.style: case for case in reversed(cases) if case.name in lanes}.values():
            lanes[case.name] = _add_formats(
                lanes[case.name], case, problem(case, batch_size), device_name, settle, clock
            )
        task = problem(cases[0], batch_size)
        work, before = _estimate_work(task), device_state(accelerator)
        measuring = gauges(work, device_name, l2_bytes=before.l2_bytes)
        arms = {name + suffix: arm for name, lane in lanes.items() for suffix, arm in lane.arms.items()}
        for name, gauge in measuring.items():
            if name != FLUSHED:
                arms[name] = _make_rate_arm(gauge, accelerator, clock)
        if accelerator is not None:
            arms[_TRANSFER] = _make_arm(_make_transfer(task, device_name), settle, clock, GAUGE_S)
            if before.l2_bytes and FLUSHED in measuring:
                arms |= _make_cold_arms(lanes, measuring[FLUSHED], before.l2_bytes, accelerator, clock)
            if (read := read_clock(accelerator)) is not None:
                arms[_CLOCK] = Arm(watch_clock(read, clock), 1)
        turns = interleave(arms, rounds=_count_rounds(arms, seconds), seed=batch_size, enough=_make_enough(list(lanes)))
        for _ in range(LAST_READINGS if _CLOCK in turns.times else 0):
            time.sleep(1.0 / LAST_READINGS)
            turns.times[_CLOCK].append(arms[_CLOCK].slice(1))
        states = (before, device_state(accelerator))
    turns, throttling = _keep_full_rounds(turns)
    failed |= {_find_case(name): error for name, error in turns.failed.items()}
    kinds = (kind for kind in (READ, COPY, MULTIPLY, CACHED) if kind in measuring)
    part = 0 if accelerator is None else 1
    per_s = ([measuring[kind].amount / max(times[part], 1e-9) for times in turns.times[kind]] for kind in kinds)
    transfer_s = [call_s for (call_s,) in turns.times.get(_TRANSFER, ())]
    measured = list(map(rates, *per_s))
    group = Group({}, failed, work, measured, transfer_s, states)
    timed = {name: _read_times(lane, turns) for name, lane in lanes.items() if name not in failed}
    if accelerator is not None:
        judged = {name: _judge(lanes[name], each, group, turns, measuring) for name, each in timed.items()}
        timed = {name: replace(each, remarks=(*each.remarks, *throttling)) for name, each in judged.items()}
    return replace(group, timed=timed)


def _make_cold_arms(
    lanes: "Mapping[str, _Lane]", gauge: Gauge, l2_bytes: int, accelerator: Accelerator, clock: Clock
) -> dict[str, Arm]:
    """Return the arms of calls after a flush of the cache: of the steps, and of a reading that shows the flush."""
    flush = make_flush(accelerator.name, l2_bytes)
    calls = {lane.name + _COLD: lane.launch for lane in lanes.values()} | {FLUSHED: gauge.call}
    return {name: Arm(time_cold(call, flush, accelerator, clock), COLD_CALLS) for name, call in calls.items()}


def _keep_full_rounds(turns: Interleaved) -> tuple[Interleaved, list[str]]:
    """Return the rounds at the full clock of the accelerator, and a sentence about the others."""
    readings = turns.times.get(_CLOCK, ())
    total = max(0, len(readings) - LAST_READINGS)
    full, clock_mhz = list_full_rounds(readings, total), [mhz for mhz, _ in readings if mhz > 0.0]
    if len(full) == total:
        return turns, []
    share = percent(min(clock_mhz) / max(clock_mhz))
    if len(full) < MIN_SAMPLES:
        return turns, [f"the accelerator ran at {share} of its clock in {total - len(full)} of {total} rounds"]
    times = {name: [series[number] for number in full] for name, series in turns.times.items()}
    sentence = (
        f"{total - len(full)} of {total} rounds do not count, because the accelerator ran at {share} of its clock"
    )
    return turns._replace(times=times), [sentence]


def _judge(lane: "_Lane", timed: Timed, group: Group, turns: Interleaved, measuring: Mapping[str, Gauge]) -> Timed:
    """Return the times of a step with their faults and remarks."""

    def read(arm: str, part: int) -> list[float]:
        return [round_s[part] for round_s in turns.times.get(arm, ())]

    def per_s(kind: str) -> list[float]:
        return [measuring[kind].amount / max(call_s, SHORTEST_S) for call_s in read(kind, 1)]

    device_s = timed.device_s.get("device_s", ())
    memory_per_s = list(map(max, per_s(READ), per_s(COPY)))
    flushed_per_s = per_s(FLUSHED) if FLUSHED in turns.times else []
    faults = find_faults(timed.rounds_s, group.floor_s, device_s, flushed_per_s, memory_per_s)
    beyond_s = read(lane.name + _QUEUED, 2)
    remarks = find_remarks(device_s, beyond_s, read(MULTIPLY, 0), read(MULTIPLY, 1), lane.copies)
    return replace(timed, faults=tuple(faults), remarks=tuple(remarks))


_WHOLE, _PHASES, _QUEUED, _GRAPH, _COLD = "", " in phases", " queued", " as a graph", " with a cold cache"
_LOOP, _PINNED_LOOP = " in a loop", " in a loop from pinned memory"
_IN_FORMAT = " in {}"
"""Suffixes of the arms of a case."""

_TRANSFER, _CLOCK = "transfer", "clock"

COLD_CALLS = 3
"""Calls in a turn with a cold cache."""

TIMES: Mapping[str, tuple[str, int]] = {
    "launch_s": (_QUEUED, 0),
    "device_s": (_QUEUED, 1),
    "graph_s": (_GRAPH, 0),
    "graph_device_s": (_GRAPH, 1),
    "flushed_s": (_COLD, 0),
    "flushed_device_s": (_COLD, 1),
    "loop_s": (_LOOP, 0),
    "pinned_loop_s": (_PINNED_LOOP, 0),
}
"""Times on an accelerator, with the arm and the part of its turn."""


def _find_case(name: str) -> str:
    """Return the case of an arm."""
    for suffix in (_PHASES, _QUEUED, _GRAPH, _COLD, _LOOP, _PINNED_LOOP, *map(_IN_FORMAT.format, FORMATS)):
        name = name.removesuffix(suffix)
    return name


def _make_rate_arm(gauge: Gauge, accelerator: Accelerator | None, clock: Clock) -> Arm:
    """Return the arm of a rate: waited calls on the CPU, queued calls between events on an accelerator."""
    if accelerator is None:
        return _make_arm(gauge.call, _skip_waiting, clock, GAUGE_S)
    waited = warm(_wait_for_queue(gauge.call, accelerator.synchronize), duration_s=0.0, clock=clock)
    calls = calls_in_queue(gauge.call, accelerator, clock, max_calls=calls_within(GAUGE_S, waited.warm_s))
    return Arm(time_by_events(gauge.call, accelerator, clock), calls)


def _make_transfer(task: Problem, device_name: str) -> Callable[[], object]:
    """Return a copy of the minibatch from ordinary memory of the host to the device."""
    X, y = task.minibatch(0)
    return lambda: (X.to(device_name, copy=True), y.to(device_name, copy=True))


@dataclass(frozen=True)
class _Lane:
    """One case during the measurement, with its arms by suffix."""

    name: str
    warmed: WarmUp
    parameters: tuple[Tensor, Tensor]
    arms: Mapping[str, Arm]
    launch: Callable[[], object]
    graph_absent: str | None = None
    copies: tuple[str, ...] = ()
    formats: Mapping[str, FormatRecord] = field(default_factory=dict)


def _skip_waiting() -> None:
    """Wait for nothing: the CPU has no queue."""


def _wait_for_queue(call: Callable[[], object], settle: Callable[[], None]) -> Callable[[], object]:
    """Return the call with the wait for its queued work."""
    if settle is _skip_waiting:
        return call

    def both() -> None:
        call()
        settle()

    return both


def _make_lane(
    case: Case, task: Problem, settle: Callable[[], None], clock: Clock, accelerator: Accelerator | None
) -> _Lane:
    device = "cpu" if accelerator is None else accelerator.name
    step, parameters = start_step(case, on_device := task.to(device))
    X, y = on_device.minibatch(0)

    def launch() -> None:
        step(X, y)

    call = _wait_for_queue(launch, settle)
    with limit_wall_time(FIRST_CALL_S, f"the warm-up of {case.name}"):
        warmed = warm(call, duration_s=WARM_S, clock=clock)
    calls = calls_within(SLICE_S, warmed.warm_s)
    arms = {_WHOLE: Arm(whole(call, clock), calls)}
    if all(callable(getattr(step, phase, None)) for phase in PHASES):
        arms[_PHASES] = Arm(time_parts(_report_phases(step, X, y, settle), clock), calls)
    if accelerator is None:
        return _Lane(case.name, warmed, parameters, arms, launch)
    for suffix, loop in _make_loops(step, task, device).items():
        arms[suffix] = _make_arm(loop, settle, clock, SLICE_S)
    copies = find_copies(launch, device)
    max_calls = min(MAX_CALLS, calls)
    queued = calls_in_queue(launch, accelerator, clock, max_calls=max_calls)
    arms[_QUEUED] = Arm(time_by_events(launch, accelerator, clock), queued)
    try:
        replay = accelerator.capture(launch)
    except NotCapturableError as error:
        return _Lane(case.name, warmed, parameters, arms, launch, str(error), copies)
    arms[_GRAPH] = Arm(
        time_replays(replay, accelerator, clock), calls_in_queue(replay, accelerator, clock, max_calls=max_calls)
    )
    return _Lane(case.name, warmed, parameters, arms, launch, None, copies)


def _add_formats(
    lane: "_Lane", case: Case, task: Problem, device: str, settle: Callable[[], None], clock: Clock
) -> "_Lane":
    """Return a step with arms for the formats other than float32."""
    arms, records = compare_formats(case, task, device, lambda call: _make_arm(call, settle, clock, SLICE_S))
    return replace(
        lane, arms={**lane.arms, **{_IN_FORMAT.format(name): arm for name, arm in arms.items()}}, formats=records
    )


def _make_loops(step: Any, task: Problem, device: str) -> dict[str, Callable[[], object]]:
    """Return steps of a training loop, which copies each minibatch: from ordinary and from page-locked memory."""
    ordinary = task.minibatch(0)
    loops: dict[str, Callable[[], object]] = {_LOOP: lambda: step(*(part.to(device) for part in ordinary))}
    with contextlib.suppress(RuntimeError):  # without an accelerator, and for some
        pinned = [part.pin_memory() for part in ordinary]
        if pinned[0].device.type == "cpu":  # releases before 2.14 move it to MPS
            loops[_PINNED_LOOP] = lambda: step(*(part.to(device, non_blocking=True) for part in pinned))
    return loops


def _report_phases(step: Any, X: Tensor, y: Tensor, settle: Callable[[], None]) -> Callable[[Callable[[], None]], None]:
    """Return a step that reports when a phase ends."""

    def call(on_phase_end: Callable[[], None]) -> None:
        scores = step.forward(X)
        settle()
        on_phase_end()
        loss = step.loss(scores, y)
        settle()
        on_phase_end()
        step.backward(loss)
        settle()
        on_phase_end()
        step.update()
        settle()
        on_phase_end()

    return call


def _make_arm(call: Callable[[], object], settle: Callable[[], None], clock: Clock, slice_s: float) -> Arm:
    waited = _wait_for_queue(call, settle)
    return Arm(whole(waited, clock), calls_within(slice_s, warm(waited, duration_s=0.0, clock=clock).warm_s))


def _count_rounds(arms: Mapping[str, Arm], seconds: float) -> int:
    """Return the number of rounds that fit into the time, from a trial round."""
    once = interleave(arms, rounds=1)
    round_s = sum(sum(times[0]) * (arms[name].calls + 1) for name, times in once.times.items())
    return rounds_for(seconds, round_s, len(arms))


def _make_enough(steps: Sequence[str]) -> Callable[[Times], bool]:
    """Return whether the ratios of the steps are known; of a single step, whether its time is."""

    def are_known(times: Times) -> bool:
        series = [[whole_s for (whole_s,) in times[name]] for name in steps if name in times]
        bases = series[:1] if len(series) > 1 else [[1.0] * len(times_s) for times_s in series]
        return all(median_ratio(each, base).is_within(WITHIN) for base in bases for each in series)

    return are_known


def _read_times(lane: _Lane, turns: Interleaved) -> Timed:
    parts = turns.times.get(lane.name + _PHASES)
    return Timed(
        lane.warmed,
        lane.arms[_WHOLE].calls,
        [call_s for (call_s,) in turns.times[lane.name]],
        dict(zip(PHASES, map(list, zip(*parts, strict=True)), strict=True)) if parts else {},
        finite(lane.parameters),
        {
            name: [round_s[part] for round_s in turns.times[lane.name + arm]]
            for name, (arm, part) in TIMES.items()
            if lane.name + arm in turns.times
        },
        lane.graph_absent,
        formats=add_rounds(lane.formats, lambda name: turns.times.get(lane.name + _IN_FORMAT.format(name), [])),
    )


def _estimate_work(task: Problem) -> Work:
    m, d = task.weight.shape
    return work_of_step(len(task.plan.batches[0]), d, m, target_bytes=task.y.element_size())
