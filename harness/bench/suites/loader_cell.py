"""One loader in one configuration: its start and end, measured alone, and its slices, measured in turns with others.

A slice is a part of the steady state: a number of batches, from one epoch into the next. The memory limit is measured
directly before each slice, so that both meet the same machine. It gathers rows of tensors and converts bytes to floats.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import psutil
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from harness.bench.suites.benchmark import names
from harness.case import Case
from harness.execution.environment import usable_cores
from harness.loading.accounting import Memory, memory
from harness.loading.budget import measure_budget
from harness.loading.configuration import Configuration
from harness.loading.reading import LoaderReading, Start, Throughput, hop_s, more_workers_than_cores, tensors
from harness.record.bench import LoaderRecord
from harness.record.budget import Budget
from harness.timing.clock import without_garbage_collection


class MemoryLimit:
    """Gathers random rows of some tensors with equally many rows, and nothing else.

    Bytes become float32, multiplied by 1 / 255.
    """

    def __init__(self, arrays: Sequence[Tensor]) -> None:
        self.arrays = tuple(arrays)
        self.n = len(self.arrays[0])

    @classmethod
    def of_images(cls, images: Any, labels: Any) -> "MemoryLimit":
        """Return the limit for a set of images in bytes."""
        return cls([torch.from_numpy(images).unsqueeze(1), torch.from_numpy(labels).long()])

    @classmethod
    def of_batch(cls, batch: Any, samples: int) -> "MemoryLimit | None":
        """Return the limit for batches like this one; ``None`` if it has no tensor."""
        arrays = [part for part in tensors(batch) if part.ndim and len(part) == samples]
        return cls(arrays) if arrays else None

    def slice(self, batch_size: int, seconds: float) -> Throughput:
        """Gather batches for some seconds, after an untimed first batch.

        The rows are chosen in advance. A batch stays alive until the next one exists, as in a loop over any loader: two
        batches need more of the processor cache than one.
        """
        orders = torch.randperm(self.n).split(batch_size)
        batch = self._batch(orders[0])
        samples = batches = 0
        cpu, start = time.process_time(), time.perf_counter()
        until = start + seconds
        while True:
            for rows in orders:
                batch = self._batch(rows)
                samples, batches = samples + len(batch[0]), batches + 1
                if time.perf_counter() >= until:
                    wall = time.perf_counter() - start
                    return Throughput(samples, batches, wall, time.process_time() - cpu)

    def _batch(self, rows: Tensor) -> list[Tensor]:
        gathered = [array.index_select(0, rows) for array in self.arrays]
        return [part.float().mul_(1 / 255) if part.dtype == torch.uint8 else part for part in gathered]


SLICES = 9
"""Slices that share the measuring time of a loader."""

FEWEST = 5
"""Minimum number of slices: the fewest that give an interval."""

LIMIT_S = 8e-3
"""Duration of a slice of the memory limit, in seconds."""

REST_S = 0.25
"""Maximum pause after a slice, in seconds, in which workers fill their queues; then they leave the cores to others."""

BURSTS_S = 0.1
"""Minimum duration of a slice for loaders with threads, in seconds: some poll every 10 ms and deliver in bursts."""

FINISH_S = 2.0
"""Longest epoch that is read to its end to check its samples, in seconds."""

SHORT_EPOCH = 4
"""An epoch of at most this many slices is read as a whole: some loaders shuffle all samples before the first batch."""

LONGEST_S = 1.5
"""Total seconds of slices above which each worker delivers one batch per slice instead of two."""


@dataclass(frozen=True)
class Asked:
    """A loader to measure, with its configuration.

    Parameters
    ----------
    make
        Creates the loader.
    count
        Counts the samples of a batch.
    configuration
        Settings of the loader.
    epoch_batches
        Batches per epoch.
    seconds
        Total seconds of its slices.
    limit
        Memory limit; if absent, it follows from its batches.
    needs_workers
        Whether to skip a loader that starts neither processes nor threads.
    """

    make: Callable[[], Iterable[Any]]
    count: Callable[[Any], int]
    configuration: Configuration
    epoch_batches: int
    seconds: float
    limit: MemoryLimit | None = None
    needs_workers: bool = False

    def reading(self) -> LoaderReading:
        """Return a fresh reading of the loader."""
        return LoaderReading(self.make, count=self.count)


class Plan(NamedTuple):
    """Batches per slice, and seconds per batch."""

    batches: int
    batch_s: float


@dataclass(frozen=True)
class Alone:
    """Measurement of a loader while no other one is open.

    Parameters
    ----------
    loader
        Type of the loader.
    start
        Times until the first batch.
    memory
        Memory of this process and its workers in the steady state.
    shutdown_s
        Seconds to shut the loader down.
    epochs
        Samples and batches of the epochs that were read to their end.
    last
        Last batch.
    plan
        Plan of its slices.
    is_hidden
        Whether it may read ahead by an unknown number of batches.
    limit
        Memory limit; ``None`` if a batch has no tensor.
    """

    loader: str
    start: Start
    memory: Memory
    shutdown_s: float
    epochs: list[tuple[int, int]]
    last: Any
    plan: Plan
    is_hidden: bool
    limit: MemoryLimit | None


def measure_alone(request: Asked, *, finish_s: float = FINISH_S) -> Alone | None:
    """Read a loader from its start to its end; ``None`` if it needs workers and starts none."""
    kinds: list[type] = []

    def noting() -> Iterable[Any]:
        loader = request.make()
        kinds.append(type(loader))
        return loader

    limit = request.limit
    with LoaderReading(noting, count=request.count) as reading:
        before = _helpers()
        start = reading.start()
        has_helpers = bool(_helpers() - before)
        if request.needs_workers and not has_helpers:
            return None
        if limit is None:
            batch = _one_batch(reading)
            limit = MemoryLimit.of_batch(batch, request.count(batch))
        # A `DataLoader` reads ahead by a known number of batches; another loader with helpers by any number.
        is_hidden = has_helpers and not issubclass(kinds[0], DataLoader)
        plan = _plan(reading, request, is_hidden=is_hidden)
        reading.skip(min(plan.batches, request.epoch_batches))
        used, last = memory(), _one_batch(reading)
        if not reading.epochs and plan.batch_s * request.epoch_batches <= finish_s:
            reading.finish(seconds=2 * finish_s)
        shutdown_s = reading.close()
    name = f"{kinds[0].__module__}.{kinds[0].__qualname__}"
    return Alone(name, start, used, shutdown_s, reading.epochs, last, plan, is_hidden, limit)


def _helpers() -> set[int]:
    """Return the identifiers of the processes and threads of this program; some may end at any time."""
    process = psutil.Process()
    return {child.pid for child in process.children(recursive=True)} | {thread.id for thread in process.threads()}


def _one_batch(reading: LoaderReading) -> Any:
    """Read one more batch, and return it."""
    kept: list[Any] = []
    reading.take = kept.append
    reading.skip(1)
    reading.take = None
    return kept[0]


def _plan(reading: LoaderReading, request: Asked, *, is_hidden: bool) -> Plan:
    """Plan a slice: all workers deliver equally often, and fast loaders are read by whole epochs."""
    configuration, slice_s = request.configuration, request.seconds / SLICES
    if is_hidden:
        slice_s = max(slice_s, BURSTS_S)
        reading.steady(seconds=slice_s)
    warm = reading.steady(seconds=slice_s, skip=configuration.ahead + 1)
    batch_s, workers = warm.wall_s / warm.batches, configuration.workers
    batches = round(slice_s / batch_s)
    if workers:
        turns = 2 if FEWEST * (3 * workers + configuration.ahead) * batch_s <= LONGEST_S else 1
        batches = workers * max(turns, round(batches / workers))
    if SHORT_EPOCH * batches >= request.epoch_batches:
        batches = request.epoch_batches * max(1, round(batches / request.epoch_batches))
    return Plan(max(1, batches), batch_s)


@dataclass
class Lane:
    """A loader that stays open while it is measured in turns with others."""

    asked: Asked
    alone: Alone
    slices: list[Throughput] = field(default_factory=list)
    limits: list[Throughput] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Create a fresh reading."""
        self._reading = self.asked.reading()
        self._left = 0.0

    @property
    def turn_s(self) -> float:
        """Predicted seconds of a turn."""
        ahead, plan = self.asked.configuration.ahead, self.alone.plan
        return (ahead + 1 + plan.batches) * plan.batch_s + self._rest_s + LIMIT_S

    @property
    def _rest_s(self) -> float:
        configuration = self.asked.configuration
        return min(REST_S, configuration.ahead * self.alone.plan.batch_s)

    def open(self) -> None:
        """Start the loader."""
        self._reading.start()
        self._leave()

    def turn(self) -> None:
        """Time a slice of the limit and of the loader, then let its workers fill their queues."""
        ahead, batches = self.asked.configuration.ahead, self.alone.plan.batches
        if self.alone.limit is not None:
            self.limits.append(self.alone.limit.slice(self.asked.configuration.batch_size, LIMIT_S))
        if self.alone.is_hidden:
            # It prepared no more than fits into the pause, and no more than an epoch.
            pause_s = time.perf_counter() - self._left
            self._reading.steady(seconds=pause_s, batches=self.asked.epoch_batches)
        self.slices.append(self._reading.steady(batches=batches, skip=ahead + 1))
        self._leave()

    def _leave(self) -> None:
        self._left = time.perf_counter()
        time.sleep(self._rest_s)

    def close(self) -> None:
        """Shut the loader down."""
        self._reading.close()


