"""Reading loaders in their process, within limits of time and memory.

The results are data, so another process can judge them. A long epoch is cut. A fault of a loader is a
:class:`~.fault.LoadingError`.
"""

import gc
import random
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import torch
from pydantic import BaseModel, Field, model_validator

from harness.loading.accounting import places_in_files
from harness.loading.content import STRICT, Count, Sample, digest, split_samples
from harness.loading.fault import WITHOUT_SAMPLE, FaultKind, LoadingError, LoadingFault
from harness.loading.faulty_sample import diagnose, explain_collation
from harness.loading.generators import seed_all
from harness.loading.source import Request, Source, find_torch_loader, is_map_style, read_info
from harness.loading.supervision import SOON_S, supervise_and_count
from harness.loading.tagged import Tag, TaggedBatch, add_tags, can_be_tagged, remove_tags, replace_data_set

EPOCH_S = 3.0
"""Seconds after which an epoch is cut short."""

SHORT_S = 0.4
"""The same for later epochs, once an epoch was cut short."""

FEW = 1000
"""Number of samples that are enough in this case."""

QUICK_S = 0.5
"""Seconds beyond which no more than these are read, if the epoch is expected to take longer."""

HUNG_S = 6.0
"""Extra seconds for a batch before it counts as hanging."""

REPEAT_S = 2.5
"""Extra seconds for a hanging loader when it is read again to find the sample."""

SEED = 1
"""Seed of the global generators when an exercise begins."""

MAX_BYTES = 2**28
"""Maximum bytes to store for an epoch."""

MAX_PARTS = 2**18
"""Maximum number of samples and parts to store for an epoch."""


class Epoch(BaseModel):
    """Samples of an epoch, a record that another process may send.

    Parameters
    ----------
    samples
        Samples in order of arrival.
    sizes
        Batch sizes.
    tags
        Tags of the samples; empty if not requested or unknown.
    ended
        Whether it was read to its end.
    seconds
        Duration.
    """

    model_config = STRICT

    samples: list[Sample] = []
    sizes: list[Count] = []
    tags: list[Tag] = []
    ended: bool = False
    seconds: Annotated[float, Field(ge=0.0)] = 0.0

    @model_validator(mode="after")
    def _check_counts(self) -> Self:
        if sum(self.sizes) != len(self.samples):
            raise ValueError
        return self


class ExerciseResult(NamedTuple):
    """Result of an exercise.

    Parameters
    ----------
    value
        The result, as data.
    left
        Number of processes that it left running; they were ended.
    """

    value: Any
    left: int = 0


class ExerciseOptions(NamedTuple):
    """Options of running an exercise.

    Parameters
    ----------
    limit_s
        Maximum seconds; more for a loader that uses the CPU.
    is_hurried
        Whether to wait less for processes that it left.
    locates_fault
        Whether to read again after a fault, to find its sample.
    """

    limit_s: float
    is_hurried: bool = False
    locates_fault: bool = True


Exercise = Callable[..., Any]
"""``exercise(reader, ask, ...)`` uses loaders through a reader and returns the result."""


