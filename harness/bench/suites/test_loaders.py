"""Loaders: throughput in the steady state by batch size and workers, start, shutdown and memory.

The loaders are the cases of the contract ``loader``, and installed peers of the shipped ones; for a user's data set,
torch's ``DataLoader``. Loaders with a common batch size and number of workers are interleaved. The first of their
benchmarks measures all, and each benchmark records its own rounds.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NoReturn

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from harness.bench.suites.benchmark import Tape, cases_of, give_up, importing, keep, option, refuse
from harness.bench.suites.loader_measurement import (
    REFERENCE,
    LoaderGroup,
    LoaderRequest,
    OpenLoader,
    budget_size,
    close_budget,
    measure_loaders,
)
from harness.bench.suites.peers import PEERS
from harness.bench.suites.training import stepper_of, training_step
from harness.calling.discovery import is_shipped, is_stream, load_data_set
from harness.case import Case
from harness.data.images import ImageData
from harness.error import UsageError, join_names
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.faulty_sample import diagnose
from harness.loading.supervision import LIMIT_S, supervise
from harness.loading.throughput import PREFETCH, Configuration, MemoryLimit, samples_in
from harness.record.budget import Budget
from harness.timing.clock import threads

BATCH_SIZES = (32, 256, 1024)
WORKERS = (0, 1, 2)
SECONDS = 0.15
"""Measuring seconds per loader; slow ones take longer, because each worker loads two batches per slice."""

TIMEOUT_S = 120.0
"""Default time limit for each configuration of a loader, in seconds."""


# Loaders and configurations


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each loader and configuration; loaders of a group are adjacent."""
    names = _list_loaders(metafunc.config)
    settings = _list_configurations(metafunc.config)
    absent = set(filter(_explain_absence, names))
    items = [(name, setup) for setup in settings for name in names if name not in absent or setup == settings[0]]
    varied = len({setting.prefetch for setting in settings}) > 1
    ids = [f"{name}-{setup.batch_size}-{setup.workers}" + f"-{setup.prefetch}" * varied for name, setup in items]
    metafunc.parametrize(("case", "configuration"), items, ids=ids)


def _list_loaders(config: pytest.Config) -> list[str]:
    if dataset := option(config, "dataset", None):
        return [dataset]
    if names := option(config, "data_sets", ()):
        sets = _list_file_sets()
        if unknown := [name for name in names if name not in sets]:
            problem = f"unknown data set of files `{unknown[0]}`"
            give_up(config, UsageError(problem, remedy=f"choose from {join_names(sets)}"))
        return list(names)
    loaders = list(cases_of(config, "loader"))
    shipped = is_shipped(config.option.harness_cases)
    return loaders + list(PEERS) if loaders and shipped else loaders


def _explain_absence(name: str) -> str | None:
    """Return why a loader cannot be measured; ``None`` if it can."""
    return PEERS[name].absence if name in PEERS else None


def _list_configurations(config: pytest.Config) -> list[Configuration]:
    """Return all combinations of the axes; settings of workers vary only with workers."""
    axes = product(
        option(config, "batch_sizes", BATCH_SIZES),
        option(config, "workers", WORKERS),
        option(config, "prefetch", (PREFETCH,)),
    )
    settings = {"pin": option(config, "pin", False), "start_method": option(config, "start_method", None)}  # noqa: FBT003
    persistent = option(config, "persistent", True)  # noqa: FBT003
    configurations = (
        Configuration(size, workers, ahead if workers else PREFETCH, persistent, **settings)
        for size, workers, ahead in axes
    )
    return list(dict.fromkeys(configurations))


@dataclass(frozen=True)
class Source:
    """A loader.

    Parameters
    ----------
    case
        Name in the report.
    make
        Creates the loader of a configuration.
    count
        Counts the samples of a batch.
    samples
        Samples per epoch.
    data
        Label of the data.
    limit
        Memory limit; ``None`` if it follows from its batches.
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


def _make_source(config: pytest.Config, name: str, request: pytest.FixtureRequest) -> Source:
    if option(config, "dataset", None) or option(config, "data_sets", ()):
        dataset = _load_dataset(config, name)
        case = Case(type(dataset), "loader", style="foreign", name=name)

        def load(it: Configuration) -> Iterable[Any]:
            return DataLoader(dataset, shuffle=not is_stream(dataset), **it.arguments())

        return Source(case, load, samples_in, len(dataset), name, dataset=dataset)
    data: ImageData = request.getfixturevalue("data")
    case = PEERS[name].case if name in PEERS else cases_of(config, "loader")[name]
    return Source(
        case,
        lambda it: case.function(data.root, data.train, it.batch_size, it.workers, True),  # noqa: FBT003
        lambda batch: len(batch[1]),
        data.size,
        data.name,
        request.getfixturevalue("image_limit"),
    )


def _load_dataset(config: pytest.Config, name: str) -> Any:
    cache = config.stash.setdefault(_DATASET, {})
    if name not in cache:
        try:
            if option(config, "dataset", None):
                with importing(config, name):
                    cache[name] = load_data_set(name)
            else:
                cache[name] = _list_file_sets()[name]()
        except UsageError as error:
            give_up(config, error)
    return cache[name]


def _list_file_sets() -> Mapping[str, Callable[[], Any]]:
    """Return the data sets with a name; torchvision reads them, and its import is slow."""
    from harness.data.file_formats import SETS

    return SETS


def _find_remark(source: Source) -> str | None:
    """Return a remark on a user's data set that can be measured all the same."""
    fault = length_fault(source.dataset) if _has_indices(source) else None
    return None if fault is None else str(fault)


