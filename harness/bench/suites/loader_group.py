"""Interleaved measurement of the loaders with a common batch size and number of workers.

Each round gives every loader one slice, in random order. The first loader with the fewest workers takes part in the
rounds of every group, so that each loader has a ratio to it.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import psutil

from harness.bench.suites.loader_cell import FEWEST, SLICES, Asked, Cell, Lane, measure_alone
from harness.loading.accounting import CpuWindow
from harness.loading.fault import LoadingError, LoadingFault
from harness.loading.reading import Throughput
from harness.loading.supervision import bounded, ignored, within
from harness.record import median_ratio
from harness.timing.clock import without_garbage_collection

REFERENCE = "reference"
"""Key of the reference loader, if it does not belong to the group."""

MOST, WITHIN, PATIENCE = 25, 0.05, 4
"""Rounds stop when all intervals are narrow enough, at the maximum number, or when the time is a multiple of the
requested seconds."""


@dataclass(frozen=True)
class LoaderGroup:
    """Loaders that were measured in turns.

    Parameters
    ----------
    cells
        Measurements by loader.
    failed
        Faults of the other loaders.
    skipped
        Loaders that start no workers.
    """

    cells: Mapping[str, Cell] = field(default_factory=dict)
    failed: Mapping[str, LoadingFault] = field(default_factory=dict)
    skipped: frozenset[str] = frozenset()


def measure_loaders(requests: Mapping[str, Asked], *, reference: str | None, timeout_s: float) -> LoaderGroup:
    """Measure each loader alone, then all of them in turns.

    Parameters
    ----------
    requests
        Loaders by name, perhaps with the reference.
    reference
        Name of the loader to compare with, if any.
    timeout_s
        Time limit of a loader, in seconds.
    """
    failed: dict[str, LoadingFault] = {}
    lanes: dict[str, Lane] = {}
    skipped = set()
    for name, loader in requests.items():
        try:
            with within(timeout_s):
                alone = measure_alone(loader)
        except LoadingError as error:
            failed[name] = error.fault
            continue
        if alone is None:
            skipped.add(name)
        else:
            lanes[name] = Lane(loader, alone)
    with ignored():  # also between two turns
        load = _in_turns(lanes, failed, reference, timeout_s)
    reference_slices = lanes[reference].slices if reference in lanes and reference not in failed else []
    cells = {
        name: Cell(lane.asked, lane.alone, lane.slices, lane.limits, reference_slices, load)
        for name, lane in lanes.items()
        if name not in failed
    }
    return LoaderGroup(cells, failed, frozenset(skipped))


def _in_turns(
    lanes: Mapping[str, Lane], failed: dict[str, LoadingFault], reference: str | None, timeout_s: float
) -> float | None:
    """Give the loaders their turns, and return the load by other processes meanwhile."""

    def attempt(name: str, action: Callable[[], None]) -> None:
        if name in failed:
            return
        try:
            with bounded(timeout_s, keeps=True):
                action()
        except LoadingError as error:
            failed[name] = error.fault

    order = random.Random(0)  # noqa: S311 - an order, no secret
    try:
        # Loaders with threads start last, so that no threads run while workers are forked.
        for name in sorted(lanes, key=lambda name: lanes[name].alone.is_hidden):
            attempt(name, lanes[name].open)
        with without_garbage_collection(), _OtherLoad() as load:
            rounds = _Rounds(lanes, failed, reference)
            while rounds.go_on():
                for name in order.sample(list(lanes), len(lanes)):
                    attempt(name, lanes[name].turn)
            return load.cores()
    finally:
        for name, lane in lanes.items():
            attempt(name, lane.close)


class _Rounds:
    """Decides whether there is another round."""

    def __init__(self, lanes: Mapping[str, Lane], failed: Mapping[str, LoadingFault], reference: str | None) -> None:
        self._lanes, self._failed, self._reference = lanes, failed, reference
        self._done = 0
        budget_s = PATIENCE * sum(lane.asked.seconds for lane in lanes.values())
        self._until = time.perf_counter() + budget_s
        round_s = sum(lane.turn_s for lane in lanes.values())
        self._fewest = SLICES if SLICES * round_s <= budget_s else FEWEST

    def go_on(self) -> bool:
        """Whether there is another round: the fewest are not done, or an interval is too wide and there is time."""
        going = self._done < self._fewest or (
            self._done < MOST and time.perf_counter() < self._until and not self._are_known()
        )
        self._done += 1
        return going

    def _are_known(self) -> bool:
        series = {name: _wall_us(lane.slices) for name, lane in self._lanes.items() if name not in self._failed}
        base = series.get(self._reference or "")
        return all(
            median_ratio([1.0] * len(times), times).is_within(WITHIN)
            and (base is None or times is base or median_ratio(base, times).is_within(WITHIN))
            for times in series.values()
        )


def _wall_us(slices: list[Throughput]) -> list[float]:
    return [it.wall_us for it in slices]


class _OtherLoad:
    """Measures how many cores other processes use."""

    def __enter__(self) -> "_OtherLoad":
        self._began, self._own, self._busy_s = time.perf_counter(), CpuWindow(), _busy_s()
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def cores(self) -> float | None:
        """Return the mean number of cores; ``None`` where the system does not count."""
        busy_s = _busy_s()
        if busy_s is None or self._busy_s is None:
            return None
        wall_s = max(time.perf_counter() - self._began, 1e-9)
        return max(0.0, (busy_s - self._busy_s - self._own.close()) / wall_s)


def _busy_s() -> float | None:
    """Return the CPU seconds that all processes of the machine have used, other guests on the host included."""
    try:
        times = psutil.cpu_times()
    except (OSError, RuntimeError):
        return None
    idle = ("idle", "iowait", "guest", "guest_nice")  # guests count as user time, too
    return float(sum(times) - sum(getattr(times, name, 0.0) for name in idle))
