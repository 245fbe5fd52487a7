"""The time budget of the timed loaders at one batch size: a breakdown of the time of a batch in a training loop."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from harness.execution.environment import usable_cores
from harness.loading.budget import measure_budget
from harness.loading.configuration import Configuration
from harness.record.budget import Budget
from harness.timing.clock import without_garbage_collection
from harness.tuner.advice import hop_s
from harness.tuner.probe import more_workers_than_cores

SIZE = 256
"""Batch size of the book; otherwise the next smaller size, or the smallest."""

SECONDS = 0.3
"""Duration of the training loop in seconds."""


def budget_size(batch_sizes: Sequence[int]) -> int:
    """Return the batch size with budgets."""
    return max((size for size in batch_sizes if size <= SIZE), default=min(batch_sizes))


def close_budget(
    make: Callable[[], Iterable[Any]], configuration: Configuration, step: Callable[[Any], object] | None
) -> Budget:
    """Run a loop with or without a step, and return the breakdown of the time of a batch."""
    with more_workers_than_cores(), without_garbage_collection():
        return measure_budget(make, step, configuration, cores=usable_cores(), seconds=SECONDS, hop=hop_s)
