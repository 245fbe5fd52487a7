"""Time budget of a batch: the training loop, divided into disjoint parts that add up to it.

The loop reads the clock when it requests a batch, when it has the batch and has discarded the previous one, and after
the step. The traces of the batches fill the time in between. While the loop waits for a worker, the time counts for the
work of this worker on that batch, or on the batch before.
"""

import itertools
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from torch.utils.data import DataLoader

from harness.loading.stack import StackSample, StackSampler, StackSamples
from harness.loading.throughput import Configuration
from harness.loading.trace import NOTING, RECEIVED, SENT, Request, Span, Trace, TracedLoader
from harness.record.budget import (
    AROUND,
    COLLATE,
    DATA_LOADER,
    DECODE,
    EPOCH,
    FETCH,
    FETCHING,
    HAND_OVER,
    PIN,
    READ,
    STEP,
    TRANSFORM,
    WAIT,
    Budget,
    Line,
)

ROUNDS = 10
"""Rounds into which the loop is cut, each of as many batches."""

MIN_BATCHES = 4
"""Minimum number of batches in the loop; half as many for each worker."""

MAX_LINES, LEAST_SHARE = 6, 0.02
"""Lines that are named, and the share of the fetches from which on one is."""


@dataclass(frozen=True)
class Turn:
    """Times of a batch in the loop: request, delivery, replacement of the previous batch, and end of the step.

    Time between two turns belongs to the instrument.
    """

    requested_at: float
    given: float
    arrived: float
    stepped: float

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.stepped - self.requested_at


class BudgetLoop:
    """A training loop whose loader is traced.

    Parameters
    ----------
    make
        Makes the loader: a ``DataLoader``, a wrapper of one, or any iterable of batches.
    step
        Is called with each batch.

    Attributes
    ----------
    turns
        The turns.
    epochs
        Spans between the end of an epoch and the start of the next one.
    last
        The last batch.
    """

    def __init__(self, make: Callable[[], Iterable[Any]], step: Callable[[Any], object]) -> None:
        self._step = step
        self._loader, self.traced = _trace_loader(make())
        self.is_plain = self._loader is self.traced
        self.sampler = None if self.is_plain else StackSampler()
        self.turns: list[Turn] = []
        self.epochs: list[Span] = []
        self.last: Any = None
        self._batches: Iterator[Any] | None = None

    def __enter__(self) -> "BudgetLoop":
        return self

    def __exit__(self, *_: object) -> None:
        self._batches = None  # ends its workers
        self._loader = None
        if self.sampler is not None:
            self.sampler.close()
        if self.traced is not None:
            self.traced.close()

    def run(self, seconds: float, *, minimum: int) -> None:
        """Continue training for some seconds, and for a minimum number of batches."""
        start = time.perf_counter()
        for count in itertools.count(1):
            requested = time.perf_counter()
            batch = self._next()
            received = time.perf_counter()
            self.last = batch  # discards the previous batch, as a `for` loop does
            arrived = time.perf_counter()
            self._step(batch)
            stepped = time.perf_counter()
            self.turns.append(Turn(requested, received, arrived, stepped))
            if stepped - start >= seconds and count >= minimum:
                return

    def forget(self) -> None:
        """Forget the earlier batches, which were prefetched at the start."""
        self.turns.clear()
        self.epochs.clear()
        if self.sampler is not None:
            self.sampler.take()

    def _next(self) -> Any:
        """Return the next batch, from the next epoch if this one has ended."""
        if self.sampler is not None:
            self.sampler.begin()
        try:
            for fresh in itertools.count():
                start = time.perf_counter()
                if self._batches is not None:
                    try:
                        return next(self._batches)
                    except StopIteration:
                        if fresh > 1:
                            raise RuntimeError("the loader delivers no samples") from None
                self._batches = None  # ends workers that are not persistent
                self._batches = iter(self._loader)
                self.epochs.append(Span(EPOCH, start, time.perf_counter()))
        finally:
            if self.sampler is not None:
                self.sampler.end()


def _trace_loader(loader: Any) -> tuple[Any, TracedLoader | None]:
    """Trace a ``DataLoader``, or the one inside a wrapper; return the outer loader and the traced one."""
    if isinstance(loader, DataLoader):
        traced = TracedLoader(loader)
        return traced, traced
    for name, value in getattr(loader, "__dict__", {}).items():
        if isinstance(value, DataLoader):
            traced = TracedLoader(value)
            setattr(loader, name, traced)
            return loader, traced
    return loader, None


