"""The tuner compared with an exhaustive measurement: share of the best rate, and share of the time.

For each data set, all configurations are measured first: for seconds each, in interleaved slices, and with no other
worker alive, because idle workers would go on to prepare batches. Then the tuner runs with several seeds and a time
limit, and knows nothing of these results. Its time includes start and end of workers and the examination of the data
set; the exhaustive time counts slices only.

The best of many measurements looks better than it is. At the end, the best and the choice are therefore measured again
in pairs, and their ratio judges the choice. Rules of thumb serve for comparison, each with its best batch size: as many
workers as cores, the maximum of torch's own warning, and torch's default of none.
"""

import os
import random
from typing import Any

import pytest
from torch.utils.data import Dataset

from harness.bench.suites.benchmark import give_up, keep, option, parametrize
from harness.bench.suites.tuning_data import DATA_SETS as DEVELOPED_ON
from harness.bench.suites.tuning_held_apart import HELD_APART
from harness.error import UsageError, listed
from harness.execution.environment import usable_cores
from harness.loading.throughput import PREFETCH, allow_more_workers_than_cores
from harness.record import Estimate, geometric_mean, mean_ratio
from harness.record.bench import Names, TunerRecord
from harness.timing.clock import threads, without_garbage_collection
from harness.tuner.advice import examine
from harness.tuner.configuration import Choice, LoaderKind, worker_counts
from harness.tuner.probe import LoaderProbe
from harness.tuner.remark import remarks
from harness.tuner.tuning import SearchSpace, Tuning

DATA_SETS = {**HELD_APART, **DEVELOPED_ON}
"""All data sets by name; the default is those held apart."""

SEEDS = 3
BATCH_SIZES = (32, 128, 512)
SECONDS, PASSES = 4.0, 4
"""Seconds per choice in the exhaustive measurement, and its number of slices."""

BOUND = 0.18
"""Time limit of the tuner as a share of the exhaustive time. The target is 20 %; the last slice may take longer
than planned."""


ALONE = 0
"""Maximum number of other open workers during a measurement."""

_BEST: dict[str, Choice] = {}
"""Best choice of the exhaustive measurement, by data set."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each data set and way; the exhaustive one first."""
    seeds = range(option(metafunc.config, "seeds", SEEDS))
    names = option(metafunc.config, "data_sets", tuple(HELD_APART))
    if unknown := [name for name in names if name not in DATA_SETS]:
        problem = f"unknown data set of the tuner `{unknown[0]}`"
        give_up(metafunc.config, UsageError(problem, remedy=f"choose from {listed(DATA_SETS)}"))
    items = [
        (name, way, seed)
        for name in names
        for way, numbers in (("exhaustive", (0,)), ("tuner", seeds))
        for seed in numbers
    ]
    parametrize(metafunc, ("name", "way", "seed"), items)


def test_tuner(benchmark: Any, pytestconfig: pytest.Config, name: str, way: str, seed: int) -> None:
    """Choose a loader in one way, and keep the measurements."""
    dataset, seconds = DATA_SETS[name](), option(pytestconfig, "seconds", SECONDS)
    space = SearchSpace(
        option(pytestconfig, "batch_sizes", BATCH_SIZES),
        option(pytestconfig, "workers", worker_counts(usable_cores())),
    )
    about = Names(case=name, family="tuning_data", style="foreign")
    if way == "exhaustive":
        rates = benchmark.pedantic(exhaustive, args=(dataset, space, seconds), rounds=1, iterations=1)
        _BEST[name] = _best(rates)
        keep(benchmark, TunerRecord(**about, way=way, seed=seed, **_exhausted(rates, seconds)))
        return
    bound_s = BOUND * seconds * len(_all(dataset, space))
    tuning = Tuning(dataset, space, cores=_cores(), seconds=bound_s, seed=seed)
    benchmark.pedantic(lambda: list(tuning.run()), rounds=1, iterations=1)
    assert tuning.standing is not None
    tuning.close_budget()
    to_best = paired_ratio(dataset, tuning.standing.best, _BEST[name], seconds) if name in _BEST else None
    keep(benchmark, TunerRecord(**about, way=way, seed=seed, to_best=to_best, **_tuned(tuning)))


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
    order = random.Random(0)  # noqa: S311 - an order, no secret
    rates: dict[Choice, list[float]] = {choice: [] for choice in choices}
    live = LoaderProbe(dataset, cores=_cores(), max_workers=ALONE)
    with threads(1), without_garbage_collection(), allow_more_workers_than_cores(), live as probe:
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


def _rules(rates: dict[Choice, Estimate]) -> dict[str, str]:
    """Return the choices of rules of thumb among all configurations, each with its best batch size."""
    suggested = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = {"workers = cores": _cores(), "torch's suggestion": suggested, "torch's default": 0}
    ruled: dict[str, str] = {}
    for rule, number in workers.items():
        standard = [c for c in rates if c.workers == number and c.kind is LoaderKind.ITEMS and c.prefetch == PREFETCH]
        if standard:
            ruled[rule] = str(max(standard, key=lambda choice: rates[choice].point))
    return ruled


def _exhausted(rates: dict[Choice, Estimate], seconds: float) -> dict[str, Any]:
    best = _best(rates)
    return {
        "choice": str(best),
        "rates": {str(choice): rate.point for choice, rate in rates.items()},
        "low": rates[best].low,
        "high": rates[best].high,
        "spent_s": seconds * len(rates),
        "rules": _rules(rates),
    }


def _tuned(tuning: Tuning) -> dict[str, Any]:
    state = tuning.standing
    assert state is not None
    return {
        "choice": str(state.best),
        "low": state.rate.low or None,
        "high": None if state.rate.low == 0.0 else state.rate.high,
        "reason": state.reason.name.lower(),
        "slices": state.slices,
        "measured": len(state.rates),
        "notes": remarks(tuning),
        "spent_s": tuning.spent_s,
    }
