"""Batches with traces: a changed ``DataLoader`` records when each part of a batch was made.

Wrappers of the data set, the sampler and the collate function read the clock a few times for each batch. A trace
travels with its batch. It records the pickling in the worker and the unpickling in the main process, because
``(begin, batch, end)`` is pickled in this order. All processes share a monotonic clock.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from harness.compat.torch import MultiProcessingIterator, SingleProcessIterator, pin_memory
from harness.loading.accounting import Computing
from harness.loading.stack import StackSampler, StackSamples
from harness.loading.tagged import Wrapper, exchange
from harness.record.budget import COLLATE, FETCH, HAND_OVER, INDEX, PIN


@dataclass(frozen=True)
class Span:
    """A part of the work, from when to when, in seconds of the monotonic clock."""

    part: str
    begin: float
    end: float


@dataclass
class Trace:
    """Work for a batch.

    Parameters
    ----------
    worker
        Number of the worker; -1 for the main process.
    spans
        Spans in the order of their ends.
    computed_s
        Seconds of fetching and collating in which it computed, or waited for a core to do so.
    looks
        Stack samples of the fetch.
    """

    worker: int
    spans: list[Span]
    computed_s: float
    looks: StackSamples

    def sum_parts(self, *parts: str) -> float:
        """Return the seconds of some parts."""
        return sum(span.end - span.begin for span in self.spans if span.part in parts)


@dataclass
class _Notes:
    """Notes of a process until its batch is complete. A copy in another process is empty."""

    pid: int | None = None
    sampler: StackSampler | None = None
    computing: Computing | None = None
    entered: float = 0.0
    began: float = 0.0
    ended: float = 0.0
    computed_s: float = 0.0
    indices: list[Span] = field(default_factory=list)
    clock = staticmethod(time.perf_counter)

    def __reduce__(self) -> tuple[type["_Notes"], tuple[()]]:
        return _Notes, ()

    def begin(self) -> None:
        """Note that a fetch begins, or continues with its next sample."""
        entered = self.clock()
        if self.pid != os.getpid():
            self.pid, self.sampler, self.computing, self.began = os.getpid(), StackSampler(), Computing(), 0.0
        assert self.sampler is not None
        assert self.computing is not None
        if not self.began:
            self.computed_s = -self.computing()
            self.entered, self.began = entered, self.clock()
        self.sampler.begin()

    def restart(self) -> None:
        """Forget a fetch without a batch, such as the last fetch of a stream."""
        self.began = 0.0

    def end(self) -> None:
        """Note that it ends or pauses."""
        assert self.sampler is not None
        self.sampler.end()
        self.ended = self.clock()

    def take(self, collated_s: float) -> Trace:
        """Return the trace of a batch, given the seconds of its collation, which has just ended."""
        now, info = self.clock(), get_worker_info()
        start = self.began or now - collated_s
        spans = [Span(NOTING, self.entered, start), Span(FETCH, start, self.ended)] if self.began else []
        spans.append(Span(COLLATE, now - collated_s, now))
        computed_s, looks = collated_s, {}
        if self.began:
            assert self.sampler is not None
            assert self.computing is not None
            computed_s, looks = self.computed_s + self.computing(), self.sampler.take()
        self.began = 0.0
        trace = Trace(-1 if info is None else info.id, spans, computed_s, looks)
        spans.append(Span(NOTING, now, self.clock()))
        return trace

    def close(self) -> None:
        """Look at the stack of this process no more."""
        if self.sampler is not None and self.pid == os.getpid():
            self.sampler.close()
        if self.computing is not None and self.pid == os.getpid():
            self.computing.close()
        self.sampler = self.computing = self.pid = None


class _TracedMap(Wrapper, Dataset[Any]):
    """A map-style data set whose fetches are timed, a batch at a time."""

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: Any) -> Any:
        self._notes.begin()
        try:
            return self.inner[index]
        finally:
            self._notes.end()

    def __getitems__(self, indices: Sequence[Any]) -> Any:
        """Fetch a batch as torch does: at once where the data set can, else item by item."""
        inner = self.inner
        at_once = getattr(inner, "__getitems__", None)
        self._notes.begin()
        try:
            return at_once(indices) if at_once else [inner[index] for index in indices]
        finally:
            self._notes.end()


class _TracedStream(Wrapper, IterableDataset[Any]):
    """An iterable data set whose samples are timed: a fetch is from the first of a batch to the last."""

    def __iter__(self) -> Iterator[Any]:
        self._notes.restart()
        self._notes.begin()
        samples = iter(self.inner)
        self._notes.end()
        while True:
            self._notes.begin()
            try:
                sample = next(samples)
            except StopIteration:
                return
            finally:
                self._notes.end()
            yield sample

    def __len__(self) -> int:
        return len(self.inner)


class _TracedSampler:
    """A sampler whose indices are timed, in the process that asks."""

    def __init__(self, sampler: Any, notes: _Notes) -> None:
        self._sampler = sampler
        self._notes = notes

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._sampler, name)

    def __len__(self) -> int:
        return len(self._sampler)

    def __iter__(self) -> Iterator[Any]:
        clock, spans = self._notes.clock, self._notes.indices
        start = clock()
        indices = iter(self._sampler)
        while True:
            try:
                index = next(indices)
            except StopIteration:
                return
            finally:
                spans.append(Span(INDEX, start, clock()))
            yield index
            start = clock()


class _TracedCollate:
    """A collate function that is timed, and sends the trace of a batch along with it."""

    def __init__(self, collate: Any, notes: _Notes) -> None:
        self._collate = collate
        self._notes = notes

    def __call__(self, samples: Any) -> "TracedBatch":
        start = self._notes.clock()
        batch = self._collate(samples)
        return TracedBatch(batch, self._notes.take(self._notes.clock() - start))


class TracedBatch:
    """A batch and its trace, as they come out of a changed loader."""

    def __init__(self, batch: Any, trace: Trace) -> None:
        self.batch = batch
        self.trace = trace

    def pin_memory(self, device: str | None = None) -> "TracedBatch":
        """Copy the batch into page-locked memory, as torch asks for."""
        start = time.perf_counter()
        self.batch = pin_memory(self.batch, device)
        self.trace.spans.append(Span(PIN, start, time.perf_counter()))
        return self

    def __reduce__(self) -> Any:
        sending = _Sending(self.trace)
        return _receive_batch, (_Opening(sending), self.batch, _Closing(sending))


@dataclass
class _Sending:
    """A batch being pickled."""

    trace: Trace
    began: float = 0.0


class _Opening:
    """A part that is pickled and unpickled before a batch, and records these times."""

    def __init__(self, sending: _Sending) -> None:
        self._sending = sending

    def __reduce__(self) -> Any:
        self._sending.began = time.perf_counter()
        return time.perf_counter, ()


class _Closing:
    """A part that is pickled after a batch: its trace, with the time of pickling."""

    def __init__(self, sending: _Sending) -> None:
        self._sending = sending

    def __reduce__(self) -> Any:
        trace = self._sending.trace
        spans = [*trace.spans, Span(SENT, self._sending.began, time.perf_counter())]
        return _close_trace, (trace.worker, spans, trace.computed_s, trace.looks)


NOTING = "noting"
"""Time of the instrument itself, which does not count for a batch."""

SENT, RECEIVED = f"{HAND_OVER}: pickled", f"{HAND_OVER}: read"


def _close_trace(*trace: Any) -> tuple[Trace, float]:
    return Trace(*trace), time.perf_counter()


def _receive_batch(start: float, batch: Any, closed: tuple[Trace, float]) -> TracedBatch:
    trace, end = closed
    trace.spans.append(Span(RECEIVED, start, end))
    return TracedBatch(batch, trace)


@dataclass(frozen=True)
class Request:
    """A request for a batch.

    Parameters
    ----------
    begin, end
        Start and end, in seconds of the monotonic clock.
    trace
        Work for the batch.
    is_torchs
        Whether the request went to torch's own iterator, without user code around it.
    """

    begin: float
    end: float
    trace: Trace
    is_torchs: bool


_TORCHS = {SingleProcessIterator, MultiProcessingIterator}
"""The iterators of torch's loaders."""