def measure_budget(
    make: Callable[[], Iterable[Any]],
    step: Callable[[Any], object] | None,
    configuration: Configuration,
    *,
    cores: float,
    seconds: float,
    hop: Callable[[Any], float] | None = None,
) -> Budget:
    """Run a training loop and return where the time of a batch goes.

    Notes
    -----
    The measured loop reads the clock a few times per batch, and the stack once per millisecond. The parts are disjoint
    by construction. Uncovered time remains in the loop.
    """
    with BudgetLoop(make, step or _nothing) as loop:
        loop.run(0.1 * seconds, minimum=configuration.ahead + 2)
        loop.forget()
        loop.run(seconds, minimum=max(MIN_BATCHES, 2 * configuration.workers))
        hop_s = hop(loop.last) if hop is not None and not configuration.workers and loop.is_plain else None
        return _Account(loop, configuration).budget(cores=cores, hop_s=hop_s)


def _nothing(_: Any) -> None:
    """Step of a loop that only loads."""


_Begun = TypeVar("_Begun", Span, Request)
"""What has a beginning."""


class _Account:
    """Divides the time of a loop into parts."""

    def __init__(self, loop: BudgetLoop, configuration: Configuration) -> None:
        self._loop = loop
        self._configuration = configuration
        requests = loop.traced.requests if loop.traced is not None else []
        since = loop.turns[0].requested_at
        self._requests = [request for request in requests if request.end >= since]
        self._traces = requests
        self._reach = configuration.ahead + configuration.workers + 1
        self._indices = loop.traced.indices if loop.traced is not None else []
        self._looks = _sum(request.trace.looks for request in self._requests)
        self._around = loop.sampler.take() if loop.sampler is not None else {}

    def budget(self, *, cores: float, hop_s: float | None) -> Budget:
        """Return the budget."""
        turns, traces = self._loop.turns, [request.trace for request in self._requests]
        count = max(len(traces), 1)
        fetched_s = sum(trace.sum_parts(FETCH, COLLATE) for trace in traces)
        received = [trace.sum_parts(RECEIVED) for trace in traces if trace.worker >= 0]
        rounds = _split_rounds(turns)
        parts = [self._sum_by_part(round_) for round_ in rounds]
        noting_s = [part.pop(NOTING, 0.0) for part in parts]
        names = dict.fromkeys(part for seconds in parts for part in seconds)
        return Budget(
            batch_size=self._configuration.batch_size,
            workers=self._configuration.workers,
            cores=cores,
            batches=len(turns),
            loop_s=tuple(
                (sum(turn.seconds for turn in round_) - noting) / len(round_)
                for round_, noting in zip(rounds, noting_s, strict=True)
            ),
            parts_s={
                name: tuple(seconds.get(name, 0.0) / len(round_) for seconds, round_ in zip(parts, rounds, strict=True))
                for name in names
            },
            made_s=(fetched_s + sum(trace.sum_parts(SENT) for trace in traces)) / count,
            busy=min(1.0, sum(trace.computed_s for trace in traces) / fetched_s) if fetched_s else 0.0,
            hop_s=sum(received) / len(received) if received else hop_s,
            lines=_sort_lines(self._looks or self._around),
        )

    def _sum_by_part(self, turns: Sequence[Turn]) -> dict[str, float]:
        """Return the seconds by part in some turns."""
        seconds: dict[str, float] = defaultdict(float)
        for turn in turns:
            for begin, end, part in _divide(turn.requested_at, turn.stepped, self._spans(turn)):
                seconds[part] += end - begin
        fetch_s, around_s = seconds.pop(FETCH, 0.0), seconds.pop(AROUND, 0.0)
        for part, share in _seconds_by_part(self._looks, FETCH).items():
            seconds[part] += share * fetch_s
        for part, share in _seconds_by_part(self._around, AROUND).items():
            seconds[part] += share * around_s
        return {part: value for part, value in seconds.items() if value > 0.0}

    def _spans(self, turn: Turn) -> Iterator[Span]:
        """Yield the spans in a turn, the most specific first."""
        yield Span(STEP, turn.arrived, turn.stepped)
        yield from _select_begun(self._indices, turn)
        requests = _select_begun(self._requests, turn)
        for request in requests:
            for span in self._list_spans(request):
                yield Span(span.part, max(span.begin, request.begin), min(span.end, request.end))
        if requests:  # discarding the previous batch, which a worker made in shared memory
            yield Span(HAND_OVER if requests[-1].trace.worker >= 0 else DATA_LOADER, turn.given, turn.arrived)
        yield from _select_begun(self._loop.epochs, turn)
        if not self._loop.is_plain:
            yield Span(AROUND, turn.requested_at, turn.arrived)

    def _list_spans(self, request: Request) -> Iterator[Span]:
        """Yield the spans in a request, the most specific first."""
        spans = {span.part: span for span in request.trace.spans}
        if request.trace.worker < 0:
            yield from request.trace.spans
            if request.is_torchs:
                yield Span(DATA_LOADER, request.begin, request.end)
            return
        near = self._find_near_traces(request)
        sent, received = spans.get(SENT), spans.get(RECEIVED)
        yield from (replace(span, part=HAND_OVER) for trace in near for span in trace.spans if span.part == RECEIVED)
        if PIN in spans:
            yield spans[PIN]
        if sent is not None and received is not None:
            yield Span(HAND_OVER, sent.begin, received.begin)
            yield Span(HAND_OVER, received.end, request.end)
        for trace in (request.trace, *(trace for trace in near if trace.worker == request.trace.worker)):
            yield from (span for span in trace.spans if span.part in {FETCH, COLLATE})
            yield from (replace(span, part=HAND_OVER) for span in trace.spans if span.part == SENT)
        yield Span(WAIT, request.begin, request.end)

    def _find_near_traces(self, request: Request) -> list[Trace]:
        """Return the traces of batches that were made or received during a request."""
        index = bisect_left(self._traces, request.begin, key=lambda received: received.begin)
        around = self._traces[max(0, index - self._reach) : index + self._reach + 1]
        return [
            received.trace
            for received in around
            if received.trace.spans[-1].end > request.begin and received.trace.spans[0].begin < request.end
        ]


