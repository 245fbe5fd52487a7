"""Loaders: the steady state against batch size and workers, from the first batch to the end, beside the limit.

The loaders are the cases of the contract ``loader``; beside the shipped ones their peers, where those are installed;
or, for a data set of one's own, torch's ``DataLoader`` of it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from harness.bench.suites.fixture import keep, refuse
from harness.bench.suites.loader_budget import budget_size, close_budget
from harness.bench.suites.loader_cell import Cell, measure_cell
from harness.bench.suites.memory_limit import MemoryLimit
from harness.bench.suites.peers import PEERS
from harness.bench.suites.selection import cases_of, give_up, option
from harness.bench.suites.stepper import stepper_of, training_step
from harness.bench.suites.tape import Tape
from harness.calling import data_set
from harness.calling.discovery import is_shipped
from harness.calling.own_cases import SHIPPED
from harness.case import Case
from harness.data.images import ImageData
from harness.error import UsageError, listed
from harness.loading.configuration import PREFETCH, Configuration
from harness.loading.fault import FaultKind, LoadingError, LoadingFault, within
from harness.loading.reading import samples_in
from harness.loading.watched import diagnose, length_fault
from harness.record.budget import Budget
from harness.timing.clock import threads

BATCH_SIZES = (32, 256, 1024)
WORKERS = (0, 1, 2)
SECONDS = 0.15
"""Measuring seconds per loader; slow ones take longer, because each worker loads two batches per slice."""

TIMEOUT_S = 120.0
"""Default time limit for each configuration of a loader, in seconds."""


# What there is to measure


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each loader and configuration; those who are not here have one item, which says so."""
    names = _loaders(metafunc.config)
    settings = _configurations(metafunc.config)
    absent = {peer.case.name for peer in PEERS if peer.absence}
    items = [(name, setting) for name in names for setting in (settings[:1] if name in absent else settings)]
    varied = len({setting.prefetch for setting in settings}) > 1
    ids = [f"{name}-{it.batch_size}-{it.workers}" + f"-{it.prefetch}" * varied for name, it in items]
    metafunc.parametrize(("case", "configuration"), items, ids=ids)


def _loaders(config: pytest.Config) -> list[str]:
    if config.getoption("harness_dataset"):
        return [config.getoption("harness_dataset")]
    if names := option(config, "data_sets", ()):
        sets = _sets_of_files()
        if unknown := [name for name in names if name not in sets]:
            problem = f"unknown data set of files `{unknown[0]}`"
            give_up(config, UsageError(problem, remedy=f"choose from {listed(sets)}"))
        return list(names)
    loaders = list(cases_of(config, "loader"))
    shipped = is_shipped(option(config, "cases", SHIPPED))
    return loaders + [peer.case.name for peer in PEERS] if loaders and shipped else loaders


def _configurations(config: pytest.Config) -> list[Configuration]:
    """Every combination of the axes; without workers, what only workers know does not vary."""
    axes = product(
        option(config, "batch_sizes", BATCH_SIZES),
        option(config, "workers", WORKERS),
        option(config, "prefetch", (PREFETCH,)),
    )
    given = {"pin": option(config, "pin", False), "start_method": option(config, "start_method", None)}  # noqa: FBT003
    persistent = option(config, "persistent", True)  # noqa: FBT003
    configurations = (
        Configuration(size, workers, ahead if workers else PREFETCH, persistent, **given)
        for size, workers, ahead in axes
    )
    return list(dict.fromkeys(configurations))


@dataclass(frozen=True)
class Source:
    """Something that loads.

    Parameters
    ----------
    case
        What it is called in the report.
    make
        Makes the loader of a configuration.
    count
        Counts the samples of a batch.
    samples
        Samples an epoch.
    data
        What they are.
    limit
        The limit of memory; ``None`` for that of its own batches.
    dataset
        The user's data set; ``None`` for a case.
    """

    case: Case
    make: Callable[[Configuration], Iterable[Any]]
    count: Callable[[Any], int]
    samples: int
    data: str
    limit: MemoryLimit | None = None
    dataset: Any = None


