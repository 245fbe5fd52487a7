"""Search for the sample that caused a fault: a data set notes in shared memory which sample each worker reads.

Notes cost time for each sample, so a loader runs with them only after a fault.
"""

import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.utils.data import Dataset, get_worker_info

from harness.loading.content import split_samples
from harness.loading.fault import (
    WITHOUT_SAMPLE,
    FaultKind,
    LoadingError,
    LoadingFault,
    get_message,
    named_processes,
    worker_death,
)
from harness.loading.supervision import LIMIT_S, supervise

_IDLE = -1.0


class WatchedDataSet(Dataset[Any]):
    """A data set that notes each request, its worker and its time.

    Parameters
    ----------
    dataset
        The data set.
    workers
        Number of workers; the main process is not counted.
    """

    def __init__(self, dataset: Any, workers: int) -> None:
        self.dataset = dataset
        # one row each: index, process, since when; the first row is the process that has no worker
        self.notes = torch.full((workers + 1, 3), _IDLE, dtype=torch.float64).share_memory_()

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        return self._noting(self.dataset.__getitem__, index, first=index)

    def _noting(self, fetch: Callable[[Any], Any], request: Any, *, first: Any) -> Any:
        info = get_worker_info()
        row = self.notes[0 if info is None else info.id + 1]
        if row[0] >= 0:  # it has raised before; its worker continues, and the first note stays
            return fetch(request)
        row[1], row[2] = os.getpid(), time.monotonic()
        row[0] = float(first)
        item = fetch(request)
        row[0] = _IDLE
        return item


class WatchedBatches(WatchedDataSet):
    """The same, of a data set that fetches a batch at once: the first index of the batch is noted."""

    def __getitems__(self, indices: Sequence[Any]) -> Any:
        """Fetch a batch as the data set does."""
        return self._noting(self.dataset.__getitems__, indices, first=indices[0])


def watch_data_set(dataset: Any, workers: int) -> WatchedDataSet:
    """Return the data set, watched, with ``__getitems__`` where it has one."""
    kind = WatchedBatches if getattr(dataset, "__getitems__", None) else WatchedDataSet
    return kind(dataset, workers)


def diagnose(
    dataset: Any, load: Callable[[Any], Iterable[Any]], *, workers: int = 0, limit_s: float = LIMIT_S
) -> LoadingFault | None:
    """Read one epoch, watched, and say at which sample it fails."""
    watch = watch_data_set(dataset, workers)
    batches: Iterator[Any] | None = None
    try:
        with supervise(limit_s):
            batches = iter(load(watch))
            for _ in batches:
                pass
            batches = None  # ends persistent workers
    except LoadingError as error:
        return _add_sample(error, watch, _explain_death(error, batches), limit_s)
    return None


def explain_collation(data_set: Any, loader: Any, fault: LoadingFault) -> LoadingFault:
    """Name the batch that cannot be collated, and the sample in it that differs from the others."""
    for indices in loader.batch_sampler or ():
        samples = [data_set[i] for i in indices]
        try:
            loader.collate_fn(samples)
        except Exception:  # noqa: BLE001 - any error identifies the batch
            kinds = [_shapes(sample) for sample in samples]
            odd = next((i for i, kind in zip(indices, kinds, strict=True) if kinds.count(kind) == 1), indices[0])
            text = f"at index {odd}: the batch of samples {indices[0]} to {indices[-1]} cannot be collated"
            if len(set(kinds)) > 1:
                text += f" because their shapes differ: {kinds[list(indices).index(odd)]} and {kinds[0]}"
            return replace(fault, sentence=f"{text}; {fault.sentence}", index=int(odd))
    return fault


def _shapes(sample: Any) -> str:
    leaves = split_samples(sample, whole=True)[0].values()
    return ", ".join(str(list(leaf.shape)) for leaf in leaves if isinstance(leaf, torch.Tensor))


def _explain_death(error: LoadingError, batches: Iterator[Any] | None) -> LoadingFault:
    """Return the fault of a dead worker from its exit code, if torch gives no cause.

    Torch may check its workers too early, or report to another thread. Then there is only a broken connection.
    """
    cause = error.__cause__
    ours = (None, 0, -signal.SIGTERM)  # still there, at its end, or ended with the loader
    # Torch's iterator alone has workers of that name; of another loader nothing more is known.
    codes = {worker.pid: worker.exitcode for worker in getattr(batches, "_workers", ()) if worker.exitcode not in ours}
    if cause is None or not codes:
        return error.fault
    if error.fault.kind is FaultKind.DIED:
        exit_codes = [codes[pid] for pid in named_processes(cause) if pid in codes]
        return worker_death(get_message(cause), exit_codes[0]) if exit_codes else error.fault
    return worker_death("", next(iter(codes.values()))) if isinstance(cause, OSError | EOFError) else error.fault


def _add_sample(error: LoadingError, watch: WatchedDataSet, fault: LoadingFault, limit_s: float) -> LoadingFault:
    """Put the sample that a worker was busy with into the sentence."""
    row = _suspect_row(error, watch, limit_s)
    if row is None:
        return _explain_timeout(watch, fault, limit_s) if fault.kind is FaultKind.HUNG else fault
    index, worker = int(watch.notes[row, 0]), None if row == 0 else row - 1
    length = len(watch)
    if fault.kind is FaultKind.RAISED and isinstance(error.__cause__, IndexError) and 0 <= index < length:
        return LoadingFault(
            FaultKind.LENGTH,
            f"`len` of the data set is {length}, but index {index} raises IndexError",
            "let `__len__` return the number of samples that `__getitem__` accepts",
            index=index,
            worker=worker,
        )
    place = f"in the batch that starts at index {index}" if isinstance(watch, WatchedBatches) else f"at index {index}"
    return replace(fault, sentence=f"{place}: {fault.sentence}", index=index, worker=worker)


def _explain_timeout(watch: WatchedDataSet, fault: LoadingFault, limit_s: float) -> LoadingFault:
    """Return the fault of a timeout that no sample explains: workers that do not start, or a long epoch."""
    if (watch.notes[:, 1] >= 0).any():
        sentence, remedy = f"reading an epoch takes more than {limit_s:g} s, but no sample hangs", "allow more time"
    elif len(watch.notes) > 1:
        sentence = f"no worker read a sample within {limit_s:g} s"
        remedy = "a spawned worker first imports torch and your program: allow more time, or use fewer workers"
    else:
        return fault
    return replace(fault, sentence=sentence, remedy=remedy)


def _suspect_row(error: LoadingError, watch: WatchedDataSet, limit_s: float) -> int | None:
    """Return the row of the worker that died or raised, or else of the worker that has been busy for longest.

    After a timeout, that is a worker only if it has been busy for a quarter of the time.
    """
    busy = [row for row in range(len(watch.notes)) if watch.notes[row, 0] >= 0]
    if error.fault.kind is FaultKind.HUNG:
        start = time.monotonic() - limit_s / 4
        busy = [row for row in busy if watch.notes[row, 2] < start]
    if not busy or error.fault.kind in WITHOUT_SAMPLE:
        return None
    if error.fault.worker is not None and error.fault.worker + 1 in busy:
        return error.fault.worker + 1
    dead = named_processes(error.__cause__) if error.__cause__ is not None else set()
    if gone := [row for row in busy if int(watch.notes[row, 1]) in dead]:
        return gone[0]
    return min(busy, key=lambda row: float(watch.notes[row, 2]))
