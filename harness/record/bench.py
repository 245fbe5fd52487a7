"""The record of a benchmark: the results of a suite in addition to the times of its rounds.

A suite makes the record, and pytest-benchmark stores it under ``extra_info`` in ``bench-<suite>.json``, next to the
statistics of the rounds. The terminal and the report read it with :func:`benchmarks`. A frame of the report takes name,
type and description of its columns from the fields. A column of a field with one value for each round has the median.
Quantities that terminal and report share, such as a share with its interval, are computed here.

Fields that older runs lack are unknown. Unknown keys are ignored.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Generic, TypedDict, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.case import Case
from harness.record.budget import Budget
from harness.record.estimate import Estimate, median_ratio
from harness.record.storage import invalid

Rounds = tuple[float, ...]
"""A number a round, or a slice, in the order in which they were measured."""


def unknown(description: str) -> Any:
    """Declare a field that is unknown in older runs, or where it was not measured."""
    return Field(default=None, description=description)


def series(description: str) -> Any:
    """Declare a field with a number for each round, which is empty where it was not measured."""
    return Field(default=(), description=description)


class _Part(BaseModel):
    """Base class of records that are read from a benchmark: frozen, unknown keys ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True, defer_build=True)

    def row(self) -> dict[str, Any]:
        """Return every field by name, and the median of each series, which is unknown without measurements."""
        series = [name for name, field in type(self).model_fields.items() if field.annotation == Rounds]
        return self.model_dump(exclude=set(series)) | {name: compute_median(getattr(self, name)) for name in series}


def compute_median(series: Sequence[float]) -> float | None:
    """Return the median of a series; ``None`` without measurements."""
    return statistics.median(series) if series else None


class Stats(_Part):
    """Pytest-benchmark's statistics of the rounds in one process."""

    median_s: float = Field(gt=0, alias="median", description="median of the rounds, seconds per call")
    q1_s: float = Field(ge=0, alias="q1", description="first quartile of the rounds")
    q3_s: float = Field(gt=0, alias="q3", description="third quartile of the rounds")
    min_s: float = Field(ge=0, alias="min", description="fastest round")
    mean_s: float = Field(gt=0, alias="mean", description="mean of the rounds")
    rounds: int = Field(gt=0, description="rounds measured, all in one process")
    iterations: int = Field(gt=0, description="calls per round")
    rounds_s: Annotated[Rounds, BeforeValidator(lambda data: () if data is None else data)] = Field(
        default=(), alias="data", description="each round, seconds per call"
    )


class BenchRecord(_Part):
    """Fields that every suite records."""

    suite: ClassVar[str]
    """The suite that makes such records."""

    case: str = Field(description="family.module.function")
    family: str = Field(description="folder of the case")
    style: str = Field(description="scratch, concise or foreign")
    cold_s: float | None = unknown("first call, before any warm-up")

    def extra_info(self) -> dict[str, Any]:
        """Return the fields that the suite has set, for pytest-benchmark to store."""
        return self.model_dump(exclude_unset=True)


class Names(TypedDict):
    """Fields of a record that name its case."""

    case: str
    family: str
    style: str


def names(case: Case) -> Names:
    """Return the fields that name a case."""
    return Names(case=case.name, family=case.family, style=case.style)


class FormatRecord(_Part):
    """A step in a floating-point format other than float32, or the error of the step in float32."""

    rounds_s: Rounds = series("seconds per step in this format, from the rounds of the step")
    error_ulp: float | None = unknown(
        "largest error of a parameter after one step, in ulp of the largest parameter in float32"
    )
    absent: str | None = unknown("reason why the step has no time in this format")


