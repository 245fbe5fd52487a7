"""Live measurement of configurations: loaders stay open and warm between slices, until others need their place."""

import math
import time
from typing import Any

from torch.utils.data import IterableDataset

from harness.loading.throughput import LoaderReading
from harness.tuner.loader_choice import Choice
from harness.tuner.slices import Measured

MAX_WORKERS = 4
"""Maximum number of open workers per core; the longest idle ones are closed first."""


class LoaderProbe:
    """Measures slices of the loaders of a data set.

    At most ``max_workers`` are open at a time, by default :data:`MAX_WORKERS` per core.
    """

    def __init__(self, dataset: Any, *, cores: int, max_workers: int | None = None) -> None:
        self.dataset = dataset
        self.max_workers = MAX_WORKERS * cores if max_workers is None else max_workers
        self._open: dict[Choice, LoaderReading] = {}
        self._batch_s: dict[Choice, float] = {}

    def __enter__(self) -> "LoaderProbe":
        return self

    def __exit__(self, *_: object) -> None:
        while self._open:
            self._close(next(iter(self._open)))

    def __call__(self, choice: Choice, seconds: float) -> Measured:
        """Measure a slice of about the given seconds, after a start and warm-up if needed.

        Workers deliver in bursts of one batch each. A slice therefore begins with a batch that none of them had
        prepared, and each worker delivers equally often.
        """
        start, is_cold = time.perf_counter(), False
        if choice in self._open:
            reading = self._open[choice] = self._open.pop(choice)  # now the last to close
            _empty(reading, choice, self._batch_s[choice])
            samples, wall_s = _measure_slice(reading, choice, seconds, skip=0)
        else:
            reading = self._open_reading(choice)
            first_s = reading.start().first_batch_s
            if not choice.workers and first_s >= seconds:
                samples, wall_s, is_cold = self._count_in_batch(choice), first_s, True
            else:
                skip = choice.workers if first_s < seconds else 0
                samples, wall_s = _measure_slice(reading, choice, seconds, skip=skip)
        self._batch_s[choice] = choice.batch_size * wall_s / samples
        return Measured(samples, wall_s, time.perf_counter() - start, is_cold)

    def _count_in_batch(self, choice: Choice) -> int:
        length = math.inf if isinstance(self.dataset, IterableDataset) else len(self.dataset)
        return int(min(choice.batch_size, length))

    def _open_reading(self, choice: Choice) -> LoaderReading:
        while self._open and sum(open_choice.workers for open_choice in self._open) + choice.workers > self.max_workers:
            self._close(next(iter(self._open)))
        self._open[choice] = LoaderReading(lambda: choice.load(self.dataset))
        return self._open[choice]

    def _close(self, choice: Choice) -> None:
        self._open.pop(choice).close()


def _empty(reading: LoaderReading, choice: Choice, batch_s: float) -> None:
    """Read the prepared batches up to the first fresh one, by its duration."""
    for _ in range(choice.ahead + 1):
        if reading.steady(batches=1).wall_s >= batch_s / 2:
            return


def _measure_slice(reading: LoaderReading, choice: Choice, seconds: float, *, skip: int) -> tuple[int, float]:
    """Return samples and seconds in which all workers deliver equally often."""
    parts = [reading.steady(seconds=seconds, skip=skip)]
    turn = max(1, choice.workers)
    if missing := -parts[0].batches % turn:
        parts.append(reading.steady(batches=missing))
    return sum(part.samples for part in parts), sum(part.wall_s for part in parts)