_DATASET = pytest.StashKey[dict[str, Any]]()


def _source(config: pytest.Config, name: str, request: pytest.FixtureRequest) -> Source:
    if config.getoption("harness_dataset") or option(config, "data_sets", ()):
        dataset = _dataset(config, name)
        case = Case(type(dataset), "loader", style="foreign", name=name)

        def load(it: Configuration) -> Iterable[Any]:
            return DataLoader(dataset, shuffle=not data_set.is_stream(dataset), **it.arguments())

        return Source(case, load, samples_in, len(dataset), name, dataset=dataset)
    data: ImageData = request.getfixturevalue("data")
    peers = {peer.case.name: peer for peer in PEERS}
    if name in peers and (absence := peers[name].absence):
        pytest.skip(absence)
    case = peers[name].case if name in peers else cases_of(config, "loader")[name]
    return Source(
        case,
        lambda it: case.function(data.root, data.train, it.batch_size, it.workers, True),  # noqa: FBT003
        lambda batch: len(batch[1]),
        data.size,
        data.name,
        request.getfixturevalue("image_limit"),
    )


def _dataset(config: pytest.Config, name: str) -> Any:
    made = config.stash.setdefault(_DATASET, {})
    if name not in made:
        try:
            own = config.getoption("harness_dataset")
            made[name] = data_set.dataset(name) if own else _sets_of_files()[name]()
        except UsageError as error:
            give_up(config, error)
    return made[name]


def _sets_of_files() -> Mapping[str, Callable[[], Any]]:
    """The data sets that are asked for by name; torchvision reads them, and takes long to import."""
    from harness.data.files import SETS

    return SETS


def _remark(source: Source) -> str | None:
    """What is to be said of a user's data set though it is measured."""
    fault = None if not _has_indices(source) else length_fault(source.dataset)
    return None if fault is None else str(fault)


def _has_indices(source: Source) -> bool:
    """Whether it is a data set whose samples can be asked for one by one."""
    return source.dataset is not None and not data_set.is_stream(source.dataset)


@pytest.fixture(scope="session")
def image_limit(data: ImageData) -> MemoryLimit:
    """The limit of memory for the images."""
    return MemoryLimit.of_images(*data.arrays())


# Measuring it

TAPE = Tape()
"""Reports to pytest-benchmark the epoch time at the rate of each slice."""