@dataclass(frozen=True)
class Cell:
    """Measurement of a loader in one configuration.

    Parameters
    ----------
    asked
        The loader, with its configuration.
    alone
        Measurements without other loaders.
    slices, limits
        One per round; no limits if a batch has no tensor.
    reference
        Slices of the reference loader in the same rounds.
    other_load
        Cores that other processes used during the rounds; ``None`` if unknown.
    """

    asked: Asked
    alone: Alone
    slices: list[Throughput]
    limits: list[Throughput]
    reference: list[Throughput]
    other_load: float | None

    def record(
        self, case: Case, *, data: str, samples: int, remark: str | None, reference: str | None = None
    ) -> LoaderRecord:
        """Return the record of a case that loads a number of samples of some data."""
        configuration, alone = self.asked.configuration, self.alone
        return LoaderRecord(
            **names(case),
            **asdict(configuration),
            data=data,
            samples=samples,
            batches=-(-samples // configuration.batch_size),
            remark=remark,
            loader=alone.loader,
            slice_batches=alone.plan.batches,
            made_s=alone.start.made_s,
            iterator_s=alone.start.iterator_s,
            first_batch_s=alone.start.wall_s,
            start_cpu_s=alone.start.cpu_s,
            shutdown_s=alone.shutdown_s,
            wall_us=tuple(it.wall_us for it in self.slices),
            cpu_us=tuple(it.cpu_us for it in self.slices),
            limit_wall_us=tuple(it.wall_us for it in self.limits),
            limit_cpu_us=tuple(it.cpu_us for it in self.limits),
            pss_bytes=alone.memory.pss_bytes,
            shared_bytes=alone.memory.shared_bytes,
            reference=reference if self.reference else None,
            reference_wall_us=tuple(it.wall_us for it in self.reference),
            reference_cpu_us=tuple(it.cpu_us for it in self.reference),
            other_load=self.other_load,
        )


SIZE = 256
"""Batch size of the book; otherwise the next smaller size, or the smallest."""

SECONDS = 0.3
"""Duration of the training loop in seconds."""


def budget_size(batch_sizes: Sequence[int]) -> int:
    """Return the batch size with budgets."""
    return max((size for size in batch_sizes if size <= SIZE), default=min(batch_sizes))


def close_budget(
    make: Callable[[], Iterable[Any]], configuration: Configuration, step: Callable[[Any], object] | None
) -> Budget:
    """Run a loop with or without a step, and return the breakdown of the time of a batch."""
    with more_workers_than_cores(), without_garbage_collection():
        return measure_budget(make, step, configuration, cores=usable_cores(), seconds=SECONDS, hop=hop_s)