class Reader:
    """Makes and reads the loaders of a source.

    Parameters
    ----------
    source
        Makes the loaders.
    worker_start
        Returns a context in which workers are started; as the loader starts them by default.

    Attributes
    ----------
    limit_s
        Seconds after which an epoch is cut.
    """

    def __init__(self, source: Source, worker_start: Callable[[], AbstractContextManager[None]] = nullcontext) -> None:
        self.source = source
        self._worker_start = worker_start
        self.limit_s = EPOCH_S

    def run_exercise(
        self, exercise: Exercise, request: Request, *arguments: Any, options: ExerciseOptions
    ) -> ExerciseResult:
        """Run an exercise within limits, and restore the global random state.

        Raises
        ------
        LoadingError
            If a loader does something else than deliver.
        """
        wait_s = 0.05 if options.is_hurried else SOON_S
        try:
            with (
                _quietly(),
                self._worker_start(),
                supervise_and_count(options.limit_s, keeps=self.source.is_one_object, wait_s=wait_s) as outcome,
            ):
                seed_all(SEED)  # a factory with random data makes the same data each time
                value = exercise(self, request, *arguments)
        except LoadingError as error:
            gc.collect()  # the next workers would inherit leftovers
            if not options.locates_fault:
                raise
            with _quietly():
                fault = self._locate_fault(request, error)
            raise LoadingError(fault) from error.__cause__
        return ExerciseResult(value, outcome.left)

    def make(self, request: Request) -> Any:
        """Make a loader, without tags from an earlier exercise."""
        loader = self.source.make(request)
        return remove_tags(loader) if self.source.is_one_object else loader

    def _locate_fault(self, request: Request, error: LoadingError) -> LoadingFault:
        """Return the fault with its sample, if another epoch shows it."""
        if error.fault.index is not None or error.fault.kind in WITHOUT_SAMPLE:
            return error.fault
        with suppress(Exception), self._worker_start():
            loader = self.make(request)
            data_set = read_info(loader).data_set
            if data_set is None or not is_map_style(data_set):
                return error.fault
            limit_s = REPEAT_S if error.fault.kind is FaultKind.HUNG else EPOCH_S + HUNG_S
            workers = read_info(loader).workers
            fault = diagnose(
                data_set, lambda watched: replace_data_set(loader, watched), workers=workers, limit_s=limit_s
            )
            if fault is not None and fault.index is not None:
                return fault
            if error.fault.kind is FaultKind.RAISED:
                return explain_collation(read_info(loader).data_set, find_torch_loader(self.make(request)), error.fault)
        return error.fault

    def make_each(self, request: Request, numbers: Iterable[int]) -> Iterator[Any]:
        """Yield a loader for each epoch: always the same one, unless the code makes a new one for each."""
        loader = None
        for number in numbers:
            if loader is None or self.makes_each_epoch(loader):
                loader = self.make(replace(request, epoch=number))
            tell_epoch(loader, number)
            yield loader

    def epochs(
        self, request: Request, count: int, *, tags: bool, world_seed: int = SEED, inner: bool = False
    ) -> list[Epoch]:
        """Read several epochs of a loader. If the factory takes the epoch, make a new loader for each.

        With ``inner``, read the loader inside a wrapper; the wrapper still receives the epoch. There are no tags if a
        wrapper cannot process a tagged batch.
        """
        seed_all(world_seed)
        epochs: list[Epoch] = []
        try:
            for loader in self.make_each(request, range(request.epoch, request.epoch + count)):
                if tags and can_be_tagged(loader):
                    add_tags(loader)
                epochs.append(self.epoch_of(find_torch_loader(loader) if inner else loader))
        except Exception:
            if not tags or inner or not read_info(self.make(request)).wrapped:
                raise
            return self.epochs(request, count, tags=False, world_seed=world_seed)
        return epochs

    def makes_each_epoch(self, loader: Any) -> bool:
        """Whether a loader has one epoch only: the factory takes the epoch, or is a generator function."""
        return "epoch" in self.source.names or (self.source.is_factory and is_generator(loader))

    def epoch_of(self, loader: Any, *, limit: int | None = None) -> Epoch:
        """Read an epoch."""
        epoch, size, parts = Epoch(), 0, 0
        info = read_info(loader)
        batches = iter(loader)
        if info.workers:  # after the sampler has read the length
            batches = _name_shared_file(batches, places_in_files())
        start = time.perf_counter()  # after the start of the workers
        for number, item in enumerate(batches):
            batch = item
            if isinstance(item, TaggedBatch):
                batch = item.batch
                epoch.tags += item.tags
            samples = split_samples(batch, whole=info.whole)
            epoch.samples += samples
            epoch.sizes.append(len(samples))
            leaves = (leaf for sample in samples for leaf in sample.values())
            size += sum(leaf.nbytes if isinstance(leaf, torch.Tensor) else 64 for leaf in leaves)
            parts += sum(1 + len(sample) for sample in samples)
            if limit is not None and number + 1 >= limit:
                break
            seconds = time.perf_counter() - start
            projected_s = seconds * (info.samples or 0) / max(len(epoch.samples), 1)
            long = len(epoch.samples) >= FEW and (self.limit_s < EPOCH_S or projected_s > QUICK_S)
            much = size > MAX_BYTES or parts > MAX_PARTS
            if long or much or seconds > self.limit_s:
                self.limit_s = SHORT_S
                break
        else:
            epoch.ended = True
        epoch.seconds = time.perf_counter() - start
        return epoch


