"""The time budget of a batch: the time of each part of a training loop.

The loop alternates between its own computations and waiting. The time that it waits for a batch from a worker is
divided among the tasks of the worker in that time. The parts are therefore disjoint, and they add up to the time of the
loop. The unattributed rest is a part, too.
"""

import statistics
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, Field

INDEX, READ, DECODE, TRANSFORM, FETCH = "index", "read", "decode", "transform", "fetch"
COLLATE, HAND_OVER, PIN, AROUND, WAIT = "collate", "hand-over", "pin", "around", "wait"
DATA_LOADER, EPOCH, STEP, UNSEEN = "DataLoader", "epoch", "step", "not attributed"

_PARTS: Mapping[str, tuple[str, str]] = {
    INDEX: ("drawing indices", "drawing indices from the sampler"),
    READ: ("reading", "reading while samples are fetched"),
    DECODE: ("decoding", "decoding while samples are fetched"),
    TRANSFORM: ("transforming", "transforming while samples are fetched"),
    FETCH: ("the rest of the fetch", "the rest of the fetch: `__getitem__` and the functions it calls"),
    COLLATE: ("collating", "collating samples into a batch"),
    HAND_OVER: (
        "hand-over",
        "transfer from a worker to the training process: pickling, pipe, use and release of shared memory",
    ),
    PIN: ("pinning", "copying into page-locked memory"),
    AROUND: ("code around the loader", "loader code around torch's `DataLoader`, or instead of it"),
    DATA_LOADER: (
        "torch's `DataLoader` itself",
        "the remaining time in torch's `DataLoader`, with the release of batches made in this process",
    ),
    WAIT: (
        "waiting for a worker without visible activity",
        "waiting for a worker without visible activity: it is starting or has no free core",
    ),
    EPOCH: ("starting epochs", "ending one epoch and starting the next"),
    STEP: ("the step", "the training step"),
    UNSEEN: ("not attributed", "unattributed time"),
}
"""The parts of the batch time, as a sentence names them and as a table describes them."""

PARTS: Mapping[str, str] = {part: description for part, (_, description) in _PARTS.items()}
"""The parts of the batch time, with a description."""

FETCHING = (READ, DECODE, TRANSFORM, FETCH)
"""The parts of a fetch, divided by looks at the stack."""

ELSEWHERE = (*FETCHING, COLLATE, WAIT)
"""The parts that workers can take from the process that trains."""

CLOSED = 0.05
"""Share of the loop that may stay unseen."""

WORTH_SAYING, WORTH_IT = 0.05, 1.05
"""A part is named from this share on, and workers from this gain on."""


