"""Measurement of loaders: start and end of each one alone, and slices of all with one batch size and workers in turns.

A slice is a part of the steady state: a number of batches, from one epoch into the next. The memory limit is measured
directly before each slice, so that both meet the same machine.

Each round gives every loader one slice, in random order. The first loader with the fewest workers takes part in the
rounds of every group, so that each loader has a ratio to it.
"""

import random
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import psutil
from torch.utils.data import DataLoader

from harness.case import Case
from harness.execution.environment import usable_cores
from harness.loading.accounting import Memory, OtherLoad, memory
from harness.loading.budget import measure_budget
from harness.loading.fault import LoadingError, LoadingFault
from harness.loading.supervision import ignore_deaths, supervise, supervise_and_count
from harness.loading.throughput import (
    Configuration,
    LoaderReading,
    MemoryLimit,
    Start,
    Throughput,
    allow_more_workers_than_cores,
    hop_s,
)
from harness.record import median_ratio
from harness.record.bench import LoaderRecord, names
from harness.record.budget import Budget
from harness.timing.clock import stop_garbage_collection
from harness.timing.turns import take_turns

SLICES = 9
"""Slices that share the measuring time of a loader."""

MIN_ROUNDS = 5
"""Minimum number of slices, one for each round, that give an interval."""

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
class LoaderRequest:
    """A loader to measure, with its configuration; ``seconds`` is the total of its slices."""

    make: Callable[[], Iterable[Any]]
    count: Callable[[Any], int]
    """Counts the samples of a batch."""
    configuration: Configuration
    epoch_batches: int
    seconds: float
    limit: MemoryLimit | None = None
    """Memory limit; if absent, it follows from its batches."""
    needs_workers: bool = False
    """Whether to skip a loader that starts neither processes nor threads."""

    def reading(self) -> LoaderReading:
        """Return a fresh reading of the loader."""
        return LoaderReading(self.make, count=self.count)


class Plan(NamedTuple):
    """Batches per slice, and seconds per batch."""

    batches: int
    batch_s: float


@dataclass(frozen=True)
class SingleMeasurement:
    """Measurement of a loader, given by its type, while no other one is open."""

    loader: str
    start: Start
    memory: Memory
    """Memory of this process and its workers in the steady state."""
    shutdown_s: float
    epochs: list[tuple[int, int]]
    """Samples and batches of the epochs that were read to their end."""
    last: Any
    """Last batch."""
    plan: Plan
    is_hidden: bool
    """Whether it may read ahead by an unknown number of batches."""
    limit: MemoryLimit | None
    """Memory limit; ``None`` if a batch has no tensor."""


def measure_alone(request: LoaderRequest, *, finish_s: float = FINISH_S) -> SingleMeasurement | None:
    """Read a loader from its start to its end; ``None`` if it needs workers and starts none."""
    kinds: list[type] = []

    def noting() -> Iterable[Any]:
        loader = request.make()
        kinds.append(type(loader))
        return loader

    limit = request.limit
    with LoaderReading(noting, count=request.count) as reading:
        before = _find_helpers()
        start = reading.start()
        has_helpers = bool(_find_helpers() - before)
        if request.needs_workers and not has_helpers:
            return None
        if limit is None:
            batch = _read_batch(reading)
            limit = MemoryLimit.of_batch(batch, request.count(batch))
        # A `DataLoader` reads ahead by a known number of batches; another loader with helpers by any number.
        is_hidden = has_helpers and not issubclass(kinds[0], DataLoader)
        plan = _choose_plan(reading, request, is_hidden=is_hidden)
        reading.skip(min(plan.batches, request.epoch_batches))
        used, last = memory(), _read_batch(reading)
        if not reading.epochs and plan.batch_s * request.epoch_batches <= finish_s:
            reading.finish(seconds=2 * finish_s)
        shutdown_s = reading.close()
    name = f"{kinds[0].__module__}.{kinds[0].__qualname__}"
    return SingleMeasurement(name, start, used, shutdown_s, reading.epochs, last, plan, is_hidden, limit)


def _find_helpers() -> set[int]:
    """Return the identifiers of the processes and threads of this program; some may end at any time."""
    process = psutil.Process()
    return {child.pid for child in process.children(recursive=True)} | {thread.id for thread in process.threads()}


