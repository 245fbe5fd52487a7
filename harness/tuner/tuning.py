"""One tuning: the kind of loader first, then its settings, within a time bound. What is known so far is kept."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch.utils.data import IterableDataset

from harness.loading.budget import measure_budget
from harness.loading.configuration import PREFETCH
from harness.record.budget import Budget
from harness.timing.clock import current_accelerator, threads, without_garbage_collection
from harness.tuner.advice import Advice, examine
from harness.tuner.configuration import Choice, LoaderKind, grid
from harness.tuner.loop import Loop, Waiting
from harness.tuner.probe import LoaderProbe, more_workers_than_cores
from harness.tuner.search import LoaderSearch, LoaderSearchSettings, SearchState
from harness.tuner.slices import Measured
from harness.tuner.step import Step, step_s, synchronized

LOOP_S = 1.0
"""Seconds for which the training loop is run with the choice."""

ENDING = 0.04
"""Share of the time that is left for ending workers."""

BUDGET_S = 0.5
"""Seconds for which it is run to see where the time of a batch goes."""


@dataclass(frozen=True)
class Wish:
    """What may be chosen from.

    Parameters
    ----------
    batch_sizes
        Samples a batch; the loader's speed is compared across them, so one unless the user allows several.
    workers
        Numbers of workers.
    prefetch
        Prefetch factors.
    pin
        Whether pinning is tried: only where there is an accelerator.
    start_method
        How workers start; the platform's where absent.
    """

    batch_sizes: Sequence[int]
    workers: Sequence[int]
    prefetch: Sequence[int] = (PREFETCH, 2 * PREFETCH)
    pin: bool = False
    start_method: str | None = None

    def grid(self, kind: LoaderKind = LoaderKind.ITEMS, *, workers: bool = True) -> tuple[Choice, ...]:
        """Return the choices of a kind, with workers or without."""
        numbers = self.workers if workers else [number for number in self.workers if number == 0] or self.workers
        pins = (False, True) if self.pin else (False,)
        return grid(
            self.batch_sizes, numbers, kinds=(kind,), prefetch=self.prefetch, pin=pins, start_method=self.start_method
        )


@dataclass
class Tuning:
    """A tuning of the loader of one data set.

    Parameters
    ----------
    dataset
        Map-style, or an iterable one of torch's.
    wish
        What may be chosen from.
    cores
        Cores that may be used.
    seconds
        Time bound.
    step
        The training step that loading is to keep ahead of; where absent the fastest loader is looked for.
    seed
        Seed of the order of slices.

    Attributes
    ----------
    advice
        How the data set gives its samples; ``None`` until that was looked at.
    step_s
        Seconds of a step, by batch size.
    standing
        What is known of its loaders so far; ``None`` until then.
    waiting
        How the training loop waits with the choice; ``None`` without a step, and until then.
    budget
        Where the time of a batch goes with the choice, in the training loop or, without a step, in loading alone;
        ``None`` until then.
    spent_s
        Seconds since the beginning.
    looked_at
        The choice that is being measured.
    """

    dataset: Any
    wish: Wish
    cores: int
    seconds: float
    step: Step | None = None
    seed: int = 0
    advice: Advice | None = None
    step_s: dict[int, float] = field(default_factory=dict)
    standing: SearchState | None = None
    waiting: Waiting | None = None
    budget: Budget | None = None
    spent_s: float = 0.0

    def __post_init__(self) -> None:
        """Begin without workers, at the largest batch size, for which workers gain most; wait for the accelerator."""
        self.looked_at = Choice(max(self.wish.batch_sizes))
        if self.step is not None:
            self.step = synchronized(self.step, current_accelerator())

    @property
    def shuffles(self) -> bool:
        """Whether the loaders draw an order; what is iterated over has its own."""
        return not isinstance(self.dataset, IterableDataset)

    def run(self) -> Iterator[SearchState]:
        """Look at the data set, then search; yield what is known after each slice."""
        with threads(1), without_garbage_collection(), more_workers_than_cores():
            yield from self._run(time.perf_counter())

    def _run(self, began: float) -> Iterator[SearchState]:
        with LoaderProbe(self.dataset, cores=self.cores) as probe:
            choices = self._choices()
            loop_s = 0.0 if self.step is None else 2 * LOOP_S
            left_s = max((1 - ENDING) * self.seconds - loop_s - (time.perf_counter() - began), 0.0)
            assert self.advice is not None
            # Where items are waited for, cores are no limit.
            at_once = max(self.wish.workers) if self.advice.waits else self.cores
            settings = LoaderSearchSettings(cores=at_once, budget_s=left_s, step_s=self.step_s, seed=self.seed)

            def measure(choice: Choice, seconds: float) -> Measured:
                self.looked_at = choice
                return probe(choice, seconds)

            for standing in LoaderSearch(choices, measure, settings).run():
                self.standing, self.spent_s = standing, time.perf_counter() - began
                yield standing
        if self.step is not None:
            self._train(self.step)
        self.spent_s = time.perf_counter() - began

    def _choices(self) -> tuple[Choice, ...]:
        """What is worth measuring: batches at once where they gain, and workers unless they cannot."""
        size = self.looked_at.batch_size
        if self.step is not None:
            for number in self.wish.batch_sizes:
                batch = next(iter(Choice(number).load(self.dataset)))
                self.step_s[number] = step_s(self.step, batch)
        self.advice = examine(self.dataset, size, cores=self.cores, step_s=self.step_s.get(size), seed=self.seed)
        kind = LoaderKind.BATCHES if self.advice.takes_batches else LoaderKind.ITEMS
        return self.wish.grid(kind, workers=not self.advice.rules_workers_out)

    def _train(self, step: Step) -> None:
        """Run the training loop with the choice, and see how long it waits."""
        assert self.standing is not None
        best = self.standing.best
        with Loop(lambda: best.load(self.dataset), step) as loop:
            loop.run(LOOP_S / 4, fewest=best.ahead + 1)
            self.waiting = loop.run(LOOP_S)

    def close_budget(self) -> None:
        """See where the time of a batch goes with the choice, for :data:`BUDGET_S` beyond the time bound."""
        assert self.standing is not None
        assert self.advice is not None
        best, hop_s = self.standing.best, self.advice.hop_s
        with threads(1), without_garbage_collection(), more_workers_than_cores():
            self.budget = measure_budget(
                lambda: best.load(self.dataset),
                self.step,
                best,
                cores=self.cores,
                seconds=BUDGET_S,
                hop=lambda _: hop_s,
            )
