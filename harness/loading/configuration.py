"""How a ``DataLoader`` is set: the axes of the matrix, and of the tuner."""

from dataclasses import dataclass
from typing import Any

PREFETCH = 2
"""Default number of batches that ``DataLoader`` prefetches for each worker."""


@dataclass(frozen=True)
class Configuration:
    """The settings of a ``DataLoader`` on which its speed depends.

    Parameters
    ----------
    batch_size
        Samples a batch.
    workers
        Processes that load; 0 loads in the process that asks.
    prefetch
        Batches each worker keeps ahead; only with workers.
    persistent
        Whether workers outlive an epoch; only with workers.
    pin
        Whether batches are copied into page-locked memory, from which an accelerator reads faster.
    start_method
        How workers are started: ``fork``, ``spawn`` or ``forkserver``; the platform's where absent.
    """

    batch_size: int
    workers: int = 0
    prefetch: int = PREFETCH
    persistent: bool = True
    pin: bool = False
    start_method: str | None = None

    def arguments(self) -> dict[str, Any]:
        """Return the keyword arguments of ``DataLoader`` that differ from its defaults."""
        given: dict[str, Any] = {"batch_size": self.batch_size}
        if self.workers:
            given["num_workers"] = self.workers
            if self.prefetch != PREFETCH:
                given["prefetch_factor"] = self.prefetch
            if self.persistent:
                given["persistent_workers"] = True
            if self.start_method is not None:
                given["multiprocessing_context"] = self.start_method
        if self.pin:
            given["pin_memory"] = True
        return given

    @property
    def ahead(self) -> int:
        """Largest number of prefetched batches."""
        return self.workers * self.prefetch

    def __str__(self) -> str:
        """Return the settings in words, the usual ones left out."""
        words = [f"batch {self.batch_size}", f"workers {self.workers}"]
        if self.workers:
            words += [f"prefetch {self.prefetch}"] * (self.prefetch != PREFETCH)
            words += ["workers end with the epoch"] * (not self.persistent)
            words += [self.start_method] * (self.start_method is not None)  # type: ignore[list-item]
        return ", ".join(words + ["pinned"] * self.pin)