@pytest.mark.benchmark(timer=TAPE.clock)
@pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")  # where there was nothing to measure
def test_steady_state(
    benchmark: Any,
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
    case: str,
    configuration: Configuration,
) -> None:
    """Time slices of the steady state in turns with the limit, then look at what was delivered."""
    source = _source(pytestconfig, case, request)
    benchmark.group = f"loader, batch {configuration.batch_size:4}, workers {configuration.workers}"
    batches = -(-source.samples // configuration.batch_size)
    fewest = min(option(pytestconfig, "workers", WORKERS))
    timeout_s = option(pytestconfig, "timeout", TIMEOUT_S)
    given_up = pytestconfig.stash.setdefault(_GIVEN_UP, {})
    if case in given_up:
        _fail(source, configuration, given_up[case], "not run here, because this loader already hung")
    fault, cell = None, None
    try:
        with threads(1), within(timeout_s):
            cell = measure_cell(
                lambda: source.make(configuration),
                configuration,
                count=source.count,
                limit=source.limit,
                epoch_batches=batches,
                seconds=option(pytestconfig, "seconds", SECONDS),
                needs_workers=configuration.workers > fewest,
            )
    except LoadingError as error:
        fault = error.fault
    if fault is not None:
        fault = _diagnosed(source, configuration, timeout_s) or fault
        if fault.kind is FaultKind.HUNG:
            given_up[case] = fault
        _fail(source, configuration, fault)
    if cell is None:
        pytest.skip(f"{case} starts no processes or threads for workers, so it is measured with {fewest} only")
    record = cell.record(source.case, data=source.data, samples=source.samples, remark=_remark(source))
    if configuration.batch_size == budget_size(option(pytestconfig, "batch_sizes", BATCH_SIZES)):
        budget = _budget(pytestconfig, source, configuration, timeout_s)
        record = record.model_copy(update={"budget": budget})
    TAPE.play(benchmark, [1e-6 * wall_us * source.samples for wall_us in record.wall_us], calls=1)
    keep(benchmark, record)
    if source.dataset is None:
        _validate(source.case, cell, request.getfixturevalue("data"), configuration)
    else:
        _validate_lengths(source, cell, configuration)


def _budget(config: pytest.Config, source: Source, configuration: Configuration, timeout_s: float) -> Budget:
    """Where the time of a batch goes; a user's data set has no step, and its loop does nothing but load."""
    step = None if source.dataset is not None else training_step(stepper_of(config))[0]
    try:
        with threads(1), within(timeout_s):
            return close_budget(lambda: source.make(configuration), configuration, step)
    except LoadingError as error:
        _fail(source, configuration, error.fault)


_GIVEN_UP = pytest.StashKey[dict[str, LoadingFault]]()


def _diagnosed(source: Source, configuration: Configuration, limit_s: float) -> LoadingFault | None:
    """Run a user's data set once more, watched, and say which sample it is."""
    if not _has_indices(source):
        return None

    def load(dataset: Any) -> Iterable[Any]:
        return DataLoader(dataset, **configuration.arguments())

    return diagnose(source.dataset, load, workers=configuration.workers, limit_s=limit_s)


def _fail(source: Source, configuration: Configuration, fault: LoadingFault, *remarks: str) -> NoReturn:
    lines = [f"{source.case.name} fails to deliver batches [{configuration}]"]
    lines += [f"  {name:<9}  {text}" for name, text in (("fault", fault.sentence), ("remedy", fault.remedy))]
    pytest.fail("\n".join([*lines, *(f"  {remark}" for remark in remarks)]), pytrace=False)


# Looking at what was delivered


def _validate(case: Case, cell: Cell, data: ImageData, configuration: Configuration) -> None:
    where, size = str(configuration), configuration.batch_size
    expected = (data.size, -(-data.size // size))
    if wrong := [epoch for epoch in cell.epochs if epoch != expected]:
        rule = "an epoch delivers every sample once, in batches of the requested size"
        refuse(case, rule, where=where, actual=_counted(*wrong[0]), expected=_counted(*expected))
    images, labels = cell.last
    if images.dtype != torch.float32 or images.shape != (len(labels), 1, 28, 28):
        refuse(case, "images are float32 [b, 1, 28, 28]", where=where, actual=f"{images.dtype} {images.shape}")
    if (strange := _strangers(images, labels, data)) > 0:
        rule = "each sample is an image of the data, with bytes divided by 255, and its label"
        refuse(case, rule, where=where, actual=f"{strange} of {len(labels)} samples are not")


def _validate_lengths(source: Source, cell: Cell, configuration: Configuration) -> None:
    """Epochs of a user's data set have as many samples as it says; where it has more than that, that is said."""
    length = len(source.dataset)
    if wrong := [epoch for epoch in cell.epochs if epoch[0] != length]:
        rule = "an epoch delivers `len(dataset)` samples"
        refuse(source.case, rule, where=str(configuration), actual=_counted(*wrong[0]), expected=f"{length} samples")


def _counted(samples: int, batches: int) -> str:
    return f"{samples} samples in {batches} batches"


def _strangers(images: Tensor, labels: Tensor, data: ImageData) -> int:
    """How many samples of a batch are not in the data."""
    grey = (images.double() * 255.0).round().clamp(0, 255).to(torch.uint8).numpy()
    samples = [(image.tobytes(), int(label)) for image, label in zip(grey, labels, strict=True)]
    return sum(sample not in data.samples for sample in samples)