def _name_shared_file(batches: Iterator[Any], before: Mapping[Any, str]) -> Iterator[Any]:
    """Yield the batches of workers, and raise an error if the place in an open file of this process moves meanwhile.

    A forked worker has the file of its parent, and shares the place in it with all others. Reading from it is a race,
    whose outcome is a wrong sample, or any error.
    """
    cause = None
    try:
        yield from batches
    except Exception as error:  # noqa: BLE001 - it is raised again, or follows from the race
        cause = error
    places = places_in_files()
    if moved := [key[1] for key, place in before.items() if places.get(key, place) != place]:
        sentence = f"its workers share the place in the open file `{Path(moved[0]).name}`, and move it for each other"
        raise LoadingError(LoadingFault(FaultKind.SHARED_FILE, sentence, "open the file in each worker")) from cause
    if cause is not None:
        raise cause


@contextmanager
def _quietly() -> Iterator[None]:
    """Suppress warnings of user code, and restore the global random state."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the global generator
    try:
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def collate_alone(loader: Any, index: int) -> Sample:
    """Return a sample of a loader's data set, collated alone, as it would be in a batch.

    A sample that cannot be collated alone equals no other sample.
    """
    loader = find_torch_loader(loader)
    data_set = loader.dataset
    at_once = getattr(data_set, "__getitems__", None) and loader.batch_sampler is not None
    whole = not at_once and read_info(loader).whole
    batched = at_once or loader.batch_sampler is None
    if at_once:
        content = data_set.__getitems__([index])
    else:
        content = data_set[index] if whole or not batched else data_set[[index]]
    try:
        batch = loader.collate_fn(content if batched else [content])
        if not batched and not whole and _has_lists(batch):
            # A list with one tensor may contain samples or parts; with many, it is unambiguous.
            batch = loader.collate_fn([content] * _MANY)
        return next(iter(split_samples(batch, whole=whole)), {"nothing": f"of sample {index}"})
    except Exception:  # noqa: BLE001 - reading an epoch reports the error
        return {"nothing": f"of sample {index}"}


def read_first(module: str, name: str, request: Mapping[str, Any], count: int) -> list[str]:
    """Return digests of the first samples of a loader, whose factory is imported here."""
    seed_all(SEED)  # modules may draw random data, too
    factory = attrgetter(name)(import_module(module))
    seed_all(SEED)
    loader = Source(factory, name).make(Request(**request))
    return [digest(collate_alone(loader, place)) for place in range(count)]


def reference_samples(reference: Any, count: int) -> list[Sample]:
    """Return the first samples of a reference, which is a function of the index or a sequence."""
    return [split_samples(reference(i) if callable(reference) else reference[i], whole=True)[0] for i in range(count)]


def _has_lists(part: Any) -> bool:
    parts = part.values() if isinstance(part, Mapping) else part if isinstance(part, list | tuple) else ()
    return any(isinstance(inner, list) or _has_lists(inner) for inner in parts)


_MANY = 11
"""Number of copies to collate if one copy would be ambiguous."""


def tell_epoch(loader: Any, number: int) -> None:
    """Call ``set_epoch`` if the loader has this method."""
    if callable(tell := getattr(loader, "set_epoch", None)):
        tell(number)


def is_generator(loader: Any) -> bool:
    """Whether a loader is itself an iterator, and therefore has one epoch only."""
    return iter(loader) is loader if hasattr(loader, "__next__") else False


def call_until(limit_s: float, call: Callable[[int], Any], places: Sequence[int]) -> Iterator[Any]:
    """Yield the results of a call for each place until the time limit."""
    start = time.perf_counter()
    for position in places:
        if time.perf_counter() - start > limit_s:
            return
        yield call(position)