def _read_batch(reading: LoaderReading) -> Any:
    """Read one more batch, and return it."""
    seen_batches: list[Any] = []
    reading.take = seen_batches.append
    reading.skip(1)
    reading.take = None
    return seen_batches[0]


def _choose_plan(reading: LoaderReading, request: LoaderRequest, *, is_hidden: bool) -> Plan:
    """Plan a slice: all workers deliver equally often, and fast loaders are read by whole epochs."""
    configuration, slice_s = request.configuration, request.seconds / SLICES
    if is_hidden:
        slice_s = max(slice_s, BURSTS_S)
        reading.steady(seconds=slice_s)
    warm = reading.steady(seconds=slice_s, skip=configuration.ahead + 1)
    batch_s, workers = warm.wall_s / warm.batches, configuration.workers
    batches = round(slice_s / batch_s)
    if workers:
        turns = 2 if MIN_ROUNDS * (3 * workers + configuration.ahead) * batch_s <= LONGEST_S else 1
        batches = workers * max(turns, round(batches / workers))
    if SHORT_EPOCH * batches >= request.epoch_batches:
        batches = request.epoch_batches * max(1, round(batches / request.epoch_batches))
    return Plan(max(1, batches), batch_s)


@dataclass
class OpenLoader:
    """A loader that stays open while it is measured in turns with others."""

    request: LoaderRequest
    alone: SingleMeasurement
    slices: list[Throughput] = field(default_factory=list)
    limits: list[Throughput] = field(default_factory=list)
    """Slices of the memory limit by rounds; empty if a batch has no tensor."""

    def __post_init__(self) -> None:
        """Create a fresh reading."""
        self._reading = self.request.reading()
        self._left = 0.0

    @property
    def turn_s(self) -> float:
        """Predicted seconds of a turn."""
        ahead, plan = self.request.configuration.ahead, self.alone.plan
        return (ahead + 1 + plan.batches) * plan.batch_s + self._rest_s + LIMIT_S

    @property
    def _rest_s(self) -> float:
        configuration = self.request.configuration
        return min(REST_S, configuration.ahead * self.alone.plan.batch_s)

    def open(self) -> None:
        """Start the loader."""
        self._reading.start()
        self._leave()

    def turn(self) -> None:
        """Time a slice of the limit and of the loader, then let its workers fill their queues."""
        ahead, batches = self.request.configuration.ahead, self.alone.plan.batches
        if self.alone.limit is not None:
            self.limits.append(self.alone.limit.slice(self.request.configuration.batch_size, LIMIT_S))
        if self.alone.is_hidden:
            # It prepared no more than fits into the pause, and no more than an epoch.
            pause_s = time.perf_counter() - self._left
            self._reading.steady(seconds=pause_s, batches=self.request.epoch_batches)
        self.slices.append(self._reading.steady(batches=batches, skip=ahead + 1))
        self._leave()

    def _leave(self) -> None:
        self._left = time.perf_counter()
        time.sleep(self._rest_s)

    def close(self) -> None:
        """Shut the loader down."""
        self._reading.close()

    def record(
        self, case: Case, group: "LoaderGroup", *, data: str, samples: int, remark: str | None, reference: str | None
    ) -> LoaderRecord:
        """Return the record of a case that loads a number of samples of some data."""
        configuration, standalone = self.request.configuration, self.alone
        return LoaderRecord(
            **names(case),
            **asdict(configuration),
            data=data,
            samples=samples,
            batches=-(-samples // configuration.batch_size),
            remark=remark,
            loader=standalone.loader,
            slice_batches=standalone.plan.batches,
            made_s=standalone.start.made_s,
            iterator_s=standalone.start.iterator_s,
            first_batch_s=standalone.start.wall_s,
            start_cpu_s=standalone.start.cpu_s,
            shutdown_s=standalone.shutdown_s,
            wall_us=tuple(slice_.wall_us for slice_ in self.slices),
            cpu_us=tuple(slice_.cpu_us for slice_ in self.slices),
            limit_wall_us=tuple(limit.wall_us for limit in self.limits),
            limit_cpu_us=tuple(limit.cpu_us for limit in self.limits),
            pss_bytes=standalone.memory.pss_bytes,
            shared_bytes=standalone.memory.shared_bytes,
            reference=reference if group.reference else None,
            reference_wall_us=tuple(it.wall_us for it in group.reference),
            reference_cpu_us=tuple(it.cpu_us for it in group.reference),
            other_load=group.other_load,
        )


# In turns

REFERENCE = "reference"
"""Key of the reference loader, if it does not belong to the group."""

MAX_ROUNDS, WITHIN, PATIENCE = 25, 0.05, 4
"""Rounds stop when all intervals are narrow enough, at the maximum number, or when the time is a multiple of the
requested seconds."""


@dataclass(frozen=True)
class LoaderGroup:
    """Loaders that were measured in turns, and the others: with faults, or skipped because they start no workers."""

    lanes: Mapping[str, OpenLoader] = field(default_factory=dict)
    failed: Mapping[str, LoadingFault] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()
    reference: Sequence[Throughput] = ()
    """Slices of the reference in the same rounds; empty if there is none."""
    other_load: float | None = None
    """Cores that other processes used during the rounds; ``None`` if unknown."""


def measure_loaders(requests: Mapping[str, LoaderRequest], *, reference: str | None, timeout_s: float) -> LoaderGroup:
    """Measure each loader alone, each within the time limit, then all of them in turns with the reference, if any."""
    failed: dict[str, LoadingFault] = {}
    lanes: dict[str, OpenLoader] = {}
    skipped = set()
    for name, loader in requests.items():
        try:
            with supervise(timeout_s):
                alone = measure_alone(loader)
        except LoadingError as error:
            failed[name] = error.fault
            continue
        if alone is None:
            skipped.add(name)
        else:
            lanes[name] = OpenLoader(loader, alone)
    with ignore_deaths():  # also between two turns
        load = _take_turns(lanes, failed, reference, timeout_s)
    slices = lanes[reference].slices if reference in lanes and reference not in failed else []
    measured = {name: lane for name, lane in lanes.items() if name not in failed}
    return LoaderGroup(measured, failed, frozenset(skipped), slices, load)


def _take_turns(
    lanes: Mapping[str, OpenLoader], failed: dict[str, LoadingFault], reference: str | None, timeout_s: float
) -> float | None:
    """Give the loaders their turns, and return the load by other processes meanwhile."""

    def attempt(name: str, action: Callable[[], None]) -> None:
        if name in failed:
            return
        try:
            with supervise_and_count(timeout_s, keeps=True):
                action()
        except LoadingError as error:
            failed[name] = error.fault

    budget_s = PATIENCE * sum(lane.request.seconds for lane in lanes.values())
    round_s = sum(lane.turn_s for lane in lanes.values())
    least = SLICES if SLICES * round_s <= budget_s else MIN_ROUNDS
    order = random.Random(0)  # noqa: S311 - an order, no secret
    try:
        # Loaders with threads start last, so that no threads run while workers are forked.
        for name in sorted(lanes, key=lambda name: lanes[name].alone.is_hidden):
            attempt(name, lanes[name].open)
        with stop_garbage_collection():
            load, until = OtherLoad(), time.perf_counter() + budget_s

            def are_enough(done: int) -> bool:
                return done >= least and (time.perf_counter() >= until or _are_known(lanes, failed, reference))

            for _, name in take_turns(lanes, order, failed, MAX_ROUNDS, are_enough):
                attempt(name, lanes[name].turn)
            return load.cores()
    finally:
        for name, lane in lanes.items():
            attempt(name, lane.close)


def _are_known(lanes: Mapping[str, OpenLoader], failed: Collection[str], reference: str | None) -> bool:
    """Whether all times, and all ratios to the reference, have intervals that are narrow enough."""
    series = {name: [slice_.wall_us for slice_ in lane.slices] for name, lane in lanes.items() if name not in failed}
    base = series.get(reference or "")
    return all(
        median_ratio([1.0] * len(times), times).is_within(WITHIN)
        and (base is None or times is base or median_ratio(base, times).is_within(WITHIN))
        for times in series.values()
    )


# Budgets

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
    with allow_more_workers_than_cores(), stop_garbage_collection():
        return measure_budget(make, step, configuration, cores=usable_cores(), seconds=SECONDS, hop=hop_s)
