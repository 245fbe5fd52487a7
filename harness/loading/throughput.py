"""Reading through a loader: its configuration, the first batch, slices of the steady state, whole epochs, and the end.

A loader is any iterable of batches. A reading counts batches and samples, and measures wall time and the CPU time of
this process and its workers. The memory limit is a reading without a loader.
"""

import math
import time
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from harness.loading.accounting import CpuWindow
from harness.loading.fault import FaultKind, LoadingError, LoadingFault

PREFETCH = 2
"""Default number of batches that ``DataLoader`` prefetches for each worker."""


@dataclass(frozen=True)
class Configuration:
    """The settings of a ``DataLoader`` on which its speed depends.

    Parameters
    ----------
    batch_size
        Samples a batch.
    workers
        Processes that load; 0 loads in the process that asks.
    prefetch
        Batches each worker keeps ahead; only with workers.
    persistent
        Whether workers outlive an epoch; only with workers.
    pin
        Whether batches are copied into page-locked memory, from which an accelerator reads faster.
    start_method
        How workers are started: ``fork``, ``spawn`` or ``forkserver``; the platform's where absent.
    """

    batch_size: int
    workers: int = 0
    prefetch: int = PREFETCH
    persistent: bool = True
    pin: bool = False
    start_method: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``DataLoader`` that differ from its defaults."""
        options: dict[str, Any] = {"batch_size": self.batch_size}
        if self.workers:
            options["num_workers"] = self.workers
            if self.prefetch != PREFETCH:
                options["prefetch_factor"] = self.prefetch
            if self.persistent:
                options["persistent_workers"] = True
            if self.start_method is not None:
                options["multiprocessing_context"] = self.start_method
        if self.pin:
            options["pin_memory"] = True
        return options

    @property
    def ahead(self) -> int:
        """Largest number of prefetched batches."""
        return self.workers * self.prefetch

    def __str__(self) -> str:
        """Return the settings in words, the usual ones left out."""
        words = [f"batch {self.batch_size}", f"workers {self.workers}"]
        if self.workers:
            words += [f"prefetch {self.prefetch}"] * (self.prefetch != PREFETCH)
            words += ["workers end with the epoch"] * (not self.persistent)
            words += [self.start_method] * (self.start_method is not None)  # type: ignore[list-item]
        return ", ".join(words + ["pinned"] * self.pin)


END = 0
"""Stands behind an epoch in place of a batch's size."""


def samples_in(batch: Any) -> int:
    """Count the samples of a batch: the length of the first array in it, or of the batch where it holds none."""
    first = _first_array(batch)
    return len(batch if first is None else first)


def _first_array(part: Any) -> Any:
    if getattr(part, "shape", ()):
        return part
    if isinstance(part, Mapping):
        return next((array for value in part.values() if (array := _first_array(value)) is not None), None)
    return _first_array(part[0]) if is_sequence(part) and part else None


def tensors(batch: Any) -> list[Tensor]:
    """Return the tensors in a batch, in order."""
    if isinstance(batch, Tensor):
        return [batch]
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    return [tensor for part in batch for tensor in tensors(part)] if is_sequence(batch) else []


def copy_batch(batch: Any) -> Any:
    """Return a copy of a batch that shares no tensor with it."""
    if isinstance(batch, Tensor):
        return batch.clone()
    if isinstance(batch, Mapping):
        return {key: copy_batch(value) for key, value in batch.items()}
    return [copy_batch(part) for part in batch] if is_sequence(batch) else batch


def is_sequence(part: Any) -> bool:
    """Whether a part of a batch is a list or a tuple of parts."""
    return isinstance(part, Sequence) and not isinstance(part, str | bytes)


@dataclass(frozen=True)
class Throughput:
    """Samples of one reading, and its duration.

    Parameters
    ----------
    samples, batches
        Numbers of samples and batches.
    wall_s
        Seconds on the wall.
    cpu_s
        CPU seconds of this process and its workers.
    """

    samples: int
    batches: int
    wall_s: float
    cpu_s: float

    @property
    def wall_us(self) -> float:
        """Wall-clock microseconds for each sample."""
        return 1e6 * self.wall_s / self.samples

    @property
    def cpu_us(self) -> float:
        """CPU microseconds for each sample, including workers."""
        return 1e6 * self.cpu_s / self.samples


@dataclass(frozen=True)
class Start:
    """Times until the first batch, in seconds.

    Parameters
    ----------
    made_s
        Until the loader was made: files read, tensors converted.
    iterator_s
        Then until the iterator exists: start of workers.
    first_batch_s
        Then until the first batch arrives.
    cpu_s
        CPU seconds in total, including workers.
    """

    made_s: float
    iterator_s: float
    first_batch_s: float
    cpu_s: float

    @property
    def wall_s(self) -> float:
        """Seconds from nothing to the first batch."""
        return self.made_s + self.iterator_s + self.first_batch_s