class StepRecord(BenchRecord):
    """One training step: forward, loss, backward, update."""

    suite = "steps"

    contract: str | None = unknown("contract the case claims")
    device: str = Field(description="cpu or the type of an accelerator")
    batch_size: int = Field(gt=0, description="samples per step")
    dtype: str = Field(description="floating-point format")
    threads: int = Field(description="number of torch threads")
    phases_s: Mapping[str, Rounds] = Field(
        default_factory=dict, description="seconds per step by phase; empty if the step does not report its phases"
    )
    formats: Mapping[str, FormatRecord] = Field(
        default_factory=dict,
        description="the step in other formats; only for a first case from scratch and a concise one",
    )
    bytes: int | None = unknown("bytes that a step has to move")
    operations: int | None = unknown("multiplications and additions in a step")
    bytes_per_s: Rounds = series("bandwidth for this number of bytes, median of the rounds")
    operations_per_s: Rounds = series("operations per second of square matrix products, median of the rounds")
    floor_s: Rounds = series("lower limit of the step time from the rates measured in the same rounds, median")
    launch_s: float | None = unknown("time for the host to queue a step on an accelerator")
    device_s: float | None = unknown("time on the accelerator from its events, seconds per step")
    graph_s: float | None = unknown("step replayed as a CUDA graph, timed by the host")
    graph_device_s: float | None = unknown("step replayed as a CUDA graph, timed by events")
    graph_absent: str | None = unknown("reason why there is no CUDA graph")
    launch_rounds_s: Rounds = series("time to queue a step, median of the interleaved rounds")
    device_rounds_s: Rounds = series("time by events, median of the interleaved rounds")
    graph_rounds_s: Rounds = series("replayed step by the host's clock, median of the interleaved rounds")
    graph_device_rounds_s: Rounds = series("replayed step by events, median of the interleaved rounds")
    flushed_s: float | None = unknown("step with a cold second-level cache, timed by the host")
    flushed_device_s: float | None = unknown("step with a cold second-level cache, timed by events")
    loop_s: float | None = unknown("step of a loop that copies each minibatch to the accelerator")
    pinned_loop_s: float | None = unknown("the same from page-locked memory, without waiting for the copy")
    flushed_rounds_s: Rounds = series("step with a cold cache by the host's clock, median of the interleaved rounds")
    flushed_device_rounds_s: Rounds = series("step with a cold cache by events, median of the interleaved rounds")
    loop_rounds_s: Rounds = series("step of a loop that copies, median of the interleaved rounds")
    pinned_loop_rounds_s: Rounds = series("step of a loop that copies from page-locked memory, median of the rounds")
    remarks: tuple[str, ...] = Field(
        default=(), description="work that the times include, and rounds that do not count"
    )
    transfer_s: Rounds = series("time to copy a minibatch from the host to the accelerator, median of the rounds")
    l2_bytes: int | None = unknown("second-level cache of the accelerator")
    clock_mhz: Rounds = series("clock of the accelerator, mean of before and after the rounds")
    memory_clock_mhz: Rounds = series("its memory clock, mean of before and after the rounds")
    power_limit_w: float | None = unknown("its power limit in watts")
    steps_compared: int | None = unknown("fresh steps compared with gradient descent in float64")
    deviation: float | None = unknown("2-norm of the difference of the parameters after these steps")
    bound: float | None = unknown("bound on that difference from rounding")

    @property
    def turn(self) -> tuple[object, ...]:
        """The common facts of steps that were measured in turns."""
        return (self.contract, self.device, self.batch_size, self.dtype, self.threads)

    @property
    def on_device(self) -> Estimate:
        """Time on the accelerator by events, in seconds; unknown on the CPU and for older runs."""
        return median_ratio(self.device_rounds_s, [1.0] * len(self.device_rounds_s))


class AgreementRecord(BenchRecord):
    """One step timed by us and by ``torch.utils.benchmark.Timer``."""

    suite = "agreement"

    contract: str = Field(description="contract the case claims")
    batch_size: int = Field(gt=0, description="samples per step")
    dtype: str = Field(description="floating-point format")
    timer_s: Rounds = Field(description="time by torch.utils.benchmark.Timer, median of the rounds")
    tolerance: float = Field(description="allowed relative difference of the two times")


