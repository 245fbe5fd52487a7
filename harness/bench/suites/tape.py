"""A tape for pytest-benchmark, which replays rounds that were interleaved with other benchmarks."""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any


class Tape:
    """A clock for pytest-benchmark that each call advances by a recorded time.

    Pytest-benchmark times one benchmark after the other. Replaying interleaved rounds gives them the same statistics
    and the same record as any other benchmark.
    """

    def __init__(self) -> None:
        self._now_s = 0.0

    def clock(self) -> float:
        """Return the seconds on the tape; the ``timer`` of the benchmark."""
        return self._now_s

    def play(self, benchmark: Any, rounds_s: Sequence[float], *, calls: int) -> None:
        """Let the benchmark time recorded rounds, given their seconds per call and the calls per round."""
        ahead = chain.from_iterable(repeat(call_s, calls) for call_s in rounds_s)

        def call() -> None:
            self._now_s += next(ahead, 0.0)  # the benchmark makes one more call for its result

        self._now_s = 0.0
        benchmark.pedantic(call, rounds=len(rounds_s), iterations=calls)
