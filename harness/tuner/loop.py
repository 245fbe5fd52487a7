"""The training loop as it is: how long it waits for the next batch, against how long its steps take."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harness.loading.reading import LoaderReading
from harness.tuner.step import Step

MOST_WAITING = 0.2
"""Loading keeps ahead where the loop waits for no more than this share of its time."""


@dataclass(frozen=True)
class Waiting:
    """A stretch of the loop.

    Parameters
    ----------
    batches
        How many; 1 or more.
    wait_s
        Seconds spent waiting for the next batch.
    step_s
        Seconds spent in steps.
    """

    batches: int
    wait_s: float
    step_s: float

    @property
    def share(self) -> float:
        """The share of the time that is spent waiting."""
        return self.wait_s / (self.wait_s + self.step_s)

    @property
    def batch_s(self) -> float:
        """Seconds of the loop for a batch."""
        return (self.wait_s + self.step_s) / self.batches

    @property
    def starvation(self) -> float:
        """How many times as long as a step the loop waits for it."""
        return self.wait_s / self.step_s


class Loop:
    """A loader and a step, run as a training loop and timed in both places.

    Parameters
    ----------
    make
        Makes the loader.
    step
        Is called with each batch.
    """

    def __init__(self, make: Callable[[], Iterable[Any]], step: Step) -> None:
        self._step = step
        self._steps = True
        self._last: Any = None
        self._stepped_s = 0.0
        self._reading = LoaderReading(make, take=self._take)

    def __enter__(self) -> "Loop":
        self._reading.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._reading.close()

    def run(self, seconds: float, *, fewest: int = 1) -> Waiting:
        """Train on for some seconds, and for the fewest batches at least."""
        self._stepped_s = 0.0
        parts = [self._reading.steady(seconds=seconds)]
        if parts[0].batches < fewest:
            parts.append(self._reading.steady(batches=fewest - parts[0].batches))
        wall_s = sum(part.wall_s for part in parts)
        return Waiting(sum(part.batches for part in parts), max(wall_s - self._stepped_s, 0.0), self._stepped_s)

    def load(self, seconds: float, *, skip: int = 0) -> float:
        """Load without stepping for some seconds, and return the seconds of a batch.

        Parameters
        ----------
        seconds
            About how long.
        skip
            Batches that come before: those that workers had laid ready while the loop was stepping.
        """
        self._steps = False
        loaded = self._reading.steady(seconds=seconds, skip=skip)
        self._steps = True
        return loaded.wall_s / loaded.batches

    def step(self, seconds: float) -> float:
        """Step on the last batch again and again for some seconds, and return the seconds of a step."""
        count, began = 0, time.perf_counter()
        while (spent := time.perf_counter() - began) < seconds or count == 0:
            self._step(self._last)
            count += 1
        return spent / count

    def _take(self, batch: Any) -> None:
        self._last = batch
        if not self._steps:
            return
        began = time.perf_counter()
        self._step(batch)
        self._stepped_s += time.perf_counter() - began