def _select_begun(spans: Sequence[_Begun], turn: Turn) -> Sequence[_Begun]:
    """Return the spans of a sorted series that begin within a turn."""
    return spans[
        bisect_left(spans, turn.requested_at, key=lambda span: span.begin) : bisect_left(
            spans, turn.stepped, key=lambda span: span.begin
        )
    ]


def _divide(begin: float, end: float, spans: Iterable[Span]) -> Iterator[tuple[float, float, str]]:
    """Divide the time among spans; if several overlap, the first one counts."""
    free = [(begin, end)]
    for span in spans:
        if not free:
            return
        yield from ((low, high, span.part) for low, high in _clip(free, span))
        free = [piece for pair in free for piece in _cut_out(pair, span)]


def _clip(free: Sequence[tuple[float, float]], span: Span) -> Iterator[tuple[float, float]]:
    """Yield the intersection of a span and the free time."""
    for low, high in free:
        if max(low, span.begin) < min(high, span.end):
            yield max(low, span.begin), min(high, span.end)


def _cut_out(piece: tuple[float, float], span: Span) -> Iterator[tuple[float, float]]:
    """Yield the rest of a piece outside a span."""
    low, high = piece
    if not max(low, span.begin) < min(high, span.end):
        yield piece
        return
    if low < span.begin:
        yield low, span.begin
    if span.end < high:
        yield span.end, high


def _split_rounds(turns: Sequence[Turn]) -> list[Sequence[Turn]]:
    """Cut the turns into rounds of equal length; the last round also has the rest."""
    number = min(ROUNDS, len(turns))
    size = len(turns) // number
    ends = [*range(size, size * number, size), len(turns)]
    return [turns[end_before:end] for end_before, end in itertools.pairwise([0, *ends])]


# Looks at the stack


def _sum(several: Iterable[StackSamples]) -> StackSamples:
    total: StackSamples = defaultdict(float)
    for looks in several:
        for look, seconds in looks.items():
            total[look] += seconds
    return dict(total)


def _seconds_by_part(looks: StackSamples, rest: str) -> dict[str, float]:
    """Return the share by part in the looks; without looks, everything counts as the rest."""
    total = sum(looks.values())
    if not total:
        return {rest: 1.0}
    parts = {READ, DECODE, TRANSFORM} if rest == FETCH else {READ, DECODE, TRANSFORM, WAIT}
    shares: dict[str, float] = defaultdict(float)
    for look, seconds in looks.items():
        shares[look.part if look.part in parts else rest] += seconds / total
    return dict(shares)


def _sort_lines(looks: StackSamples) -> tuple[Line, ...]:
    """Return the calls with the largest shares of the fetches, the largest first."""
    total = sum(looks.values())
    ranked: list[tuple[StackSample, float]] = sorted(looks.items(), key=lambda entry: -entry[1])
    return tuple(
        Line(
            part=look.part if look.part in FETCHING else AROUND,
            file=look.file,
            line=look.line,
            call=look.call,
            share=seconds / total,
        )
        for look, seconds in ranked[:MAX_LINES]
        if seconds / total >= LEAST_SHARE
    )
