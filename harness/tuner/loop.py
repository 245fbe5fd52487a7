"""The training loop: how long it waits for the next batch, compared with its steps."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harness.loading.throughput import LoaderReading
from harness.tuner.step import Step

MAX_WAITING = 0.2
"""Largest share of waiting at which loading counts as keeping ahead."""


@dataclass(frozen=True)
class Waiting:
    """A stretch of the loop.

    Parameters
    ----------
    batches
        Number of batches, 1 or more.
    wait_s
        Seconds of waiting for the next batch.
    step_s
        Seconds of training steps.
    """

    batches: int
    wait_s: float
    step_s: float

    @property
    def share(self) -> float:
        """Return the share of the time that the loop waits."""
        return self.wait_s / (self.wait_s + self.step_s)

    @property
    def batch_s(self) -> float:
        """Return the seconds of the loop per batch."""
        return (self.wait_s + self.step_s) / self.batches

    @property
    def starvation(self) -> float:
        """Return the waiting time relative to the time of the steps."""
        return self.wait_s / self.step_s


class Loop:
    """A training loop of a loader and a step, timed in both places."""

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

    def run(self, seconds: float, *, minimum: int = 1) -> Waiting:
        """Train for some seconds, and for at least ``minimum`` batches."""
        self._stepped_s = 0.0
        parts = [self._reading.steady(seconds=seconds)]
        if parts[0].batches < minimum:
            parts.append(self._reading.steady(batches=minimum - parts[0].batches))
        wall_s = sum(part.wall_s for part in parts)
        return Waiting(sum(part.batches for part in parts), max(wall_s - self._stepped_s, 0.0), self._stepped_s)

    def load(self, seconds: float, *, skip: int = 0) -> float:
        """Load without steps for some seconds, and return the seconds per batch.

        The first ``skip`` batches are not timed: workers prepared them during the steps.
        """
        self._steps = False
        loaded = self._reading.steady(seconds=seconds, skip=skip)
        self._steps = True
        return loaded.wall_s / loaded.batches

    def step(self, seconds: float) -> float:
        """Repeat the step on the last batch for some seconds, and return the seconds per step."""
        count, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds or count == 0:
            self._step(self._last)
            count += 1
        return spent / count

    def _take(self, batch: Any) -> None:
        self._last = batch
        if not self._steps:
            return
        start = time.perf_counter()
        self._step(batch)
        self._stepped_s += time.perf_counter() - start