class LoaderRecord(BenchRecord):
    """Epochs of ``samples`` samples in the steady state, in slices that were measured in turns with the limit."""

    suite = "loaders"

    batch_size: int = Field(gt=0, description="samples per batch")
    workers: int = Field(ge=0, description="worker processes")
    samples: int = Field(gt=0, description="samples per epoch")
    batches: int = Field(ge=0, description="batches per epoch")
    data: str | None = unknown("label of the data")
    loader: str | None = unknown("type of the loader")
    slice_batches: int | None = unknown("batches per slice")
    first_batch_s: float | None = unknown("time until the first batch, including the creation of the loader")
    made_s: float | None = unknown("part of it: until the loader was created (files read, tensors converted)")
    iterator_s: float | None = unknown("part of it: until the iterator was created (workers started)")
    start_cpu_s: float | None = unknown("CPU time until the first batch, including workers")
    shutdown_s: float | None = unknown("time to shut down the loader and its workers")
    wall_us: Rounds = series("microseconds per sample; median of the slices")
    cpu_us: Rounds = series("CPU microseconds per sample, including workers; median of the slices")
    limit_wall_us: Rounds = series("microseconds per sample of the memory limit, measured interleaved")
    limit_cpu_us: Rounds = series("CPU microseconds per sample of the memory limit")
    pss_bytes: int | None = unknown("memory of the process and its workers, shared pages counted once")
    shared_bytes: int | None = unknown("part of it in shared memory")
    prefetch: int | None = unknown("batches that each worker prefetches")
    persistent: bool | None = unknown("whether workers persist between epochs")
    pin: bool | None = unknown("whether batches are in page-locked memory")
    start_method: str | None = unknown("start method of the workers, if it was given")
    remark: str | None = unknown("remark on the data set")
    budget: Budget | None = unknown("where the time of a batch goes, in a training loop")
    reference: str | None = unknown("loader that took part in the same rounds, with workers")
    reference_wall_us: Rounds = series("microseconds per sample of the reference")
    reference_cpu_us: Rounds = series("CPU microseconds per sample of the reference")
    other_load: float | None = unknown("cores that other processes used during the rounds, on average")

    @property
    def gain(self) -> Estimate:
        """Rate relative to the reference, from the same rounds; unknown for older runs."""
        return median_ratio(self.reference_wall_us, self.wall_us)

    @property
    def exceeds_limit(self) -> bool:
        """Whether the loader is faster than the memory limit by its whole interval."""
        return self.share.is_known and self.share.low > 1.0

    def on_workers(self, loaders: "Sequence[LoaderRecord]") -> str | None:
        """Return what other records of the loader say about more workers; ``None`` if they say nothing."""
        similar = [
            loader
            for loader in loaders
            if (loader.case, loader.batch_size, loader.data) == (self.case, self.batch_size, self.data)
        ]
        more = [record for record in similar if record.workers > self.workers and record.wall_us]
        if not more or not self.wall_us:
            return None
        best = max(more, key=lambda record: record.rate.point)
        number = f"{best.workers} worker{'s' * (best.workers != 1)}"
        # Both have a ratio to the reference of their rounds; older runs have rates only.
        has_gains = self.gain.is_known and best.gain.is_known
        current, rate = (self.gain, best.gain) if has_gains else (self.rate, best.rate)
        if rate.low <= current.high and current.low <= rate.high:
            return f"with {number} the rate of loading alone is not distinguishable"
        return f"with {number} the rate of loading alone is {rate.point / current.point:.2f} times as high"

    @property
    def rate(self) -> Estimate:
        """Samples a second over the slices."""
        return median_ratio([1e6] * len(self.wall_us), self.wall_us)

    @property
    def share(self) -> Estimate:
        """Limit over loader: the share of the limit's rate that is reached."""
        return median_ratio(self.limit_wall_us, self.wall_us)

    @property
    def cpu_share(self) -> Estimate:
        """CPU time of the limit over CPU time of the loader, which other load on the machine does not change."""
        return median_ratio(self.limit_cpu_us, self.cpu_us)


