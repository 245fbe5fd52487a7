"""One cell of the matrix: a loader in one configuration, its slices in turns with the limit of memory.

A round is a slice of the steady state: so many batches, from one epoch into the next. Before each round the limit has
its turn, so that both meet the same machine, and their ratio is one within a round.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import psutil
from torch.utils.data import DataLoader

from harness.bench.suites.fixture import names
from harness.bench.suites.memory_limit import MemoryLimit
from harness.case import Case
from harness.loading.accounting import Memory, memory
from harness.loading.configuration import Configuration
from harness.loading.reading import LoaderReading, Start, Throughput
from harness.record import median_ratio
from harness.record.bench import LoaderRecord
from harness.timing.clock import without_garbage_collection

ROUNDS = 9
"""Slices of a cell: the fewest whose second smallest and second largest enclose the median with 95 % confidence."""

FEWEST, LONG_S = 5, 0.1
"""Number of rounds if a round takes longer than the limit: the fewest that give an interval."""

MOST, WITHIN, PATIENCE = 25, 0.05, 4
"""Rounds stop when the interval of the rate is narrow enough, at the maximum number, or when the time is a multiple
of the requested seconds."""

LIMIT_S = 8e-3
"""Seconds of a turn of the limit."""

REST_S = 0.1
"""Seconds that workers have at most for filling their queues before the limit has its turn."""

BURSTS_S = 0.1
"""Minimum seconds of a slice for loaders with threads: some poll every 10 ms and deliver in bursts."""


@dataclass(frozen=True)
class Cell:
    """What was measured of a loader in one configuration.

    Parameters
    ----------
    loader
        Type of the loader.
    configuration
        Its settings.
    start
        The way to the first batch.
    slices, limits
        A round each; no limits where a batch has no tensor.
    batches
        Batches a slice.
    memory
        Of this process and its workers, in the steady state.
    shutdown_s
        Seconds that letting go of the loader takes.
    epochs
        Samples and batches of the epochs that were read to their end.
    last
        The last batch.
    """

    loader: str
    configuration: Configuration
    start: Start
    slices: list[Throughput]
    limits: list[Throughput]
    batches: int
    memory: Memory
    shutdown_s: float
    epochs: list[tuple[int, int]]
    last: Any

    def record(self, case: Case, *, data: str, samples: int, remark: str | None) -> LoaderRecord:
        """Return what is kept of it.

        Parameters
        ----------
        case
            The loader.
        data, samples
            What the samples are, and how many an epoch has.
        remark
            What is to be said of the data set.
        """
        return LoaderRecord(
            **names(case),
            **asdict(self.configuration),
            data=data,
            samples=samples,
            batches=-(-samples // self.configuration.batch_size),
            remark=remark,
            loader=self.loader,
            slice_batches=self.batches,
            made_s=self.start.made_s,
            iterator_s=self.start.iterator_s,
            first_batch_s=self.start.wall_s,
            start_cpu_s=self.start.cpu_s,
            shutdown_s=self.shutdown_s,
            wall_us=tuple(it.wall_us for it in self.slices),
            cpu_us=tuple(it.cpu_us for it in self.slices),
            limit_wall_us=tuple(it.wall_us for it in self.limits),
            limit_cpu_us=tuple(it.cpu_us for it in self.limits),
            pss_bytes=self.memory.pss_bytes,
            shared_bytes=self.memory.shared_bytes,
        )


FINISH_S = 2.0
"""Maximum seconds for reading an epoch to its end to check its samples, if no slice reached the end."""


def measure_cell(
    make: Callable[[], Iterable[Any]],
    configuration: Configuration,
    *,
    count: Callable[[Any], int],
    limit: MemoryLimit | None,
    epoch_batches: int,
    seconds: float,
    finish_s: float = FINISH_S,
    needs_workers: bool = False,
) -> Cell | None:
    """Read a loader from its start to its end, and time slices of it.

    Parameters
    ----------
    make
        Makes the loader.
    configuration
        Its settings.
    count
        Counts the samples of a batch.
    limit
        The limit of memory; that of its own batches where absent.
    epoch_batches
        Batches an epoch.
    seconds
        Seconds of all slices, about.
    finish_s
        An epoch that takes longer, in seconds, is not read to its end behind the slices.
    needs_workers
        Whether there is nothing to measure where it starts neither process nor thread.

    Returns
    -------
    cell
        What was measured; ``None`` where there is nothing to measure.
    """
    kinds: list[type] = []

    def noting() -> Iterable[Any]:
        loader = make()
        kinds.append(type(loader))
        return loader

    with LoaderReading(noting, count=count) as reading:
        before = _helpers()
        start = reading.start()
        helped = _helpers() > before
        if needs_workers and not helped:
            return None
        if limit is None:
            batch = _one_batch(reading)
            limit = MemoryLimit.of_batch(batch, count(batch))
        # How far a `DataLoader` reads ahead is known; any other that has helpers may read ahead as far as it likes.
        hidden = helped and not issubclass(kinds[0], DataLoader)
        slice_s = max(seconds / ROUNDS, BURSTS_S) if hidden else seconds / ROUNDS
        if hidden:
            reading.steady(seconds=slice_s)
        plan = _plan(reading, configuration, slice_s, epoch_batches)
        most_s = PATIENCE * seconds
        slices, limits = _rounds(reading, configuration, limit, plan, hidden=hidden, most_s=most_s)
        used = memory()
        last = _one_batch(reading)
        if not reading.epochs and plan.batch_s * epoch_batches <= finish_s:
            reading.finish(seconds=2 * finish_s)
        shutdown_s = reading.close()
    name = f"{kinds[0].__module__}.{kinds[0].__qualname__}"
    return Cell(name, configuration, start, slices, limits, plan.batches, used, shutdown_s, reading.epochs, last)


def _helpers() -> int:
    """How many processes and threads there are beside the one that asks."""
    process = psutil.Process()
    return len(process.children(recursive=True)) + process.num_threads()


def _one_batch(reading: LoaderReading) -> Any:
    """Read one batch more, and return it."""
    kept: list[Any] = []
    reading.take = kept.append
    reading.skip(1)
    reading.take = None
    return kept[0]


class _Plan(NamedTuple):
    """Batches a slice, seconds a batch, and rounds."""

    batches: int
    batch_s: float
    rounds: int


SHORT_EPOCH = 4
"""An epoch of no more slices than these is read as a whole: some shuffle all samples before the first batch."""


LONGEST_S = 1.5
"""Total seconds of slices above which each worker has one turn per slice instead of two."""


def _plan(reading: LoaderReading, configuration: Configuration, slice_s: float, epoch_batches: int) -> _Plan:
    """Plan a slice: each worker has as many turns as the others, and what is fast is read by whole epochs."""
    warm = reading.steady(seconds=slice_s, skip=configuration.ahead + 1)
    batch_s = warm.wall_s / warm.batches
    workers = configuration.workers
    batches = round(slice_s / batch_s)
    if workers:
        turns = 2 if FEWEST * (3 * workers + configuration.ahead) * batch_s <= LONGEST_S else 1
        batches = workers * max(turns, round(batches / workers))
    if SHORT_EPOCH * batches >= epoch_batches:
        batches = epoch_batches * max(1, round(batches / epoch_batches))
    batches = max(1, batches)
    round_s = (configuration.ahead + 1 + batches) * batch_s
    return _Plan(batches, batch_s, FEWEST if round_s > LONG_S else ROUNDS)


def _rounds(
    reading: LoaderReading,
    configuration: Configuration,
    limit: MemoryLimit | None,
    plan: _Plan,
    *,
    hidden: bool,
    most_s: float,
) -> tuple[list[Throughput], list[Throughput]]:
    slices: list[Throughput] = []
    limits: list[Throughput] = []

    with without_garbage_collection():
        until = time.perf_counter() + most_s
        while len(slices) < plan.rounds or _goes_on(slices, until):
            paused = time.perf_counter()
            if configuration.workers:
                time.sleep(min(REST_S, configuration.ahead * plan.batch_s))
            if limit is not None:
                limits.append(limit.slice(configuration.batch_size, LIMIT_S))
            if hidden:
                # In so long a pause no more can have been laid ready than is used up in as long a time.
                reading.steady(seconds=time.perf_counter() - paused)
            slices.append(reading.steady(batches=plan.batches, skip=configuration.ahead + 1))
    return slices, limits


def _goes_on(slices: list[Throughput], until: float) -> bool:
    """Whether more rounds are worth their time: the interval is too wide, and there is time."""
    if len(slices) >= MOST or time.perf_counter() >= until:
        return False
    return not median_ratio([1.0] * len(slices), [it.wall_us for it in slices]).is_within(WITHIN)