def length_fault(dataset: Any) -> LoadingFault | None:
    """Request a sample beyond the length: if there is one, every epoch lacks samples.

    A data set that accepts any index has no correct length. The fault is therefore reported, but does not prevent a
    measurement.
    """
    length = len(dataset)
    delivers = False
    with suppress(LoadingError), supervise(LIMIT_S), suppress(Exception):
        dataset[length]
        delivers = True
    sentence = f"`len` of the data set is {length}, but index {length} also returns a sample"
    remedy = "let `__len__` return the number of samples, and let `__getitem__` raise IndexError beyond it"
    return LoadingFault(FaultKind.LENGTH, sentence, remedy, index=length) if delivers else None


def _has_indices(source: Source) -> bool:
    """Whether its samples can be requested one by one."""
    return source.dataset is not None and not is_stream(source.dataset)


@pytest.fixture(scope="session")
def image_limit(data: ImageData) -> MemoryLimit:
    """Return the memory limit of the images."""
    return MemoryLimit.of_images(*data.arrays())


# Measurement

TAPE = Tape()
"""Reports the epoch time at the rate of a slice to pytest-benchmark."""

_GROUP = pytest.StashKey[tuple[Configuration, LoaderGroup]]()


@pytest.mark.benchmark(timer=TAPE.clock)
@pytest.mark.filterwarnings("ignore:Benchmark fixture was not used")  # if there was nothing to measure
def test_steady_state(
    benchmark: Any,
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
    case: str,
    configuration: Configuration,
) -> None:
    """Record the slices of a loader that was interleaved with others, and check its samples."""
    if absence := _explain_absence(case):
        pytest.skip(absence)
    group = _group(pytestconfig, configuration, request)
    source = _make_source(pytestconfig, case, request)
    benchmark.group = f"loader, batch {configuration.batch_size:4}, workers {configuration.workers}"
    if case in group.skipped:
        pytest.skip(f"{case} starts no processes or threads for workers, so it is measured without workers only")
    if case not in group.lanes:
        _explain(pytestconfig, source, configuration, group.failed.get(case))
    lane = group.lanes[case]
    name, min_workers = _list_loaders(pytestconfig)[0], min(option(pytestconfig, "workers", WORKERS))
    record = lane.record(
        source.case,
        group,
        data=source.data,
        samples=source.samples,
        remark=_find_remark(source),
        reference=f"{name} with {min_workers or 'no'} worker{'s' * (min_workers != 1)}",
    )
    if configuration.batch_size == budget_size(option(pytestconfig, "batch_sizes", BATCH_SIZES)):
        record = record.model_copy(update={"budget": _measure_budget(pytestconfig, source, configuration)})
    TAPE.play(benchmark, [1e-6 * wall_us * source.samples for wall_us in record.wall_us], calls=1)
    keep(benchmark, record)
    if source.dataset is not None:
        _validate_lengths(source, lane, configuration)
    else:
        _validate_images(source.case, lane, request.getfixturevalue("data"), configuration)


def _group(config: pytest.Config, configuration: Configuration, request: pytest.FixtureRequest) -> LoaderGroup:
    """Return the measurement of a configuration for every loader; measure if needed."""
    cached_group = config.stash.get(_GROUP, None)
    if cached_group is None or cached_group[0] != configuration:
        timeout_s = option(config, "timeout", TIMEOUT_S)
        requests, reference = _build_requests(config, configuration, request)
        with threads(1):
            cached_group = (configuration, measure_loaders(requests, reference=reference, timeout_s=timeout_s))
        config.stash[_GROUP] = cached_group
        given_up = config.stash.setdefault(_GIVEN_UP, {})
        for name, fault in cached_group[1].failed.items():
            if fault.kind is FaultKind.HUNG and name in requests:
                given_up.setdefault(name, fault)
    return cached_group[1]


