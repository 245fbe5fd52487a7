"""Clear examples: an example that fails clearly, instead of a minimal example that barely fails.

The minimal example of a gradual defect is off by hardly more than its bound, and looks like a false alarm.
"""

import math

import numpy as np
from numpy.typing import NDArray

from harness.laws.law import Example
from harness.record import Status, Violation, WorstExample
from harness.verdict.draw import Deadline
from harness.verdict.shrink import minimise
from harness.verdict.trial import Trials
from harness.verdict.violation import measured

NEAR = 16.0
"""Multiples of the bound within which an example shows too little."""

CLEAR = 1024.0
"""Multiples of the bound from which an example is clear."""


def clearer(trials: Trials, failing: Example, minimal: Violation, draws: str, deadline: Deadline) -> Violation:
    """Return the violation of a simple example that fails clearly, if the minimal example of a defect barely fails."""
    job, found = trials.job, trials.measure(failing).most_severe
    barely = severity(minimal)
    if job.when_broken[0] is not Status.BROKEN or barely > NEAR or not NEAR * barely <= found < math.inf:
        return minimal
    least = min(CLEAR, found)

    def is_clear(smaller: Example) -> bool:
        return not deadline.is_up and least <= trials.measure(smaller).most_severe < math.inf

    def clear_rows(together: Example) -> NDArray[np.bool_] | None:
        rows = None if deadline.is_up else trials.severity_of_rows(together)
        return None if rows is None else (rows >= least) & np.isfinite(rows)

    whole, axes = job.law.of_whole_numbers, job.axes
    simple = minimise(failing, axes, job.format, is_clear, whole=whole, bisected=False, broken_rows=clear_rows)
    clear = measured(trials, simple, draws)
    if clear is None or (minimal.event is not None and minimal.event.step != (clear.event and clear.event.step)):
        return minimal
    return clear


def severity(found: Violation | WorstExample) -> float:
    """Return the deviation as a multiple of its bound, or of half a unit if the bound is smaller."""
    return found.deviation / max(found.bound, 0.5)
