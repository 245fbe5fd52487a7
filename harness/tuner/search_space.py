"""The settings that a search tries: batch sizes, numbers of workers, and prefetch factors."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from harness.loading.throughput import PREFETCH
from harness.tuner.loader_choice import Choice, LoaderKind


def worker_counts(cores: float) -> tuple[int, ...]:
    """Return the numbers of workers worth a try: 0, 1, 2, half the cores, the cores, and twice as many.

    Data sets that wait rather than compute gain from more workers than cores.
    """
    whole = max(1, round(cores))
    return tuple(sorted({0, 1, 2, max(1, whole // 2), whole, 2 * whole}))


@dataclass(frozen=True)
class SearchSpace:
    """Settings to choose from.

    Parameters
    ----------
    batch_sizes
        Batch sizes; the speed is compared across them.
    workers
        Numbers of workers.
    prefetch
        Prefetch factors.
    pin
        Whether to try page-locked memory; useful only with an accelerator.
    start_method
        Start method of workers; the default of the platform if absent.
    """

    batch_sizes: Sequence[int]
    workers: Sequence[int]
    prefetch: Sequence[int] = (PREFETCH, 2 * PREFETCH)
    pin: bool = False
    start_method: str | None = None

    def grid(self, kind: LoaderKind = LoaderKind.ITEMS, *, workers: bool = True) -> tuple[Choice, ...]:
        """Return the configurations of a kind, with or without workers; settings of workers vary only with workers."""
        numbers = self.workers if workers else [number for number in self.workers if number == 0] or self.workers
        pins = (False, True) if self.pin else (False,)
        choices = (
            Choice(size, number, ahead, pin=pin, start_method=self.start_method, kind=kind)
            if number
            else Choice(size, pin=pin, kind=kind)
            for size, number, ahead, pin in product(self.batch_sizes, numbers, self.prefetch, pins)
        )
        return tuple(dict.fromkeys(choices))