def _build_requests(
    config: pytest.Config, configuration: Configuration, request: pytest.FixtureRequest
) -> tuple[dict[str, LoaderRequest], str | None]:
    """Return the loaders of a group that can run, and the name of the reference among them."""
    given_up = config.stash.setdefault(_GIVEN_UP, {})
    names = [name for name in _list_loaders(config) if not _explain_absence(name)]
    min_workers = min(option(config, "workers", WORKERS))
    standalone = configuration if configuration.workers == min_workers else replace(
        configuration, workers=min_workers, prefetch=PREFETCH
    )  # fmt: skip

    def loader_request(name: str, it: Configuration) -> LoaderRequest:
        source = _make_source(config, name, request)
        return LoaderRequest(
            lambda: source.make(it),
            source.count,
            it,
            -(-source.samples // it.batch_size),
            option(config, "seconds", SECONDS),
            source.limit,
            it.workers > min_workers,
        )

    loaders = {name: loader_request(name, configuration) for name in names if name not in given_up}
    if names[0] not in loaders:
        return loaders, None
    if standalone == configuration:
        return loaders, names[0]
    return loaders | {REFERENCE: loader_request(names[0], standalone)}, REFERENCE


def _explain(
    config: pytest.Config, source: Source, configuration: Configuration, fault: LoadingFault | None
) -> NoReturn:
    """Fail with the fault of the loader, and with the sample at fault."""
    given_up = config.stash[_GIVEN_UP]
    if fault is None:
        _fail(source, configuration, given_up[source.case.name], "not run here, because this loader already hung")
    diagnosed = _diagnose_failure(source, configuration, option(config, "timeout", TIMEOUT_S)) or fault
    if source.case.name in given_up:
        given_up[source.case.name] = diagnosed
    _fail(source, configuration, diagnosed)


def _measure_budget(config: pytest.Config, source: Source, configuration: Configuration) -> Budget:
    """Return the breakdown of the time of a batch; the loop of a user's data set has no step."""
    step = None if source.dataset is not None else training_step(stepper_of(config))[0]
    try:
        with threads(1), supervise(option(config, "timeout", TIMEOUT_S)):
            return close_budget(lambda: source.make(configuration), configuration, step)
    except LoadingError as error:
        _fail(source, configuration, error.fault)


_GIVEN_UP = pytest.StashKey[dict[str, LoadingFault]]()


def _diagnose_failure(source: Source, configuration: Configuration, limit_s: float) -> LoadingFault | None:
    """Run a user's data set again under observation, and name the sample at fault."""
    if not _has_indices(source):
        return None

    def load(dataset: Any) -> Iterable[Any]:
        return DataLoader(dataset, **configuration.arguments())

    return diagnose(source.dataset, load, workers=configuration.workers, limit_s=limit_s)


def _fail(source: Source, configuration: Configuration, fault: LoadingFault, *remarks: str) -> NoReturn:
    lines = [f"{source.case.name} fails to deliver batches [{configuration}]"]
    lines += [f"  {name:<9}  {text}" for name, text in (("fault", fault.sentence), ("remedy", fault.remedy))]
    pytest.fail("\n".join([*lines, *(f"  {remark}" for remark in remarks)]), pytrace=False)


# Checks of the samples


def _validate_images(case: Case, lane: OpenLoader, data: ImageData, configuration: Configuration) -> None:
    where, size = str(configuration), configuration.batch_size
    expected = (data.size, -(-data.size // size))
    if wrong := [epoch for epoch in lane.alone.epochs if epoch != expected]:
        rule = "an epoch delivers every sample once, in batches of the requested size"
        refuse(case, rule, where=where, actual=_count_words(*wrong[0]), expected=_count_words(*expected))
    images, labels = lane.alone.last
    if images.dtype != torch.float32 or images.shape != (len(labels), 1, 28, 28):
        refuse(case, "images are float32 [b, 1, 28, 28]", where=where, actual=f"{images.dtype} {images.shape}")
    if (wrong_count := _count_strangers(images, labels, data)) > 0:
        rule = "each sample is an image of the data, with bytes divided by 255, and its label"
        refuse(case, rule, where=where, actual=f"{wrong_count} of {len(labels)} samples are not")


def _validate_lengths(source: Source, lane: OpenLoader, configuration: Configuration) -> None:
    """Compare the number of samples of an epoch with the length of the user's data set."""
    length = len(source.dataset)
    if wrong := [epoch for epoch in lane.alone.epochs if epoch[0] != length]:
        rule = "an epoch delivers `len(dataset)` samples"
        refuse(
            source.case, rule, where=str(configuration), actual=_count_words(*wrong[0]), expected=f"{length} samples"
        )


def _count_words(samples: int, batches: int) -> str:
    return f"{samples} samples in {batches} batches"


def _count_strangers(images: Tensor, labels: Tensor, data: ImageData) -> int:
    """Return the number of samples of a batch that are not in the data."""
    grey = (images.double() * 255.0).round().clamp(0, 255).to(torch.uint8).numpy()
    samples = [(image.tobytes(), int(label)) for image, label in zip(grey, labels, strict=True)]
    return sum(sample not in data.samples for sample in samples)
