"""The batch size from which an accelerator is faster than the CPU, from step times at a few batch sizes.

The time of a step is assumed to rise with the batch size and to be convex, because a step takes the longest of a
constant time for its launches and of times in proportion to the batch. Between two measured sizes, it therefore lies
below the line through their times and above the lines through the two times to the left and the two to the right. The
interval of a crossing contains every crossing within these limits and within the intervals of the medians, and is wide
where few sizes were measured.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from harness.record.bench import Benchmark, Rounds, StepRecord
from harness.record.estimate import Estimate, median_ratio

if TYPE_CHECKING:
    from harness.record.estimate import Array

POINTS = 4001
"""Batch sizes at which times are compared; neighbors differ by 0.3 % in a range of 1 to 65,536."""

BUSY = 1.1
"""Multiple of the launch time from which the accelerator's time counts as its own work."""

Times = Mapping[int, Estimate]
"""Seconds by batch size."""


class Crossing(NamedTuple):
    """The batch size above which a time is shorter than another one, with its interval and the measured sizes.

    The point is ``first`` if the time is shorter at all measured sizes, and infinity if it is shorter at none. The ends
    of the interval are NaN if too few rounds were measured.
    """

    point: float
    low: float
    high: float
    first: int
    last: int


def find_crossing(slow: Times, fast: Times) -> Crossing | None:
    """Return the batch size from which ``fast`` is the shorter time; ``None`` for fewer than two common sizes."""
    import numpy as np

    if len(sizes := sorted(slow.keys() & fast.keys())) < 2:
        return None
    grid = np.geomspace(sizes[0], sizes[-1], POINTS)
    (slow_s, slow_low_s, slow_high_s), (fast_s, fast_low_s, fast_high_s) = (
        _bound([times[size] for size in sizes], sizes, grid) for times in (slow, fast)
    )

    def cross(above: "Array", below: "Array", *, last_slower: bool = False) -> float:
        if not np.isfinite(above).all() or not np.isfinite(below).all():
            return math.nan
        slower = np.flatnonzero(above <= below)
        index = slower[-1] + 1 if len(slower) else 0
        if index == len(grid):
            return math.inf
        return float(grid[max(index - last_slower, 0)])

    ends = cross(slow_high_s, fast_low_s, last_slower=True), cross(slow_low_s, fast_high_s)
    return Crossing(cross(slow_s, fast_s), *ends, sizes[0], sizes[-1])


def _bound(times: Sequence[Estimate], sizes: Sequence[int], grid: "Array") -> "tuple[Array, Array, Array]":
    """Return the time at each size of the grid, and its limits."""
    import numpy as np

    middle, low, high = (np.array([getattr(time, end) for time in times]) for end in ("point", "low", "high"))
    chord, least, most = (np.interp(grid, sizes, ends) for ends in (middle, low, high))
    lower = np.empty_like(grid)
    for number, (before, after) in enumerate(pairwise(sizes)):
        inside = (grid >= before) & (grid <= after)
        limits = [np.full(inside.sum(), low[number])]
        if number:
            slope = (low[number] - high[number - 1]) / (before - sizes[number - 1])
            limits.append(low[number] + slope * (grid[inside] - before))
        if number + 2 < len(sizes):
            slope = (high[number + 2] - low[number + 1]) / (sizes[number + 2] - after)
            limits.append(low[number + 1] - slope * (after - grid[inside]))
        lower[inside] = np.minimum(least[inside], np.max(limits, axis=0))
    lower[-1] = least[-1]  # measured
    return chord, lower, most


@dataclass(frozen=True)
class DeviceComparison:
    """A step on the CPU and on an accelerator.

    Parameters
    ----------
    case, device
        The step and the accelerator.
    faster
        Rows from which the accelerator is faster, with the data already there.
    copying
        The same if each minibatch is copied to it.
    working
        Rows from which the accelerator does not wait for launches.
    """

    case: str
    device: str
    faster: Crossing | None
    copying: Crossing | None
    working: Crossing | None


def compare_devices(steps: Sequence[Benchmark[StepRecord]]) -> Iterator[DeviceComparison]:
    """Yield each step that was timed on an accelerator, compared with itself on the CPU."""
    accelerated = [step for step in steps if step.record.device != "cpu"]
    for case, device in dict.fromkeys((step.record.case, step.record.device) for step in accelerated):
        times = _read_times(steps, case, device)
        launch_s = {size: each.through(lambda launch_s: BUSY * launch_s) for size, each in times("launch").items()}
        cpu_s = _read_times(steps, case, "cpu")("whole")
        faster, copying = (find_crossing(cpu_s, times(name)) for name in ("whole", "loop"))
        yield DeviceComparison(case, device, faster, copying, find_crossing(times("device"), launch_s))


def _read_times(steps: Sequence[Benchmark[StepRecord]], case: str, device: str) -> Callable[[str], Times]:
    """Return a function that returns the times of a kind on a device; older runs have no rounds."""
    selected = [step for step in steps if (step.record.case, step.record.device) == (case, device)]

    def read(name: str) -> Times:
        times = {}
        for step in selected:
            record, stats = step.record, step.stats
            rounds: Rounds = stats.rounds_s if name == "whole" else getattr(record, f"{name}_rounds_s")
            median_s = stats.median_s if name == "whole" else getattr(record, f"{name}_s")
            estimate = median_ratio(rounds, [1.0] * len(rounds))
            if median_s is not None:
                unknown = Estimate(median_s, math.nan, math.nan, estimate.method)
                times[record.batch_size] = estimate if estimate.is_known else unknown
        return times

    return read