class TracedLoader:
    """A ``DataLoader`` that yields its batches unchanged, and stores a trace for each.

    Parameters
    ----------
    loader
        A loader that was not read yet; it is changed permanently.

    Attributes
    ----------
    asks
        The requests.
    """

    def __init__(self, loader: "DataLoader[Any]") -> None:
        notes = _Notes()
        kind = _TracedStream if isinstance(loader.dataset, IterableDataset) else _TracedMap
        exchange(loader, dataset=kind(loader.dataset, _notes=notes))
        loader.collate_fn = _TracedCollate(loader.collate_fn, notes)
        if kind is _TracedMap:
            name = "sampler" if loader.batch_sampler is None else "batch_sampler"
            exchange(loader, **{name: _TracedSampler(getattr(loader, name), notes)})
        self._loader = loader
        self._notes = notes
        self.requests: list[Request] = []

    @property
    def indices(self) -> list[Span]:
        """When indices were drawn."""
        return self._notes.indices

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_loader":
            raise AttributeError(name)
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        batches = iter(self._loader)
        is_torchs = type(batches) in _TORCHS
        while True:
            start = time.perf_counter()
            try:
                traced: TracedBatch = next(batches)
            except StopIteration:
                return
            self.requests.append(Request(start, time.perf_counter(), traced.trace, is_torchs))
            yield traced.batch
            del traced

    def close(self) -> None:
        """Look at the stack of this process no more."""
        self._notes.close()
