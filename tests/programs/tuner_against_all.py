"""The tuner compared with an exhaustive measurement: share of the best rate, and share of the time.

``python -m programs.tuner_against_all [DATA SET ...]`` in the folder ``tests`` prints a paragraph for each data set. It
takes half an hour on a quiet machine for all of them.

For each data set, all configurations are measured first: for seconds each, in interleaved slices, and with no other
worker alive, because idle workers would go on to prepare batches. Then the tuner runs with several seeds and a time
limit, and knows nothing of these results. Its time includes start and end of workers and the examination of the data
set; the exhaustive time counts slices only.

The best of many measurements looks better than it is. At the end, the best and the choice are therefore measured again
in pairs, and their ratio judges the choice. Rules of thumb serve for comparison, each with its best batch size: as many
workers as cores, the maximum of torch's own warning, and torch's default of none.
"""

import argparse
import os
import random
import statistics
from collections.abc import Iterator
from typing import Any

from programs.tuning_data import DATA_SETS
from torch.utils.data import Dataset

from harness.execution.environment import usable_cores
from harness.loading.throughput import PREFETCH, allow_more_workers_than_cores
from harness.record import Estimate, geometric_mean, mean_ratio
from harness.timing.clock import stop_garbage_collection, threads
from harness.tuner.advice import examine
from harness.tuner.loader_choice import Choice, LoaderKind
from harness.tuner.probe import LoaderProbe
from harness.tuner.search_space import SearchSpace, worker_counts
from harness.tuner.tuning import Tuning

NEAR, QUICK = 0.95, 0.2
"""Goals of the tuner: share of the best rate, and share of the exhaustive time."""

SEEDS = 3
BATCH_SIZES = (32, 128, 512)
SECONDS, PASSES = 4.0, 4
"""Seconds per choice in the exhaustive measurement, and its number of slices."""

BOUND = 0.18
"""Time limit of the tuner as a share of the exhaustive time. The target is 20 %; the last slice may take longer
than planned."""


ALONE = 0
"""Maximum number of other open workers during a measurement."""


def _cores() -> int:
    return max(1, round(usable_cores()))


def exhaustive(dataset: Dataset[Any], space: SearchSpace, seconds: float) -> dict[Choice, Estimate]:
    """Measure every configuration for some seconds, in interleaved slices."""
    rates = _in_turns(dataset, _all(dataset, space), seconds)
    return {choice: geometric_mean(slices) for choice, slices in rates.items()}


def paired_ratio(dataset: Dataset[Any], choice: Choice, best: Choice, seconds: float) -> float:
    """Measure a configuration and the best again in pairs, and return the ratio of their rates."""
    if choice == best:
        return 1.0
    rates = _in_turns(dataset, (choice, best), seconds)
    return mean_ratio(rates[choice], rates[best]).point


def _in_turns(dataset: Dataset[Any], choices: tuple[Choice, ...], seconds: float) -> dict[Choice, list[float]]:
    """Return the samples per second of every configuration in each pass, in random order."""
    order = random.Random(0)
    rates: dict[Choice, list[float]] = {choice: [] for choice in choices}
    live = LoaderProbe(dataset, cores=_cores(), max_workers=ALONE)
    with threads(1), stop_garbage_collection(), allow_more_workers_than_cores(), live as probe:
        for _ in range(PASSES):
            for choice in order.sample(choices, len(choices)):
                rates[choice].append(probe(choice, seconds / PASSES).rate)
    return rates


def _best(rates: dict[Choice, Estimate]) -> Choice:
    return max(rates, key=lambda choice: rates[choice].point)


def _all(dataset: Dataset[Any], space: SearchSpace) -> tuple[Choice, ...]:
    """Return all configurations, of both kinds if a batch that is fetched as a whole equals its items."""
    at_once = examine(dataset, min(space.batch_sizes), cores=_cores()).batch_s is not None
    return (*space.grid(), *(space.grid(LoaderKind.BATCHES) if at_once else ()))


def _rules(rates: dict[Choice, Estimate]) -> dict[str, Choice]:
    """Return the choices of rules of thumb among all configurations, each with its best batch size."""
    suggested = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = {"workers = cores": _cores(), "torch's suggestion": suggested, "torch's default": 0}
    ruled: dict[str, Choice] = {}
    for rule, number in workers.items():
        standard = [c for c in rates if c.workers == number and c.kind is LoaderKind.ITEMS and c.prefetch == PREFETCH]
        if standard:
            ruled[rule] = max(standard, key=lambda choice: rates[choice].point)
    return ruled


def compare(name: str, space: SearchSpace, seconds: float, seeds: int) -> Iterator[str]:
    """Measure all configurations of a data set, tune it with each seed, and yield what came out, line by line."""
    dataset = DATA_SETS[name]()
    rates = exhaustive(dataset, space, seconds)
    best, whole_s = _best(rates), seconds * len(rates)
    yield f"{name}: best of {len(rates)}: {best}"
    shares, times = [], []
    for seed in range(seeds):
        tuning = Tuning(dataset, space, cores=_cores(), seconds=BOUND * whole_s, seed=seed)
        list(tuning.run())
        tuning.close_budget()
        assert tuning.standing is not None
        choice, reason = tuning.standing.best, tuning.standing.reason.name.lower()
        shares.append(paired_ratio(dataset, choice, best, seconds))
        times.append(tuning.spent_s / whole_s)
        yield f"  {choice} ({reason}): {shares[-1]:.1%} of its rate in {times[-1]:.1%} of the time"
    share, time = statistics.median(shares), statistics.median(times)
    reached = "reached" if share >= NEAR and time <= QUICK else "missed"
    yield f"  medians: {share:.1%} in {time:.1%}; the goal ({NEAR:.0%} in {QUICK:.0%}) is {reached}"
    for rule, choice in _rules(rates).items():
        yield f"  {rule}: {rates[choice].point / rates[best].point:.1%}"


def main() -> None:
    """Read the command line, and print the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[*DATA_SETS], choices=DATA_SETS, metavar="DATA SET")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    given = parser.parse_args()
    space = SearchSpace(BATCH_SIZES, worker_counts(usable_cores()))
    for name in given.names:
        for line in compare(name, space, given.seconds, given.seeds):
            print(line, flush=True)


if __name__ == "__main__":
    main()