class BalanceRecord(BenchRecord):
    """A training loop with one loader and one step: its share of waiting, and loading alone over the step alone."""

    suite = "balance"

    batch_size: int = Field(gt=0, description="samples per batch")
    workers: int = Field(ge=0, description="worker processes")
    data: str | None = unknown("label of the data")
    step: str = Field(description="case of the training step")
    load_s: float = Field(gt=0, description="seconds to load a batch, without training steps")
    step_s: float = Field(gt=0, description="seconds of a training step, without loading")
    loop_s: float | None = Field(
        default=None, gt=0, description="seconds of the training loop per batch: waiting and stepping"
    )
    load_to_step: float = Field(gt=0, description="load_s / step_s, from interleaved measurements")
    load_to_step_low: float = Field(ge=0, description="lower end of the 95 % interval")
    load_to_step_high: float = Field(description="upper end of the 95 % interval")
    wait_share: float = Field(ge=0, le=1, description="share of the training loop spent waiting for the next batch")
    wait_share_low: float = Field(ge=0, le=1, description="lower end of the 95 % interval")
    wait_share_high: float = Field(ge=0, le=1, description="upper end of the 95 % interval")
    most_waiting: float = Field(
        gt=0, lt=1, description="largest waiting share at which loading counts as keeping ahead"
    )
    batches: int = Field(gt=0, description="batches in the training loop")

    @property
    def keeps_ahead(self) -> bool:
        """Whether loading keeps ahead of the step, as far up as the interval goes."""
        return self.wait_share_high <= self.most_waiting

    @property
    def is_decided(self) -> bool:
        """Whether the interval says if loading keeps ahead."""
        return self.keeps_ahead or self.wait_share_low > self.most_waiting


class OperationRecord(BenchRecord):
    """One call on an input of a contract, including the gradient if the contract has one."""

    suite = "operations"

    contract: str = Field(description="contract the case claims")
    shape: str | None = unknown("rows x columns of the input; a vector has as many elements; missing in older runs")


class VectorizationRecord(BenchRecord):
    """One call at size ``n``."""

    suite = "vectorization"

    contract: str = Field(description="operation")
    n: int = Field(gt=0, description="size: elements of a vector; rows, features and outputs of a linear map")


RecordT = TypeVar("RecordT", bound=BenchRecord)


@dataclass(frozen=True)
class Benchmark(Generic[RecordT]):
    """One benchmark of a suite: its record, and the statistics of its rounds."""

    record: RecordT
    stats: Stats

    def row(self) -> dict[str, Any]:
        """Return the benchmark as one flat row, with the medians of series."""
        return self.record.row() | self.stats.row()

    def over(self, series: Rounds) -> Estimate:
        """Return the time of its rounds over the time of an interleaved series."""
        return median_ratio(self.stats.rounds_s, series)


def benchmarks(document: Any, kind: type[RecordT], *, file: str = "") -> list[Benchmark[RecordT]]:
    """Return the benchmarks in a document of pytest-benchmark, in the order they ran.

    Raises
    ------
    UsageError
        If a benchmark lacks a required field of its suite; the message names ``file``, or the suite's file.
    """
    file = file or f"bench-{kind.suite}.json"
    return [
        _parse_benchmark(entry, kind, place=f"{file}, benchmark {number}")
        for number, entry in enumerate(_list_entries(document), 1)
    ]


def _list_entries(document: Any) -> Iterator[Any]:
    entries = document.get("benchmarks") if isinstance(document, Mapping) else None
    yield from entries if isinstance(entries, list) else ()


def _parse_benchmark(entry: Any, kind: type[RecordT], *, place: str) -> Benchmark[RecordT]:
    fields = entry if isinstance(entry, Mapping) else {}
    try:
        return Benchmark(kind.model_validate(fields.get("extra_info")), Stats.model_validate(fields.get("stats")))
    except ValidationError as error:
        description = f"a benchmark of the suite `{kind.suite}`"
        raise invalid(error, place=place, what=description, remedy="run `harness bench` again") from error
