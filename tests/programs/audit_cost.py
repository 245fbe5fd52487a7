"""The cost of an audit: CPU time and memory of audited training steps as multiples of the step without an audit.

``python -m programs.audit_cost [STEP ...]`` in the folder ``tests`` prints a row for each step, with its goals. With
``--times 1 2 4``, the batch of each step is repeated as often, so that the step takes longer.

The clock is the CPU time of the process, and the modes are interleaved, so that other load changes little. ``run``
audits 100 steps within the time limit of an audit for events; the number of audited steps is in parentheses.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from programs.audited import STEPS, TRANSFORMERS, Audited, audited_step
from tabulate import tabulate
from torch.utils._python_dispatch import TorchDispatchMode

from harness.auditor.audit import audit
from harness.auditor.run import audit_run
from harness.record import median_ratio
from harness.record.audit import AuditRun
from harness.timing.clock import stop_garbage_collection, threads, warm
from harness.timing.turns import SLICE_S, Arm, calls_within, interleave, rounds_for, whole

SECONDS = 0.5
"""Seconds for each of the four modes of a step."""

EVENTS_GOAL, TRANSFORMER_GOAL, FULL_GOAL, MEMORY_GOAL = 3.0, 8.0, 12.0, 5.0
"""Largest multiples of the plain step for an audit."""

RUN_STEPS = 100


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


def count_calls(step: Audited) -> int:
    """Return the number of operations that torch dispatches in a step."""
    with _Idle() as mode:
        step()
    return mode.calls


def audit_events(step: Audited) -> None:
    """Take a step, audited for events."""
    with audit(mode="events"):
        step()


def audit_in_full(step: Audited) -> None:
    """Take a step, audited with a float64 shadow."""
    with audit():
        step()


MODES: Mapping[str, Callable[[Audited], object]] = {
    "plain": lambda step: step(),
    "idle": count_calls,
    "events": audit_events,
    "full": audit_in_full,
}


def time_modes(step: Audited) -> dict[str, tuple[float, ...]]:
    """Interleave all modes on a step, and return the CPU seconds of each round by mode."""
    modes = {name: partial(mode, step) for name, mode in MODES.items()}
    with threads(1), stop_garbage_collection():
        warm_s = {name: warm(mode, calls=1).warm_s for name, mode in modes.items()}
        arms = {
            name: Arm(whole(mode, time.process_time), calls_within(SLICE_S, warm_s[name]))
            for name, mode in modes.items()
        }
        round_s = sum((arm.calls + 1) * warm_s[name] for name, arm in arms.items())
        turns = interleave(arms, rounds=rounds_for(SECONDS, round_s, len(arms)))
    for failure in turns.failed.values():
        raise failure
    return {name: tuple(call_s for (call_s,) in turns.times[name]) for name in arms}


def audit_within_goal(step: Callable[[], object], steps: int) -> tuple[AuditRun, float]:
    """Audit a run of a step for events within the goal; return its record, and its CPU time from outside."""
    run = audit_run(mode="events", within=EVENTS_GOAL, steps=steps)
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


def measure(name: str, times: int) -> dict[str, str]:
    """Return the row of a step whose batch is repeated."""
    step = audited_step(name, times)
    run, run_s = audit_within_goal(step, RUN_STEPS)
    times_s = time_modes(step)
    ratios = {mode: median_ratio(rounds, times_s["plain"]) for mode, rounds in times_s.items() if mode != "plain"}
    plain_s, calls = statistics.median(times_s["plain"]), count_calls(step)
    held, plain_bytes, full_bytes = step.state_bytes, peak_bytes(step), peak_bytes(partial(audit_in_full, step))
    memory = (held + full_bytes) / (held + plain_bytes)
    whole_run = run_s / (run.steps * run.step_s) if run.step_s else 0.0
    full_goal = TRANSFORMER_GOAL if name in TRANSFORMERS else FULL_GOAL
    goals = {
        "events": (ratios["events"].low, EVENTS_GOAL),
        "full": (ratios["full"].low, full_goal),
        "run": (whole_run, EVENTS_GOAL),
        "memory": (memory, MEMORY_GOAL),
    }
    added_us = " ".join(f"{1e6 * plain_s * (ratio.point - 1.0) / calls:.0f}" for ratio in ratios.values())
    return {
        "step": name + f" x {times}" * (times > 1),
        "CPU time": f"{1e3 * plain_s:.1f} ms",
        "calls": f"{calls:,}",
        **{mode: f"{ratio.point:.1f} [{ratio.low:.1f}, {ratio.high:.1f}]" for mode, ratio in ratios.items()},
        "run": f"{whole_run:.2f} ({run.audited})",
        "memory": f"{memory:.2f}",
        "us per call": added_us,
        "above the goal": ", ".join(f"{what} ({goal:g})" for what, (least, goal) in goals.items() if least > goal),
    }


def main() -> None:
    """Read the command line, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="*", default=[*STEPS], choices=STEPS, metavar="STEP")
    parser.add_argument("--times", nargs="+", type=int, default=[1], help="how often the batch is repeated")
    given = parser.parse_args()
    print(tabulate([measure(name, times) for name in given.steps for times in given.times], headers="keys"))


if __name__ == "__main__":
    main()
