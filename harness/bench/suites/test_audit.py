"""The cost of an audit: CPU time and memory of audited training steps relative to the plain steps."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.auditor.audit import audit
from harness.auditor.run import audit_run
from harness.bench.suites.audited import STEPS, TRANSFORMERS, Audited, audited_step
from harness.bench.suites.benchmark import DTYPE, Tape, keep, option
from harness.record.audit import AuditRun
from harness.record.bench import AuditRecord
from harness.timing.clock import threads, warm, without_garbage_collection
from harness.timing.turns import SLICE_S, Arm, calls_within, interleave, rounds_for, whole

SECONDS = 0.5
"""Seconds for each of the four modes of a step."""

EVENTS_LIMIT, TRANSFORMER_LIMIT, FULL_LIMIT, MEMORY_LIMIT = 3.0, 8.0, 12.0, 5.0
"""Target multiples of the plain step for an audit."""

RUN_STEPS = 100
"""Steps of the run that is audited within the time limit of an audit for events."""

TAPE = Tape()


class _Idle(TorchDispatchMode):
    """Sees every operation and counts it: the lower limit of an audit in Python."""

    calls = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave the compiler of torch alone, as an audit does."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.calls += 1
        return func(*args, **(kwargs or {}))


def _idle(step: Audited) -> int:
    with _Idle() as mode:  # type: ignore[no-untyped-call]
        step()
    return int(mode.calls)


def _events(step: Audited) -> None:
    with audit(mode="events"):
        step()


def _full(step: Audited) -> None:
    with audit():
        step()


WAYS: dict[str, Callable[[Audited], object]] = {
    "plain": lambda step: step(),
    "idle": _idle,
    "events": _events,
    "full": _full,
}


@pytest.mark.benchmark(timer=TAPE.clock)
@pytest.mark.parametrize("case", STEPS)
def test_audit(benchmark: Any, pytestconfig: pytest.Config, case: str) -> None:
    """Interleave all ways on one step, by the clock of the process, which other processes do not affect."""
    step = audited_step(case)
    with threads(1), without_garbage_collection():
        ways = {name: partial(way, step) for name, way in WAYS.items()}
        run, run_s = within_bound(step, RUN_STEPS)
        warmed = {name: warm(way, calls=1) for name, way in ways.items()}
        arms = {
            name: Arm(whole(way, time.process_time), calls_within(SLICE_S, warmed[name].warm_s))
            for name, way in ways.items()
        }
        round_s = sum((arm.calls + 1) * warmed[name].warm_s for name, arm in arms.items())
        rounds = rounds_for(option(pytestconfig, "seconds", SECONDS), round_s, len(arms))
        turns = interleave(arms, rounds=rounds)
    for failure in turns.failed.values():
        raise failure
    times = {name: tuple(call_s for (call_s,) in turns.times[name]) for name in arms}
    TAPE.play(benchmark, times["plain"], calls=arms["plain"].calls)
    with audit(mode="events") as found:
        step()
    record = AuditRecord(
        case=case,
        family="audit",
        style="concise",
        dtype=DTYPE,
        calls=_idle(step),
        operations=found.record.operations,
        cold_s=warmed["plain"].cold_s,
        idle_s=times["idle"],
        events_s=times["events"],
        full_s=times["full"],
        state_bytes=step.state_bytes,
        plain_bytes=peak_bytes(ways["plain"]),
        events_bytes=peak_bytes(ways["events"]),
        full_bytes=peak_bytes(ways["full"]),
        events_limit=EVENTS_LIMIT,
        full_limit=TRANSFORMER_LIMIT if case in TRANSFORMERS else FULL_LIMIT,
        memory_limit=MEMORY_LIMIT,
        run_steps=run.steps,
        run_audited=run.audited,
        run_s=run_s,
        run_step_s=run.step_s,
    )
    keep(benchmark, record)


def within_bound(step: Callable[[], object], steps: int) -> tuple[AuditRun, float]:
    """Audit a run of a step for events within the limit; return its record, and its CPU time from outside."""
    run = audit_run(mode="events", within=EVENTS_LIMIT, steps=steps)
    start = time.process_time()
    for _ in range(steps):
        with run.step():
            step()
    return run.record, time.process_time() - start


def peak_bytes(call: Callable[[], object]) -> int:
    """Return the peak of the additional bytes of tensors during a call."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        call()
    assert profile.profiler is not None
    events = [event for event in profile.profiler.kineto_results.events() if event.name() == "[memory]"]
    allocated = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        allocated += event.nbytes()
        peak = max(peak, allocated)
    return peak
