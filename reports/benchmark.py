"""The benchmarks of a run: pytest-benchmark's JSON, validated, one flat row a benchmark.

Every row carries the statistics of its rounds. The report shows the median with the interquartile range; the rounds
come from one process, so the range says how the rounds scatter and is no confidence interval.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.error import UsageError
from harness.record import RunFolder


class _Part(BaseModel):
    """Base of what is read from a benchmark: frozen, further keys ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Stats(_Part):
    """Statistics of the rounds, seconds a call."""

    median: float = Field(gt=0)
    q1: float = Field(ge=0)
    q3: float = Field(gt=0)
    min: float = Field(ge=0)
    mean: float = Field(gt=0)
    rounds: int = Field(gt=0)
    iterations: int = Field(gt=0)
    data: tuple[float, ...] | None = None


class Subject(_Part):
    """What every suite says of what it timed."""

    case: str
    family: str
    style: str
    cold_s: float | None = None


class Step(Subject):
    """One training step: forward, loss, backward, update; what older runs lack is unknown."""

    contract: str | None = None
    device: str
    batch_size: int = Field(gt=0)
    dtype: str
    threads: int
    phases_s: Mapping[str, tuple[float, ...]] = Field(default_factory=dict)
    bytes: int | None = None
    operations: int | None = None
    bytes_per_s: tuple[float, ...] = ()
    operations_per_s: tuple[float, ...] = ()
    floor_s: tuple[float, ...] = ()
    launch_s: float | None = None
    device_s: float | None = None
    graph_s: float | None = None
    graph_device_s: float | None = None
    graph_absent: str | None = None
    steps_compared: int | None = None
    deviation: float | None = None
    bound: float | None = None


class Agreement(Subject):
    """One step timed by us and by ``torch.utils.benchmark.Timer``."""

    contract: str
    batch_size: int = Field(gt=0)
    dtype: str
    timer_s: tuple[float, ...]
    tolerance: float


class Loader(Subject):
    """Epochs of ``samples`` samples in the steady state; what older runs lack is unknown."""

    batch_size: int = Field(gt=0)
    workers: int = Field(ge=0)
    samples: int = Field(gt=0)
    batches: int = Field(ge=0)
    first_batch_s: float | None = None
    data: str | None = None
    loader: str | None = None
    made_s: float | None = None
    iterator_s: float | None = None
    start_cpu_s: float | None = None
    shutdown_s: float | None = None
    wall_us: tuple[float, ...] = ()
    cpu_us: tuple[float, ...] = ()
    limit_wall_us: tuple[float, ...] = ()
    limit_cpu_us: tuple[float, ...] = ()
    pss_bytes: int | None = None
    shared_bytes: int | None = None
    prefetch: int | None = None
    persistent: bool | None = None
    pin: bool | None = None
    start_method: str | None = None


class Balance(Subject):
    """A training loop of one loader and one step: the share of it that waits, and loading alone to the step alone."""

    batch_size: int = Field(gt=0)
    workers: int = Field(ge=0)
    data: str | None = None
    step: str
    load_s: float = Field(gt=0)
    step_s: float = Field(gt=0)
    loop_s: float | None = Field(default=None, gt=0)
    load_to_step: float = Field(gt=0)
    load_to_step_low: float = Field(ge=0)
    load_to_step_high: float
    wait_share: float = Field(ge=0, le=1)
    wait_share_low: float = Field(ge=0, le=1)
    wait_share_high: float = Field(ge=0, le=1)
    most_waiting: float = Field(gt=0, lt=1)
    batches: int = Field(gt=0)


class Tuned(Subject):
    """The loader chosen for a data set by measuring every one, with the rates of all, or by the tuner."""

    way: str
    seed: int
    choice: str
    spent_s: float = Field(gt=0)
    rates: dict[str, float] | None = None
    reason: str | None = None
    slices: int | None = None


class Vectorization(Subject):
    """One call at size ``n``."""

    contract: str
    n: int = Field(gt=0)


class Timed(Subject):
    """One call on the standard input of a contract, with its gradient where there is one."""

    contract: str


class Screening(Subject):
    """Checking ``rows`` rows of so many classes, one way."""

    way: str
    rows: int = Field(gt=0)
    classes: int = Field(gt=0)


class Search(Subject):
    """The largest deviation that one way of drawing inputs saw."""

    way: str
    seed: int
    score: float
    objective: str
    rows: int = Field(ge=0)
    seconds: float = Field(gt=0)


SUITES: Mapping[str, type[Subject]] = {
    "steps": Step,
    "agreement": Agreement,
    "loaders": Loader,
    "balance": Balance,
    "tuner": Tuned,
    "operations": Timed,
    "vectorization": Vectorization,
    "screening": Screening,
    "search": Search,
}
"""What the ``extra_info`` of each suite holds."""


def rows(run: RunFolder, suite: str) -> list[dict[str, Any]]:
    """Return one flat row for each benchmark of a suite, in the order they ran.

    Raises
    ------
    UsageError
        If a benchmark lacks what its suite promises.
    """
    return [
        {
            **_row(suite, entry, place=f"{run.path}/bench-{name}.json, benchmark {number}"),
            "record": f"bench-{name}.json:{number}",
        }
        for name, document in run.benchmarks()
        if name == suite
        for number, entry in enumerate(_entries(document), 1)
    ]


def _entries(document: Any) -> Iterator[Any]:
    """Yield the benchmarks of a document; anything else holds none."""
    benchmarks = document.get("benchmarks") if isinstance(document, Mapping) else None
    yield from benchmarks if isinstance(benchmarks, list) else ()


def _row(suite: str, entry: Any, *, place: str) -> dict[str, Any]:
    """Validate one benchmark and flatten it."""
    try:
        fields = entry if isinstance(entry, Mapping) else {}
        subject = SUITES[suite].model_validate(fields.get("extra_info"))
        stats = Stats.model_validate(fields.get("stats"))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or error.title
        raise UsageError(
            rule=f"a benchmark of the suite `{suite}` has a valid `{field}`",
            value=f"{first['msg']} (found {first.get('input')!r:.80})",
            place=place,
            remedy="run `harness bench` again",
        ) from error
    timing = {f"{name}_s": value for name, value in stats if name not in {"rounds", "iterations", "data"}}
    counts = {"rounds": stats.rounds, "iterations": stats.iterations, "rounds_s": stats.data or ()}
    return {**subject.model_dump(), **timing, **counts}