class Line(BaseModel):
    """A call in a line of code, and the share of the fetches during which it ran."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    part: str = Field(description="part of the budget")
    file: str = Field(description="file name in the process")
    line: int = Field(description="line number")
    call: str = Field(description="source code of the call")
    share: float = Field(ge=0, le=1, description="share of the fetch time")

    def __str__(self) -> str:
        """Return the call with its place."""
        return f"`{self.call}` at {self.file.rpartition('/')[2]}:{self.line}"


class Budget(BaseModel):
    """The budget of a batch, by rounds of the loop; a missing part took no time."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    batch_size: int = Field(gt=0, description="samples per batch")
    workers: int = Field(ge=0, description="worker processes")
    cores: float = Field(gt=0, description="usable cores")
    batches: int = Field(gt=0, description="batches in the loop")
    loop_s: tuple[float, ...] = Field(description="loop time per batch in seconds, by round")
    parts_s: Mapping[str, tuple[float, ...]] = Field(description="time per batch and part in seconds, by round")
    made_s: float = Field(ge=0, description="time to fetch, collate and pickle a batch, in seconds")
    busy: float = Field(ge=0, description="share of that time spent on a processor")
    hop_s: float | None = Field(default=None, description="time to receive a batch from a worker, in seconds")
    lines: tuple[Line, ...] = Field(default=(), description="calls that took most of the fetch time")

    @property
    def batch_s(self) -> float:
        """Seconds of the loop a batch."""
        return _compute_mean(self.loop_s)

    @property
    def shares(self) -> dict[str, float]:
        """The share of each part in the loop, in the order of :data:`PARTS`; the unattributed rest is the last."""
        shares = {part: _compute_mean(self.parts_s[part]) / self.batch_s for part in PARTS if part in self.parts_s}
        return shares | {UNSEEN: 1.0 - sum(shares.values())}

    @property
    def unseen(self) -> float:
        """The unattributed share of the loop in the median round, which ignores interrupted rounds."""
        seen_s: list[float] = [sum(parts) for parts in zip(*self.parts_s.values(), strict=True)]
        shares = [1.0 - attributed / loop for attributed, loop in zip(seen_s, self.loop_s, strict=True)]
        return statistics.median(shares)

    @property
    def is_closed(self) -> bool:
        """Whether the parts add up to the loop, within :data:`CLOSED`."""
        return abs(self.unseen) <= CLOSED

    @property
    def own_s(self) -> float:
        """Seconds per batch that the training process spends itself, with the transfer of batches from workers."""
        own_s = self.batch_s - sum(_compute_mean(self.parts_s[part]) for part in ELSEWHERE if part in self.parts_s)
        return own_s if self.workers else own_s + (self.hop_s or 0.0)

    def bound_s(self, workers: int) -> float:
        """Lower bound on the seconds for a batch with a number of workers.

        Notes
        -----
        The workers together make a batch in ``made_s / workers``. The process that trains needs ``own_s``. All
        share the available cores.
        """
        computed_s = self.made_s * self.busy + self.own_s
        return max(self.made_s / workers, self.own_s, computed_s / self.cores)

    @property
    def more_workers(self) -> tuple[int, float]:
        """The number of additional workers that would help, and the largest speedup; 0 and 1 if none would."""
        max_workers = max(2 * self.workers, round(4 * self.cores))
        gains = {number: self.batch_s / self.bound_s(number) for number in range(self.workers + 1, max_workers + 1)}
        best = max(gains.values(), default=1.0)
        if best < WORTH_IT:
            return 0, 1.0
        number = next(number for number, gain in gains.items() if gain >= best / WORTH_IT)
        return number - self.workers, gains[number]

    @property
    def sentence(self) -> str:
        """Sentence on the largest part, with its line, on the gain from more workers, and on the rest."""
        return self.sentence_with(self._estimate_workers())

    def sentence_with(self, on_workers: str) -> str:
        """Return the sentence with something else about workers, such as a measurement."""
        return "; ".join([self._explain_largest(), on_workers, self._list_rest()])

    def sentences(self, on_workers: str | None = None) -> Iterator[str]:
        """Yield the sentence, with the measurement of more workers, and whether the budget is incomplete."""
        yield self.sentence if on_workers is None else self.sentence_with(on_workers)
        if not self.is_closed:
            rest = f"{self.unseen:.0%} of the loop time is unattributed (more than {CLOSED:.0%})"
            yield f"{rest}: the budget is incomplete"

    def _explain_largest(self) -> str:
        part, share = self._sort_shares()[0]
        line = next((f" ({line})" for line in self.lines if line.part == part), "")
        words = f"{_PARTS[part][0]}{line}"
        return f"{share:.0%} of the {_format_duration(self.batch_s)} per batch is {words}"

    def _estimate_workers(self) -> str:
        number, gain = self.more_workers
        if not number:
            return "more workers would not help"
        return f"{number} more worker{'s' * (number != 1)} could make this at most {gain:.1f} times as fast"

    def _list_rest(self) -> str:
        (_, largest), *rest = self._sort_shares()
        named = [f"{_PARTS[part][0]} {share:.0%}" for part, share in rest if share >= WORTH_SAYING]
        return f"the other {1.0 - largest:.0%}" + (f": {', '.join(named)}" if named else " is spread over small parts")

    def _sort_shares(self) -> list[tuple[str, float]]:
        return sorted(self.shares.items(), key=lambda part: -part[1])

    def table(self) -> Iterator[tuple[str, float, float]]:
        """Yield each part with its seconds a batch and its share, in their order."""
        for part, share in self.shares.items():
            yield part, share * self.batch_s, share


def _compute_mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values) if values else 0.0


def _format_duration(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.3g} s"
    return f"{1e6 * seconds:.3g} us" if seconds < 1e-3 else f"{1e3 * seconds:.3g} ms"
