"""A tuning: first the kind of loader, then its settings, within a time limit."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
from torch.utils.data import IterableDataset

from harness.error import UsageError
from harness.loading.budget import measure_budget
from harness.loading.fault import FaultKind, LoadingFault
from harness.loading.throughput import allow_more_workers_than_cores
from harness.record.budget import Budget
from harness.timing.clock import alarm, current_accelerator, stop_garbage_collection, threads
from harness.tuner.advice import Advice, examine
from harness.tuner.loader_choice import Choice, LoaderKind
from harness.tuner.loop import Loop, Waiting
from harness.tuner.probe import LoaderProbe
from harness.tuner.search import LoaderSearch, LoaderSearchSettings, OutOfTime, Reason, SearchState
from harness.tuner.search_space import SearchSpace
from harness.tuner.slices import Measured
from harness.tuner.step import Step, step_s, wait_for_accelerator
from harness.wording.number import count

LOOP_S = 1.0
"""Duration of the training loop with the choice, in seconds."""

ENDING = 0.04
"""Share of the time that is reserved for ending workers."""

BUDGET_S = 0.5
"""Seconds beyond the time limit in which the time of a batch is broken down."""

SLACK, LEAST_S = 0.1, 5.0
"""Share of the time limit, and seconds at least, beyond it in which no slice is interrupted yet."""


@dataclass(kw_only=True)
class TuningResult:
    """The result of a tuning until now, without its data set.

    Parameters
    ----------
    shuffles
        Whether the loaders draw an order; a stream has its own.
    advice
        How the data set delivers samples; ``None`` before it was examined.
    step_s
        Seconds of a step, by batch size.
    standing
        State of the search; ``None`` before the first slice.
    waiting
        How long the training loop waits with the choice; ``None`` without a step.
    budget
        Breakdown of the time of a batch with the choice, in the training loop or, without a step, in loading alone.
    spent_s
        Seconds since the start.
    """

    shuffles: bool = True
    advice: Advice | None = None
    step_s: dict[int, float] = field(default_factory=dict)
    standing: SearchState | None = None
    waiting: Waiting | None = None
    budget: Budget | None = None
    spent_s: float = 0.0


@dataclass
class Tuning(TuningResult):
    """A tuning of the loader of a data set.

    Parameters
    ----------
    dataset
        A map-style data set, or an iterable one of torch.
    space
        Settings to choose from.
    cores
        Number of usable cores.
    seconds
        Time limit.
    step
        Training step that loading must keep up with; without one, the fastest loader is the goal.
    seed
        Random seed for the order of slices.

    Attributes
    ----------
    looked_at
        Configuration that is being measured.
    """

    dataset: Any
    space: SearchSpace
    cores: int
    seconds: float
    step: Step | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Begin without workers, at the largest batch size, for which workers gain most; wait for the accelerator."""
        self.shuffles = not isinstance(self.dataset, IterableDataset)
        self.looked_at = Choice(max(self.space.batch_sizes))
        if self.step is not None:
            self.step = wait_for_accelerator(self.step, current_accelerator())

    def run(self) -> Iterator[SearchState]:
        """Examine the data set, then search; yield the state after each slice."""
        with threads(1), stop_garbage_collection(), allow_more_workers_than_cores():
            yield from self._run(time.perf_counter())

    def _run(self, start: float) -> Iterator[SearchState]:
        with LoaderProbe(self.dataset, cores=self.cores) as probe:
            choices = self._choices()
            loop_s = 0.0 if self.step is None else 2 * LOOP_S
            left_s = max((1 - ENDING) * self.seconds - loop_s - (time.perf_counter() - start), 0.0)
            last = start + max(self.seconds - loop_s, 0.0) + max(SLACK * self.seconds, LEAST_S)
            assert self.advice is not None
            # The number of cores does not limit workers that wait.
            at_once = max(self.space.workers) if self.advice.waits else self.cores
            settings = LoaderSearchSettings(cores=at_once, budget_s=left_s, step_s=self.step_s, seed=self.seed)

            def measure(choice: Choice, seconds: float) -> Measured:
                self.looked_at = choice
                with alarm(max(last - time.perf_counter(), 1e-3), OutOfTime):
                    return probe(choice, seconds)

            for state in LoaderSearch(choices, measure, settings).run():
                self.standing, self.spent_s = state, time.perf_counter() - start
                yield state
        if self.standing is None or self.standing.reason is Reason.NO_ANSWER:
            load = f"the machine has a load of {psutil.getloadavg()[0]:.1f} on {count(self.cores, 'core')}"
            problem = f"no answer within {self.seconds:g} s: no configuration was measured twice"
            raise UsageError(problem, rule=load, remedy="allow more seconds, or use a quieter machine")
        if self.step is not None:
            self._train(self.step)
        self.spent_s = time.perf_counter() - start

    def _choices(self) -> tuple[Choice, ...]:
        """Return the configurations worth measuring: whole batches if they gain, and workers unless ruled out."""
        size = self.looked_at.batch_size
        if self.step is not None:
            for number in self.space.batch_sizes:
                batch = next(iter(Choice(number).load(self.dataset)))
                self.step_s[number] = step_s(self.step, batch)
        self.advice = examine(self.dataset, size, cores=self.cores, step_s=self.step_s.get(size), seed=self.seed)
        kind = LoaderKind.BATCHES if self.advice.takes_batches else LoaderKind.ITEMS
        return self.space.grid(kind, workers=not self.advice.forbids_workers)

    def _train(self, step: Step) -> None:
        """Run the training loop with the choice, and measure its waiting."""
        assert self.standing is not None
        best = self.standing.best
        with Loop(lambda: best.load(self.dataset), step) as loop:
            loop.run(LOOP_S / 4, minimum=best.ahead + 1)
            self.waiting = loop.run(LOOP_S)

    def explain_timeout(self, fault: LoadingFault, limit_s: float) -> LoadingFault:
        """Return the fault of a tuning in its words: a time limit is on all batches together."""
        if fault.kind is not FaultKind.HUNG:
            return fault
        phase = "examining the data set" if self.standing is None else f"loading with {self.looked_at}"
        return replace(
            fault,
            sentence=f"the tuning did not end within {limit_s:g} s: it was {phase}",
            remedy="allow more `--seconds` or use fewer `--workers`, because a spawned worker first imports torch and "
            "your program; if the data set hangs, set a time limit for each wait",
        )

    def close_budget(self) -> None:
        """Break down the time of a batch with the choice, for :data:`BUDGET_S`, unless the time limit has passed."""
        if self.spent_s > self.seconds + LEAST_S / 2:
            return
        assert self.standing is not None
        assert self.advice is not None
        best, hop_s = self.standing.best, self.advice.hop_s
        with threads(1), stop_garbage_collection(), allow_more_workers_than_cores():
            self.budget = measure_budget(
                lambda: best.load(self.dataset),
                self.step,
                best,
                cores=self.cores,
                seconds=BUDGET_S,
                hop=lambda _: hop_s,
            )
