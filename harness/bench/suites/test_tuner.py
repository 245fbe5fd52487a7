"""How near the tuner comes to the best loader, and in what share of the time that measuring every loader takes.

For each data set every choice is measured first: seconds each, in slices that are interleaved in random order, each
with no other worker alive: those that wait would go on to lay batches ready, and take the cores from the next. Then the
tuner runs, some times with different seeds and within a bound of time, and is told nothing of that. Its time is all
that passes, starting and ending workers and looking at the data set included; of the exhaustive one only the slices
count. The best of so many that were measured alike looks better than it is, so at the end it and the tuner's choice are
measured again in couples, and that ratio is what the choice is judged by. Beside it stand rules of thumb, each with the
batch size that suits it best: as many workers as there are cores, as many as torch's own warning suggests at most, and
torch's default of none.
"""

import os
import random
from typing import Any

import pytest
from torch.utils.data import Dataset

from harness.bench.suites.fixture import Names, keep
from harness.bench.suites.selection import give_up, option
from harness.bench.suites.tuning_data import DATA_SETS as DEVELOPED_ON
from harness.bench.suites.tuning_held_apart import HELD_APART
from harness.error import UsageError, listed
from harness.loading.configuration import PREFETCH
from harness.record import Estimate, geometric_mean, mean_ratio
from harness.record.bench import TunerRecord
from harness.timing.clock import threads, without_garbage_collection
from harness.tuner.advice import examine
from harness.tuner.configuration import Choice, LoaderKind, worker_counts
from harness.tuner.probe import LoaderProbe, more_workers_than_cores
from harness.tuner.remark import remarks
from harness.tuner.tuning import Tuning, Wish
from harness.work.environment import usable_cores

DATA_SETS = {**HELD_APART, **DEVELOPED_ON}
"""All by name; where none is named, those held apart are taken."""

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
    metafunc.parametrize(("name", "way", "seed"), items, ids=[f"{name}-{way}-{seed}" for name, way, seed in items])


def test_tuner(benchmark: Any, pytestconfig: pytest.Config, name: str, way: str, seed: int) -> None:
    """Choose a loader one way, and keep what was measured."""
    dataset, seconds = DATA_SETS[name](), option(pytestconfig, "seconds", SECONDS)
    wish = Wish(
        option(pytestconfig, "batch_sizes", BATCH_SIZES),
        option(pytestconfig, "workers", worker_counts(usable_cores())),
    )
    about = Names(case=name, family="tuning_data", style="foreign")
    if way == "exhaustive":
        rates = benchmark.pedantic(exhaustive, args=(dataset, wish, seconds), rounds=1, iterations=1)
        _BEST[name] = _best(rates)
        keep(benchmark, TunerRecord(**about, way=way, seed=seed, **_exhausted(rates, seconds)))
        return
    bound_s = BOUND * seconds * len(_all(dataset, wish))
    tuning = Tuning(dataset, wish, cores=_cores(), seconds=bound_s, seed=seed)
    benchmark.pedantic(lambda: list(tuning.run()), rounds=1, iterations=1)
    assert tuning.standing is not None
    tuning.close_budget()
    to_best = beside(dataset, tuning.standing.best, _BEST[name], seconds) if name in _BEST else None
    keep(benchmark, TunerRecord(**about, way=way, seed=seed, to_best=to_best, **_tuned(tuning)))


def _cores() -> int:
    return max(1, round(usable_cores()))


def exhaustive(dataset: Dataset[Any], wish: Wish, seconds: float) -> dict[Choice, Estimate]:
    """Measure every choice for so many seconds, in interleaved slices."""
    rates = _in_turns(dataset, _all(dataset, wish), seconds)
    return {choice: geometric_mean(slices) for choice, slices in rates.items()}


def beside(dataset: Dataset[Any], choice: Choice, best: Choice, seconds: float) -> float:
    """Measure a choice and the best again in couples, and return the ratio of their rates."""
    if choice == best:
        return 1.0
    rates = _in_turns(dataset, (choice, best), seconds)
    return mean_ratio(rates[choice], rates[best]).point


def _in_turns(dataset: Dataset[Any], choices: tuple[Choice, ...], seconds: float) -> dict[Choice, list[float]]:
    """Samples a second of every choice in each pass; the order is drawn for each."""
    order = random.Random(0)  # noqa: S311 - an order, no secret
    rates: dict[Choice, list[float]] = {choice: [] for choice in choices}
    live = LoaderProbe(dataset, cores=_cores(), most_workers=ALONE)
    with threads(1), without_garbage_collection(), more_workers_than_cores(), live as probe:
        for _ in range(PASSES):
            for choice in order.sample(choices, len(choices)):
                rates[choice].append(probe(choice, seconds / PASSES).rate)
    return rates


def _best(rates: dict[Choice, Estimate]) -> Choice:
    return max(rates, key=lambda choice: rates[choice].point)


def _all(dataset: Dataset[Any], wish: Wish) -> tuple[Choice, ...]:
    """Every choice; of both kinds, where a batch that is fetched at once is the same as its items."""
    at_once = examine(dataset, min(wish.batch_sizes), cores=_cores()).batch_s is not None
    return (*wish.grid(), *(wish.grid(LoaderKind.BATCHES) if at_once else ()))


def _rules(rates: dict[Choice, Estimate]) -> dict[str, str]:
    """What rules of thumb choose among what was measured, with the batch size that suits each best."""
    suggested = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = {"workers = cores": _cores(), "torch's suggestion": suggested, "torch's default": 0}
    ruled: dict[str, str] = {}
    for rule, number in workers.items():
        usual = [c for c in rates if c.workers == number and c.kind is LoaderKind.ITEMS and c.prefetch == PREFETCH]
        if usual:
            ruled[rule] = str(max(usual, key=lambda choice: rates[choice].point))
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
    standing = tuning.standing
    assert standing is not None
    return {
        "choice": str(standing.best),
        "low": standing.rate.low or None,
        "high": None if standing.rate.low == 0.0 else standing.rate.high,
        "reason": standing.reason.name.lower(),
        "slices": standing.slices,
        "measured": len(standing.rates),
        "notes": remarks(tuning),
        "spent_s": tuning.spent_s,
    }
