"""Results of the loaders of a source, for the laws. Results are cached, because many laws need the same ones.

A :class:`~harness.loading.fault.LoadingError` is raised again at once by every later exercise of the same kind.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

from harness.loading.content import Digest, Sample, digest, digests
from harness.loading.exercise import deliver, deliver_indices, read_directly, read_twice, show, use_memory
from harness.loading.fault import FaultKind, LoadingError, LoadingFault
from harness.loading.reader import EPOCH_S, HUNG_S, SEED, Epoch, Exercise, ExerciseOptions, ExerciseResult
from harness.loading.source import LoaderInfo, Promise, Request

_SMALL, _BATCHES, _LARGEST = 400, 40, 100
_EPOCHS, _WARM = 5, 2
USE_S = 3.0
"""Longest time for the epochs of a count of resources, in seconds."""

_DRAWN = 0.85
"""Largest share of samples in an epoch that is drawn with replacement; 0.63 is expected, less with weights."""


class Exercising(Protocol):
    """A :class:`~harness.loading.reader.Reader`, or its proxy in another process."""

    @property
    def source(self) -> Promise:
        """Promises of the loaders."""

    def run_exercise(
        self, exercise: Exercise, request: Request, *arguments: Any, options: ExerciseOptions
    ) -> ExerciseResult:
        """Run an exercise within limits."""


Reference = Callable[[int], list[Sample]]
"""Function that returns the first correct samples."""


class Deliveries:
    """Loaders of a source, and cached results.

    Parameters
    ----------
    reader
        Reads the loaders.
    declares
        Declarations of the author.
    reference
        Source of correct samples; ``None`` if there is none.

    Attributes
    ----------
    read
        Number of samples that were read.
    left
        Description of processes that an exercise left running; empty if there are none.
    """

    def __init__(self, reader: Exercising, declares: Mapping[str, Any], reference: Reference | None = None) -> None:
        self._reader = reader
        self.declares = declares
        self.reference = reference
        self.read = 0
        self.left = ""
        self._readings: dict[Any, list[Epoch]] = {}
        self._usage: dict[Request, list[tuple[int, int]] | None] = {}
        self._indices: dict[tuple[Request, int], list[tuple[list[int], list[int]]] | None] = {}
        self._faults: dict[Any, LoadingFault] = {}
        self._began = time.monotonic()

    @property
    def source(self) -> Promise:
        """Promises of the loaders."""
        return self._reader.source

    @property
    def name(self) -> str:
        """Name of the source."""
        return self.source.name

    @property
    def age_s(self) -> float:
        """Seconds since the start of the check."""
        return time.monotonic() - self._began

    def names(self, keyword: str) -> bool:
        """Whether the source accepts a keyword."""
        return keyword in self.source.names

    @cached_property
    def info(self) -> LoaderInfo:
        """Facts about a loader that need no reading."""
        info: LoaderInfo = self.run_exercise(show, Request(), placed=False)
        return info

    def request(self, **wanted: Any) -> Request:
        """Return a request, with a batch size that suits the data."""
        return self.source.fill_defaults(replace(Request(batch_size=self.batch_size), **wanted))

    @cached_property
    def batch_size(self) -> int:
        """A batch size that gives at least ten batches and a rest."""
        n = self.info.samples or self._count_samples()
        sizes = [size for size in (4, 3, 5, 7) if n % size] or [4]
        return sizes[0] if n < _SMALL else next(size for size in range(min(n // _BATCHES, _LARGEST), n) if n % size)

    def _count_samples(self) -> int:
        """Samples in an epoch of a loader that takes a batch size and shows no data set; 0 where that is not known."""
        if not self.names("batch_size"):
            return 0
        request = self.source.fill_defaults(Request())
        epochs = self.run_exercise(deliver, request, 1, False, SEED, limit_s=EPOCH_S + HUNG_S)  # noqa: FBT003 - over a line
        self._readings[request, False, SEED] = epochs
        return len(epochs[0].samples) if epochs[0].ended else 0

    def run_exercise(
        self,
        exercise: Exercise,
        request: Request,
        *arguments: Any,
        limit_s: float = EPOCH_S + HUNG_S,
        placed: bool = True,
        kept: bool = True,
    ) -> Any:
        """Run an exercise, and remember its fault.

        Raises
        ------
        LoadingError
            If a loader does something else than deliver.
        """
        key = request.num_workers
        # A fault without workers also occurs with workers.
        if (known_fault := self._faults.get(key) or self._faults.get(0)) is not None:
            raise LoadingError(known_fault)
        try:
            options = ExerciseOptions(limit_s, bool(self.left), placed)
            value, remaining = self._reader.run_exercise(exercise, request, *arguments, options=options)
        except LoadingError as error:
            if kept:
                self._faults[key] = error.fault
            raise
        if remaining:
            self.left = self.left or f"processes still running after it was closed: {remaining}"
        self.read += _samples_in(value)
        return value

    def epochs(self, request: Request, count: int = 1, *, tags: bool = False, world_seed: int = SEED) -> list[Epoch]:
        """Read several epochs of a loader. If the factory takes the epoch, make a new loader for each."""
        key = (request, tags, world_seed)
        epochs = self._readings.get(key, [])
        if len(epochs) < count:
            limit_s = EPOCH_S * count + HUNG_S
            epochs = self._readings[key] = self.run_exercise(deliver, request, count, tags, world_seed, limit_s=limit_s)
            if not any(epoch.samples for epoch in epochs[:1]) and request == self.request(
                num_workers=request.num_workers
            ):
                raise LoadingError(
                    LoadingFault(FaultKind.EMPTY, "the loader delivers no samples", "use a data set that is not empty")
                )
        return epochs[:count]

    def indices(self, request: Request, count: int = 2) -> list[tuple[list[int], list[int]]] | None:
        """Return the indices of epochs with the sizes of their batches; ``None`` if only samples are known."""
        key = (request, count)
        if key not in self._indices:
            self._indices[key] = self.run_exercise(deliver_indices, request, count, limit_s=EPOCH_S * 2 + HUNG_S)
        return self._indices[key]

    def usage(self, request: Request, *, again: bool = False) -> list[tuple[int, int]] | None:
        """Return the bytes in use and the open files after each of some epochs; ``None`` if epochs take long."""
        if again or request not in self._usage:
            self._usage[request] = self.run_exercise(use_memory, request, _EPOCHS, _WARM, 3 * USE_S, limit_s=4 * USE_S)
        return self._usage[request]

    @cached_property
    def draws_with_replacement(self) -> bool:
        """Whether no sample is promised: a sampler draws with replacement, or one of the user's seems to do so.

        A mistake repeats and loses few samples, or the same ones in each epoch.
        """
        n = self.info.length
        if self.info.replaced or self.info.shuffled is not None or not n or not self.info.by_index:
            return self.info.replaced
        epochs = [set(indices) for indices, _ in self.indices(self.request()) or ()]
        return len(epochs) > 1 and epochs[0] != epochs[1] and all(len(epoch) < _DRAWN * n for epoch in epochs)

    @cached_property
    def directly(self) -> list[Sample] | None:
        """The samples of the data set in order, each collated alone; ``None`` if there is no access to them.

        The list is shorter if reading takes long. There is none for a wrapper that changes most samples.
        """
        samples = self._data_set_samples
        if samples is None or not self.info.wrapped or self.is_random:
            return samples
        expected, received = digests(samples, self.epochs(self.request())[0].samples)
        marks = set(expected)
        return samples if 2 * sum(mark in marks for mark in received) > len(received) else None

    @cached_property
    def _data_set_samples(self) -> list[Sample] | None:
        samples: list[Sample] | None = self.run_exercise(read_directly, self.request())
        return samples

    @property
    def is_random(self) -> bool:
        """Whether a sample of the data set differs when it is read again, or by another loader."""
        first, second, third = self._reread
        return first != second or first != third

    @property
    def is_random_each_time(self) -> bool:
        """Whether a sample of the data set differs when it is read again by the same loader."""
        first, second, _ = self._reread
        return first != second

    @cached_property
    def _reread(self) -> tuple[list[Digest], list[Digest], list[Digest]]:
        """The first samples: read once, read again, and read by another loader with another seed."""
        if not self._data_set_samples:
            return [], [], []
        reads = self.run_exercise(read_twice, self.request(), min(3, len(self._data_set_samples)))
        first, second, third = ([digest(sample) for sample in samples] for samples in reads)
        return first, second, third


def _samples_in(value: Any) -> int:
    """Return the number of samples in the epochs of a result."""
    if isinstance(value, Epoch):
        return len(value.samples)
    return sum(map(_samples_in, value)) if isinstance(value, list | tuple) else 0
