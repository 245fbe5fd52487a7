"""A tape for pytest-benchmark: it records rounds that were measured in turns with those of other benchmarks."""

from collections.abc import Sequence
from itertools import chain, repeat
from typing import Any


class Tape:
    """A clock that shows what was measured: the benchmark's timer, set ahead by each call it makes.

    Notes
    -----
    Pytest-benchmark times one benchmark after the other. What is measured in turns is played to it afterwards, so that
    its statistics and its record are those of every other benchmark.
    """

    def __init__(self) -> None:
        self._now_s = 0.0

    def clock(self) -> float:
        """Seconds; the ``timer`` of the benchmark."""
        return self._now_s

    def play(self, benchmark: Any, rounds_s: Sequence[float], *, calls: int) -> None:
        """Have the benchmark time the rounds again.

        Parameters
        ----------
        benchmark
            The fixture, whose timer is :meth:`clock`.
        rounds_s
            Seconds a call of each round.
        calls
            Calls a round.
        """
        ahead = chain.from_iterable(repeat(call_s, calls) for call_s in rounds_s)

        def call() -> None:
            self._now_s += next(ahead, 0.0)  # one call more is made for a result that nobody reads

        self._now_s = 0.0
        benchmark.pedantic(call, rounds=len(rounds_s), iterations=calls)