class LoaderReading:
    """One loader being read, from its making to its end.

    Parameters
    ----------
    make
        Makes the loader.
    count
        Counts the samples of a batch.
    take
        Called with each batch, within the time. A training step makes this a training loop.

    Attributes
    ----------
    epochs
        Samples and batches of each complete epoch, in order.
    """

    def __init__(
        self,
        make: Callable[[], Iterable[Any]],
        *,
        count: Callable[[Any], int] = samples_in,
        take: Callable[[Any], object] | None = None,
    ) -> None:
        self.make = make
        self.count = count
        self.take = take
        self.epochs: list[tuple[int, int]] = []
        self._sizes: Generator[int] | None = None

    def __enter__(self) -> "LoaderReading":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Start:
        """Make the loader, start an epoch and read its first batch."""
        cpu, moments = CpuWindow(), [time.perf_counter()]
        loader = self.make()
        moments.append(time.perf_counter())
        self._sizes = self._read(loader, iter(loader))
        moments.append(time.perf_counter())
        next(self._sizes)
        moments.append(time.perf_counter())
        build_s, iterator, first = (after - before for before, after in pairwise(moments))
        return Start(build_s, iterator, first, cpu.close())

    def steady(self, *, seconds: float | None = None, batches: int | None = None, skip: int = 0) -> Throughput:
        """Read on, from one epoch into the next, for some seconds or batches, whichever ends first."""
        if seconds is None and batches is None:
            raise ValueError("`seconds` or `batches` is required")
        self.skip(skip)
        sizes = filter(None, self._get_sizes())
        samples = read = 0
        cpu, start = CpuWindow(), time.perf_counter()
        until = start + (math.inf if seconds is None else seconds)
        for size in sizes:
            samples, read = samples + size, read + 1
            if read == batches or time.perf_counter() >= until:
                break
        wall = time.perf_counter() - start
        return Throughput(samples, read, wall, cpu.close())

    def skip(self, batches: int) -> None:
        """Read some batches outside the time."""
        deque(islice(filter(None, self._get_sizes()), batches), maxlen=0)

    def finish(self, *, seconds: float = math.inf) -> None:
        """Read the rest of the epoch, or for some seconds, so that the next batch begins the next epoch."""
        until = time.perf_counter() + seconds
        for _ in iter(partial(next, self._get_sizes()), END):
            if time.perf_counter() >= until:
                return

    def close(self) -> float:
        """Discard the loader and its workers, and return the seconds that this takes."""
        start = time.perf_counter()
        if self._sizes is not None:
            self._sizes.close()
            self._sizes = None
        return time.perf_counter() - start

    def _get_sizes(self) -> Generator[int]:
        assert self._sizes is not None, "a reading is started first"
        return self._sizes

    def _read(self, loader: Iterable[Any], batches: Iterator[Any]) -> Generator[int]:
        """Yield the size of each batch on arrival, and :data:`END` after each epoch, forever."""
        while True:
            samples = read = 0
            for batch in batches:
                size = self.count(batch)
                samples, read = samples + size, read + 1
                if self.take is not None:
                    self.take(batch)
                yield size
            del batches  # ends workers that are not persistent
            self.epochs.append((samples, read))
            if samples == 0:
                raise LoadingError(
                    LoadingFault(FaultKind.EMPTY, "the loader delivers no samples", "use a data set that is not empty")
                )
            yield END
            batches = iter(loader)


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


@contextmanager
def allow_more_workers_than_cores() -> Iterator[None]:
    """Suppress torch's warning about them; data sets that wait may gain from them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="This DataLoader will create", category=UserWarning)
        yield


# Cost of a batch from a worker

_HOPS = 8
"""Number of batches that are prepared, and that are received."""


class _Same(Dataset[Any]):
    """Delivers copies of a batch, created in the worker, so that only the transfer takes time."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return 4 * _HOPS

    def __getitem__(self, index: int) -> Any:
        return copy_batch(self.batch)


def hop_s(batch: Any) -> float:
    """Return the seconds in which the receiving process computes for one batch from a worker."""

    def make() -> DataLoader[Any]:
        return DataLoader(_Same(batch), batch_size=None, num_workers=1, prefetch_factor=_HOPS)

    with LoaderReading(make) as reading:
        reading.start()
        reading.steady(batches=_HOPS)
        before = time.process_time()
        batches = reading.steady(batches=_HOPS).batches
        return (time.process_time() - before) / batches
