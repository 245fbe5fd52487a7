"""A simulated machine: its clock advances only by simulated waiting and computing.

The real tuner runs on it, with its probe, its readings and its check of the data set. Only the clock, CPU time, the
transfer of batches and the loader are simulated. The results therefore do not depend on other load, many seeds take
seconds, and the best configuration is known exactly. The simulated loader is torch's: batches are assigned to workers
in turns and arrive in order, each worker has a prefetch, computing shares the cores, and waiting does not.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from harness.tuner.loader_choice import Choice, LoaderKind

CORES = 2
START_S, STOP_S = 0.03, 0.01
"""Seconds to start and to end a worker."""
OVERHEAD_S = 5e-5
"""Seconds to make any batch."""
NOISE = 0.05
"""Relative scatter of the time of a batch."""


@dataclass(frozen=True)
class Costs:
    """Costs of a data set on this machine, in seconds.

    ``computes`` and ``waits`` are the costs of an item, ``asks`` is a wait per batch. Receiving a batch from a worker
    costs ``hop`` plus ``item_hop`` per item, without its bytes. ``at_once`` is the cost of an item in a batch fetch, or
    ``None`` without such a fetch. ``uneven`` is the number of items among which one has all the waiting.
    """

    computes: float = 0.0
    waits: float = 0.0
    asks: float = 0.0
    hop: float = 3e-4
    item_hop: float = 1e-7
    at_once: float | None = None
    uneven: int = 1

    def made(self, choice: Choice, generator: random.Random | None) -> tuple[float, float]:
        """Seconds of computing and of waiting for a batch; means without a generator."""
        n = choice.batch_size
        item = self.at_once if choice.kind is LoaderKind.BATCHES and self.at_once is not None else self.computes
        some = n / self.uneven
        if generator is not None and self.uneven > 1:
            some = sum(generator.random() < 1 / self.uneven for _ in range(n))
        return OVERHEAD_S + n * item, self.asks + some * self.waits * self.uneven


class Clock:
    """Simulated time, in place of the module ``time``."""

    def __init__(self) -> None:
        self.now = self.computed = 0.0

    def perf_counter(self) -> float:
        """Return the time."""
        return self.now

    def thread_time(self) -> float:
        """Seconds of computing."""
        return self.computed

    def spend(self, computing: float, waiting: float = 0.0) -> None:
        """Advance the clock."""
        self.now += computing + waiting
        self.computed += computing


class Items:
    """A simulated data set: fetching items advances the clock."""

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
    """A simulated loader for a choice, with random scatter or with means."""

    def __init__(self, items: Items, choice: Choice, noise: float = NOISE) -> None:
        self.items, self.choice, self.noise = items, choice, noise
        computing, waiting = items.costs.made(choice, None)
        self.hop = items.costs.hop + choice.batch_size * items.costs.item_hop if choice.workers else 0.0
        self.slow = self._slowed(computing, waiting)

    def _slowed(self, computing: float, waiting: float) -> float:
        """Return the factor by which computing slows down because workers and the main process share the cores."""
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
    """Return the samples per second of a loader in the long run, without scatter."""
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
    """Substitute for the CPU clock of this thread."""

    clock: Clock

    def __call__(self) -> float:
        """Return the time."""
        return self.clock.computed

    def ran(self) -> float:
        """Return the time spent computing."""
        return self.clock.computed

    def measure_wait_s(self) -> float:
        """Return zero seconds: there is always a core."""
        return 0.0

    def close(self) -> None:
        """Do nothing."""


class _NoWindow:
    """Substitute for the window of CPU time, which is not used here."""

    def close(self) -> float:
        """Return zero seconds."""
        return 0.0


@contextmanager
def on_paper(costs: Costs, seed: int) -> Iterator[Items]:
    """Run the tuner with a simulated clock, and yield the data set."""
    clock = Clock()
    items = Items(costs, clock, seed)
    with ExitStack() as stack:
        for room in ("loading.throughput", "tuner.probe", "tuner.tuning", "tuner.advice"):
            stack.enter_context(patch(f"harness.{room}.time", clock))
        stack.enter_context(patch("harness.tuner.advice.Computing", lambda: _Computed(clock)))
        stack.enter_context(patch("harness.tuner.advice.hop_s", lambda _: costs.hop))
        stack.enter_context(patch("harness.loading.throughput.CpuWindow", _NoWindow))
        stack.enter_context(patch.object(Choice, "load", lambda choice, data, **_: Loader(data, choice)))
        yield items
