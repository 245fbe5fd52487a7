"""Balance: the share of a training loop that waits for the next batch.

The loop is real: the next batch, then a step of concise softmax regression, from epoch to epoch. Waiting and steps are
timed in stretches of the same loop. Between them, loading alone and the step alone give the ratio of the two.
"""

import time
from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

import pytest

from harness.bench.suites.benchmark import Tape, cases_of, keep, option, parametrize, refuse
from harness.bench.suites.training import finite, stepper_of, training_step
from harness.data.images import ImageData
from harness.loading.fault import LoadingError
from harness.loading.supervision import supervise
from harness.loading.throughput import PREFETCH, allow_more_workers_than_cores
from harness.record import Estimate, geometric_mean, mean_ratio
from harness.record.bench import BalanceRecord, names
from harness.timing.clock import stop_garbage_collection, threads
from harness.tuner.loop import MAX_WAITING, Loop, Waiting

BATCH_SIZES = (64, 256)
WORKERS = (0, 2)
TIMEOUT_S = 120.0
"""Default time limit for each configuration of a loader, in seconds."""

MAX_STRETCHES, SECONDS = 10, 0.5
"""Maximum number of stretches and their total seconds; a fifth of each belongs to the step alone."""

MIN_STRETCHES, WITHIN = 5, 0.1
"""Minimum number of stretches, and the relative width at which the interval of loading to step is narrow enough."""

TAPE = Tape()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each loader, batch size and number of workers."""
    batch_sizes = option(metafunc.config, "batch_sizes", BATCH_SIZES)
    workers = option(metafunc.config, "workers", WORKERS)
    items = list(product(cases_of(metafunc.config, "loader"), batch_sizes, workers))
    parametrize(metafunc, ("case", "batch_size", "workers"), items)


@pytest.mark.benchmark(timer=TAPE.clock)
def test_training_loop(
    benchmark: Any, pytestconfig: pytest.Config, data: ImageData, case: str, batch_size: int, workers: int
) -> None:
    """Run the training loop in stretches, and time waiting and steps separately."""
    loader, stepper = cases_of(pytestconfig, "loader")[case], stepper_of(pytestconfig)
    benchmark.group = f"balance, batch {batch_size:4}, workers {workers}"
    step, parameters = training_step(stepper)
    seconds = option(pytestconfig, "seconds", SECONDS) / MAX_STRETCHES
    stretches: list[Stretch] = []
    rounds_s: list[float] = []

    def make() -> Any:
        return loader.function(data.root, data.train, batch_size, workers, True)  # noqa: FBT003

    def measure() -> None:
        ahead = PREFETCH * workers + 1
        with allow_more_workers_than_cores(), Loop(make, step) as loop:
            loop.run(seconds, minimum=ahead)  # batches that workers prepared at the start
            while len(stretches) < MIN_STRETCHES or (len(stretches) < MAX_STRETCHES and not is_known(stretches)):
                start = time.perf_counter()
                stretches.append(_run_stretch(loop, seconds, ahead))
                rounds_s.append(time.perf_counter() - start)

    try:
        with threads(1), stop_garbage_collection(), supervise(option(pytestconfig, "timeout", TIMEOUT_S)):
            measure()
    except LoadingError as error:
        where = f"batch {batch_size}, workers {workers}"
        refuse(loader, "a loader delivers batches", where=where, actual=error.fault.sentence, remedy=error.fault.remedy)
    if not finite(parameters):
        refuse(stepper, "the weight and the bias are finite after the loop", where=f"{case}, batch {batch_size}")
    TAPE.play(benchmark, rounds_s, calls=1)
    record = BalanceRecord(
        **names(loader),
        batch_size=batch_size,
        workers=workers,
        data=data.name,
        step=stepper.name,
        load_s=geometric_mean([stretch.load_s for stretch in stretches]).point,
        step_s=geometric_mean([stretch.step_s for stretch in stretches]).point,
        loop_s=geometric_mean([stretch.waiting.batch_s for stretch in stretches]).point,
        batches=sum(stretch.waiting.batches for stretch in stretches),
        most_waiting=MAX_WAITING,
        **_summarize(stretches),
    )
    keep(benchmark, record)


class Stretch(NamedTuple):
    """Seconds of a batch loaded alone and of a step alone, and the loop, measured shortly after each other."""

    load_s: float
    step_s: float
    waiting: Waiting


def _run_stretch(loop: Loop, seconds: float, ahead: int) -> Stretch:
    waiting = loop.run(0.4 * seconds)
    return Stretch(loop.load(0.4 * seconds, skip=ahead), loop.step(0.2 * seconds), waiting)


def _estimate_ratios(stretches: Sequence[Stretch]) -> tuple[Estimate, Estimate]:
    """Return the ratio of loading to a step, and the waiting share of the loop."""
    load = mean_ratio([stretch.load_s for stretch in stretches], [stretch.step_s for stretch in stretches])
    waits = geometric_mean([max(stretch.waiting.starvation, 1e-9) for stretch in stretches])
    return load, waits.through(lambda starvation: starvation / (1.0 + starvation))


def is_known(stretches: Sequence[Stretch]) -> bool:
    """Whether more stretches would change neither the ratio nor the verdict."""
    load, share = _estimate_ratios(stretches)
    return load.is_within(WITHIN) and not share.low <= MAX_WAITING <= share.high


def _summarize(stretches: Sequence[Stretch]) -> dict[str, float]:
    """Return the ratio and the waiting share with their intervals."""
    load, share = _estimate_ratios(stretches)
    return {
        "load_to_step": load.point,
        "load_to_step_low": load.low,
        "load_to_step_high": load.high,
        "wait_share": share.point,
        "wait_share_low": share.low,
        "wait_share_high": share.high,
    }
