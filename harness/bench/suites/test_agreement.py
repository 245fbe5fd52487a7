"""Our step times compared with ``torch.utils.benchmark.Timer``, interleaved."""

import time
from typing import Any

import pytest
from torch.utils.benchmark import Timer

from harness.bench.suites.benchmark import DTYPE, Tape, cases_of, keep, option, parametrize, refuse
from harness.bench.suites.step_group import FIRST_CALL_S, WARM_S
from harness.bench.suites.training import CONTRACTS, problem, start_step
from harness.calling.modes import explain_missing_compiler
from harness.case import Case
from harness.record import median_ratio
from harness.record.bench import AgreementRecord, names
from harness.timing.clock import WarmUp, limit_wall_time, stop_garbage_collection, threads, warm
from harness.timing.turns import SLICE_S, Arm, Slice, calls_within, interleave, rounds_for, whole

BATCH_SIZES = (1, 256)
SECONDS = 0.5
"""Seconds per benchmark and timer."""

TOLERANCE = 0.03
"""Maximum relative difference between both timers."""

TAPE = Tape()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each case and batch size."""
    batch_sizes = option(metafunc.config, "batch_sizes", BATCH_SIZES)
    items = [(case, size) for case in cases_of(metafunc.config, *CONTRACTS) for size in batch_sizes]
    parametrize(metafunc, ("case", "batch_size"), items)


def run_torch_timer(stmt: str, names: dict[str, Any]) -> Slice:
    """Return a turn of the timer of torch, which also makes warm-up calls."""
    timer = Timer(stmt, globals=names, num_threads=1)
    return lambda calls: tuple(timer.timeit(calls).raw_times)


@pytest.mark.benchmark(timer=TAPE.clock)
def test_agreement(benchmark: Any, pytestconfig: pytest.Config, case: str, batch_size: int) -> None:
    """Time one step by both, and refuse if the whole interval of the ratio is 3 % off, twice."""
    declared = cases_of(pytestconfig, *CONTRACTS)[case]
    with threads(1), stop_garbage_collection():
        warmed, arms = _make_arms(declared, batch_size)
        seconds, turns_s = option(pytestconfig, "seconds", SECONDS), 2 * arms["ours"].calls * warmed.warm_s
        # Another process may slow down most turns of one side, so a difference must occur in two series.
        for _ in range(2):
            turns = interleave(arms, rounds=rounds_for(seconds, turns_s, len(arms)), seed=batch_size)
            for failure in turns.failed.values():
                raise failure
            ours, theirs = ([call_s for (call_s,) in turns.times[name]] for name in arms)
            ratio = median_ratio(ours, theirs)
            agrees = ratio.low <= 1 + TOLERANCE and ratio.high >= 1 - TOLERANCE
            if agrees:
                break
    TAPE.play(benchmark, ours, calls=arms["ours"].calls)
    benchmark.group = f"{declared.contract}, batch {batch_size:6}"
    record = AgreementRecord(
        **names(declared),
        contract=declared.contract,
        batch_size=batch_size,
        dtype=DTYPE,
        cold_s=warmed.cold_s,
        timer_s=tuple(theirs),
        tolerance=TOLERANCE,
    )
    keep(benchmark, record)
    if not agrees:
        refuse(
            declared,
            f"the measured step time agrees with torch.utils.benchmark.Timer within {TOLERANCE:.0%}",
            where=f"{DTYPE}, batch {batch_size}",
            ratio=f"{ratio.point:.4f}, 95 % interval {ratio.low:.4f} to {ratio.high:.4f}",
        )


def _make_arms(case: Case, batch_size: int) -> tuple[WarmUp, dict[str, Arm]]:
    """Warm a step up, and return both ways of timing it, with equally many calls."""
    task = problem(case, batch_size)
    step, _ = start_step(case, task)
    X, y = task.minibatch(0)

    def call() -> None:
        step(X, y)

    try:
        with limit_wall_time(FIRST_CALL_S, f"the warm-up of {case.name}"):
            warmed = warm(call, duration_s=WARM_S)
    except Exception as error:
        if reason := explain_missing_compiler(error):
            pytest.skip(reason)
        raise
    calls = calls_within(SLICE_S, warmed.warm_s)
    theirs = run_torch_timer("step(X, y)", {"step": step, "X": X, "y": y})
    return warmed, {"ours": Arm(whole(call, time.perf_counter), calls), "theirs": Arm(theirs, calls)}
