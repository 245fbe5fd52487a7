"""A machine on paper: a clock that stands still unless somebody waits or computes, and loaders that go by it.

The tuner itself runs on it, with its probe, its readings and its look at the data set: only the clock, the processor's
time, handing a batch over and the loader are simulated. So what is judged does not depend on what else a machine does,
many seeds take seconds, and the best configuration is known and not measured. The loader is torch's: batches go round
the workers and arrive in order, each worker keeps its prefetch, computing shares the cores and waiting does not.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from harness.tuner.configuration import Choice, LoaderKind

CORES = 2
START_S, STOP_S = 0.03, 0.01
"""Starting a worker, and waiting for its end."""
OVERHEAD_S = 5e-5
"""Making any batch."""
NOISE = 0.05
"""Scatter of the time that a batch takes."""


@dataclass(frozen=True)
class Costs:
    """What a data set costs on this machine, in seconds.

    Parameters
    ----------
    computes
        Computing an item.
    waits
        Waiting for an item.
    asks
        Waiting for a batch, however large.
    hop
        What receiving a batch from a worker costs the process that asks, without its bytes.
    item_hop
        The same for each item more.
    at_once
        Computing an item where a whole batch is fetched; ``None`` where that is not possible.
    uneven
        One item of so many has all the waiting.
    """

    computes: float = 0.0
    waits: float = 0.0
    asks: float = 0.0
    hop: float = 3e-4
    item_hop: float = 1e-7
    at_once: float | None = None
    uneven: int = 1

    def made(self, choice: Choice, generator: random.Random | None) -> tuple[float, float]:
        """Seconds of computing and of waiting for a batch; the mean where no generator is given."""
        n = choice.batch_size
        item = self.at_once if choice.kind is LoaderKind.BATCHES and self.at_once is not None else self.computes
        some = n / self.uneven
        if generator is not None and self.uneven > 1:
            some = sum(generator.random() < 1 / self.uneven for _ in range(n))
        return OVERHEAD_S + n * item, self.asks + some * self.waits * self.uneven


class Clock:
    """Time on paper; stands in for the module ``time``."""

    def __init__(self) -> None:
        self.now = self.computed = 0.0

    def perf_counter(self) -> float:
        """Seconds."""
        return self.now

    def thread_time(self) -> float:
        """Seconds of computing."""
        return self.computed

    def spend(self, computing: float, waiting: float = 0.0) -> None:
        """Let time pass."""
        self.now += computing + waiting
        self.computed += computing


class Items:
    """A data set on paper: asking for items lets time pass.

    Parameters
    ----------
    costs
        What they cost.
    clock
        The time.
    seed
        Seed of the scatter.
    """

    def __init__(self, costs: Costs, clock: Clock, seed: int) -> None:
        self.costs, self.clock, self.random = costs, clock, random.Random(seed)
        if costs.asks:
            self.__getitems__ = self._at_once

    def __len__(self) -> int:
        return 1_000_000

    def __getitem__(self, index: Any) -> Any:
        several = isinstance(index, list)
        if several and self.costs.at_once is None:
            raise TypeError("an index is a number")
        kind = LoaderKind.BATCHES if several else LoaderKind.ITEMS
        self._pass(Choice(len(index) if several else 1, kind=kind))
        return torch.zeros(len(index), dtype=torch.float64) if several else np.float64(0)

    def _at_once(self, indices: list[int]) -> Any:
        self._pass(Choice(len(indices)))
        return [np.float64(0)] * len(indices)

    def _pass(self, choice: Choice) -> None:
        self.clock.spend(*self.costs.made(choice, self.random))


class Loader:
    """A loader on paper.

    Parameters
    ----------
    items
        Its data set.
    choice
        How it is set.
    noise
        Scatter; none makes it the mean.
    """

    def __init__(self, items: Items, choice: Choice, noise: float = NOISE) -> None:
        self.items, self.choice, self.noise = items, choice, noise
        computing, waiting = items.costs.made(choice, None)
        self.hop = items.costs.hop + choice.batch_size * items.costs.item_hop if choice.workers else 0.0
        self.slow = self._slowed(computing, waiting)

    def _slowed(self, computing: float, waiting: float) -> float:
        """How many times as long computing takes where workers and the process that asks share the cores."""
        slow = 1.0
        for _ in range(50 * bool(self.choice.workers)):
            batch_s = max((computing * slow + waiting) / self.choice.workers, self.hop)
            wanted = (computing + self.hop) / batch_s
            slow = max(1.0, slow * (wanted / CORES) ** 0.5)
        return slow

    def _scatter(self) -> float:
        return self.items.random.lognormvariate(0.0, self.noise) if self.noise else 1.0

    def _batch(self) -> tuple[float, float]:
        generator = self.items.random if self.noise else None
        computing, waiting = self.items.costs.made(self.choice, generator)
        return computing * self.slow * self._scatter(), waiting

    def __iter__(self) -> Iterator[Any]:
        clock, choice = self.items.clock, self.choice
        batch = np.zeros(choice.batch_size)
        if not choice.workers:
            while True:
                clock.spend(*self._batch())
                yield batch
        clock.spend(START_S * choice.workers)
        free = [clock.now] * choice.workers
        ready: list[float] = []

        def dispatch() -> None:
            worker = len(ready) % choice.workers
            free[worker] = max(free[worker], clock.now) + sum(self._batch())
            ready.append(free[worker])

        for _ in range(choice.ahead):
            dispatch()
        number = 0
        try:
            while True:
                clock.spend(self.hop * self._scatter(), max(0.0, ready[number] - clock.now))
                number += 1
                dispatch()
                yield batch
        finally:
            clock.spend(0.0, STOP_S * choice.workers)


def rate(costs: Costs, choice: Choice) -> float:
    """Samples a second of a loader in the long run, without scatter."""
    clock = Clock()
    batches = iter(Loader(Items(costs, clock, 0), choice, noise=0.0))
    for _ in range(4 * choice.ahead + 4):
        next(batches)
    began, count = clock.now, 12 * max(1, choice.workers)
    for _ in range(count):
        next(batches)
    return count * choice.batch_size / (clock.now - began)


@dataclass(frozen=True)
class _Computed:
    """Stands in for what asks how long this thread has computed."""

    clock: Clock

    def __call__(self) -> float:
        """Seconds by the clock."""
        return self.clock.computed

    def close(self) -> None:
        """Nothing is open."""


class _NoWindow:
    """Stands in for the window of CPU time, which nobody asks for here."""

    def close(self) -> float:
        """No seconds."""
        return 0.0


@contextmanager
def on_paper(costs: Costs, seed: int) -> Iterator[Items]:
    """Let the tuner run by a clock on paper; yields the data set."""
    clock = Clock()
    items = Items(costs, clock, seed)
    with ExitStack() as stack:
        for room in ("loading.reading", "tuner.probe", "tuner.tuning", "tuner.advice"):
            stack.enter_context(patch(f"harness.{room}.time", clock))
        stack.enter_context(patch("harness.tuner.advice.Computing", lambda: _Computed(clock)))
        stack.enter_context(patch("harness.tuner.advice.hop_s", lambda _: costs.hop))
        stack.enter_context(patch("harness.loading.reading.CpuWindow", _NoWindow))
        stack.enter_context(patch.object(Choice, "load", lambda choice, data, **_: Loader(data, choice)))
        yield items
