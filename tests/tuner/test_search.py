"""The tuner's search on simulated loaders; :mod:`tuner.test_regret` has the rate that it reaches, and in what time."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest
from regret.judging import HELD_APART
from regret.world import CORES, NOISE, rate

from harness.tuner.loader_choice import Choice
from harness.tuner.search import (
    KEEPS_AHEAD,
    KEEPS_AHEAD_ALONE,
    LoaderSearch,
    LoaderSearchSettings,
    OutOfTime,
    Reason,
    SearchState,
)
from harness.tuner.search_space import SearchSpace
from harness.tuner.slices import Measured, differ, overall, rates_of

GRID = SearchSpace((32, 128, 512), (0, 1, 2, 4), (2, 4)).grid()


@cache
def _rates(name: str) -> Mapping[Choice, float]:
    """Return the samples per second of a data set in every configuration, without noise."""
    return {choice: rate(HELD_APART[name], choice) for choice in GRID}


def _noisy(name: str, seen: list[Choice] | None = None) -> Callable[[Choice, float], Measured]:
    """Return a measurement of a data set with noise, which notes the configurations."""
    draw, noted = random.Random(0), [] if seen is None else seen

    def measure(choice: Choice, seconds: float) -> Measured:
        noted.append(choice)
        return Measured(
            round(1e6 * _rates(name)[choice] * draw.lognormvariate(0.0, NOISE) * seconds), 1e6 * seconds, seconds
        )

    return measure


def _tuned(name: str, *, seen: list[Choice] | None = None, seed: int = 0, **settings: Any) -> SearchState:
    """Return the result of a search on a data set with noise."""
    (*_, last) = LoaderSearch(GRID, _noisy(name, seen), LoaderSearchSettings(cores=CORES, seed=seed, **settings)).run()
    return last


def test_the_same_seed_gives_the_same_search() -> None:
    """All slices are equal; another seed has another order."""
    orders: list[list[Choice]] = [[], [], []]
    first, again, _ = (_tuned("photos", seen=seen, seed=seed) for seen, seed in zip(orders, (1, 1, 2), strict=True))
    assert first == again
    assert orders[0] == orders[1] != orders[2]


def _steady(rates: Mapping[Choice, float], **settings: object) -> SearchState:
    """Search without noise, in slices of exactly the requested length."""

    def measure(one: Choice, seconds: float) -> Measured:
        return Measured(round(1e6 * rates[one] * seconds), 1e6 * seconds, seconds)

    (*_, last) = LoaderSearch(tuple(rates), measure, LoaderSearchSettings(cores=2, **settings)).run()  # type: ignore[arg-type]
    return last


def _searched(slices: Mapping[Choice, Sequence[float]], **settings: Any) -> tuple[SearchState, list[Choice]]:
    """Search where the rate of each slice is given in order, the last one for all further slices."""
    seen: list[Choice] = []

    def measure(one: Choice, seconds: float) -> Measured:
        rates = slices[one]
        rate = rates[min(seen.count(one), len(rates) - 1)]
        seen.append(one)
        return Measured(round(1e6 * rate * seconds), 1e6 * seconds, seconds)

    (*_, last) = LoaderSearch(tuple(slices), measure, LoaderSearchSettings(cores=2, **settings)).run()
    return last, seen


def test_a_dominated_configuration_leaves_after_two_slices() -> None:
    """A quarter of the leader's rate is not measured a third time."""
    fast, slow = Choice(256), Choice(256, 2)
    last, seen = _searched({fast: [400.0], slow: [100.0]})
    assert (last.best, last.reason) == (fast, Reason.ALONE)
    assert seen.count(slow) == 2
    assert seen.count(fast) >= 3


def test_a_cold_first_slice_drops_nothing() -> None:
    """The fastest configuration starts at a twentieth of its rate, and is chosen all the same."""
    cold, other = Choice(256), Choice(256, 2)
    last, _ = _searched({cold: [100.0, 2000.0], other: [1000.0]})
    assert last.best == cold


def test_a_cold_slice_does_not_count_where_there_is_a_warm_one() -> None:
    """Neither in the total nor in the rates; if all are cold, all count."""
    cold, warm = Measured(100, 10.0, 11.0, is_cold=True), Measured(100, 1.0, 1.0)
    assert overall([cold, warm]) == 100.0
    assert rates_of([cold, warm]) == [100.0]
    assert rates_of([cold]) == [10.0]


def test_rates_differ_if_the_scatter_of_all_slices_does_not_explain_it() -> None:
    """One slice is enough if others show the scatter; without any repetition only a factor counts."""
    one, two, three = Choice(32), Choice(64), Choice(128)
    slices = {one: [_at(100.0), _at(101.0), _at(99.0)], two: [_at(90.0)], three: [_at(100.5)]}
    assert differ(slices, one, two, least=0.5)
    assert not differ(slices, one, three, least=0.5)
    alone = {one: [_at(100.0)], two: [_at(60.0)], three: [_at(40.0)]}
    assert not differ(alone, one, two, least=0.5)
    assert differ(alone, one, three, least=0.5)


def _at(rate: float) -> Measured:
    return Measured(round(1000 * rate), 1000.0, 1000.0)


def test_of_leaders_that_are_not_distinguishable_the_cheapest_is_taken() -> None:
    """Two workers are faster by 4 % on average, and slices scatter by 20 %: no workers, and it says so."""
    noise = [1.2, 0.85, 1.0, 0.8, 1.15, 1.1, 0.9, 1.0] * 4
    none, two = Choice(256), Choice(256, 2)
    last, _ = _searched({none: [1000 * x for x in noise], two: [1040 * x for x in reversed(noise)]})
    assert (last.best, last.reason) == (none, Reason.UNDECIDED)
    assert last.similar_choices == (two,)
    assert "not distinguishable" in last.reason


def test_when_the_time_is_up_the_cheapest_of_those_not_distinguishable_is_taken() -> None:
    """As under load: two workers that seem faster in slices that scatter by a factor of two."""
    none, two = Choice(256), Choice(256, 2)
    slices = {none: [15000.0, 9000.0, 13000.0], two: [17000.0, 8000.0, 16000.0]}
    last, _ = _searched(slices, budget_s=0.45)
    assert (last.best, last.reason) == (none, Reason.BUDGET_UNDECIDED)
    assert last.second == two


def test_when_the_time_is_up_a_dominated_configuration_is_not_taken() -> None:
    """However cheap it is, and however much the slices scatter."""
    none, two = Choice(256), Choice(256, 2)
    last, _ = _searched({none: [400.0, 100.0], two: [2000.0, 500.0]}, budget_s=0.45)
    assert (last.best, last.reason) == (two, Reason.BUDGET)


def test_workers_that_are_not_worth_it_are_not_looked_at() -> None:
    """If as many workers as cores are dominated, neither fewer nor more are measured."""
    rates = {one: 1000.0 if not one.workers else 200.0 for one in SearchSpace((64,), (0, 1, 2, 4), (2,)).grid()}
    assert {one.workers for one in _steady(rates).rates} == {0, 2}


def test_one_worker_does_not_decide_about_two() -> None:
    """The rate is not unimodal in workers: one is worse than none, two are better."""
    rates = {Choice(64, workers): rate for workers, rate in ((0, 1000.0), (1, 400.0), (2, 1500.0))}
    assert _steady(rates).best.workers == 2


def test_a_tie_goes_to_fewest_workers_then_least_memory() -> None:
    """At equal rates, no workers win over two, and then the smaller prefetch factor wins."""
    level = dict.fromkeys(SearchSpace((64,), (0, 2), (2, 4)).grid(), 1000.0)
    found = _steady(level)
    assert (found.best, found.reason) == (Choice(64), Reason.TIED)
    with_workers = dict.fromkeys(SearchSpace((64,), (2,), (4, 2)).grid(), 1000.0)
    assert _steady(with_workers).best == Choice(64, 2, 2)


def test_leaders_that_part_are_told_apart_by_the_interval_of_their_ratio() -> None:
    """The result has the ratio and its interval."""
    found = _steady({Choice(64): 1000.0, Choice(64, 2): 1300.0})
    assert (found.best.workers, found.reason) == (2, Reason.PARTED)
    assert found.lead is not None
    assert found.lead.low > 1.0
    assert found.lead.point == pytest.approx(1.3)
    assert found.second == Choice(64)


def test_the_time_bound_ends_the_search_with_the_best_so_far() -> None:
    """A bound shorter than the first round returns the best measured choice."""
    bounded, whole = _tuned("slow store", budget_s=1.0), _tuned("slow store")
    assert bounded.reason in {Reason.BUDGET, Reason.BUDGET_UNDECIDED}
    assert bounded.best in bounded.rates
    assert bounded.slices < whole.slices


def test_a_budget_of_nothing_still_measures_one_configuration_twice() -> None:
    """There is always a choice with an interval."""
    found = _tuned("rows", budget_s=0.0)
    assert (found.slices, found.reason) == (2, Reason.BUDGET)
    assert math.isfinite(found.rate.high)


def _interrupted(rates: Mapping[Choice, Sequence[float]], slices: int) -> list[SearchState]:
    """Search until the time runs out during a slice."""
    seen: list[Choice] = []

    def measure(choice: Choice, seconds: float) -> Measured:
        if len(seen) >= slices:
            raise OutOfTime
        seen.append(choice)
        return Measured(round(1e6 * rates[choice][seen.count(choice) - 1] * seconds), 1e6 * seconds, seconds)

    return list(LoaderSearch(tuple(rates), measure, LoaderSearchSettings(cores=2, budget_s=1e6)).run())


def test_a_faster_configuration_that_was_measured_once_is_not_compared() -> None:
    """The tuner chooses the configuration that it measured twice, and does not call it the fastest."""
    none, two = Choice(256), Choice(256, 2)
    *_, last = _interrupted({none: [275.0, 276.0], two: [516.0, 520.0]}, 3)
    (twice,) = (choice for choice, rate in last.rates.items() if math.isfinite(rate.high))
    assert (last.best, last.reason) == (twice, Reason.BUDGET)
    assert "measured at least twice" in last.reason


def test_a_leader_of_the_first_round_is_not_the_choice_below_a_faster_one() -> None:
    """At the time limit, the tuner chooses the fastest configuration that it measured twice."""
    search = LoaderSearch((), lambda *_: Measured(1, 1.0, 1.0), LoaderSearchSettings(cores=2))
    none, two = Choice(256), Choice(256, 2)
    search._slices = {none: [Measured(275, 1.0, 1.0)] * 2, two: [Measured(516, 1.0, 1.0)] * 2}
    search._leaders = (none,)
    search._take_the_cheapest()
    assert search.standing().best == two


def test_time_that_runs_out_before_a_second_slice_is_no_answer() -> None:
    """And before the first slice there is no state at all."""
    rates = {Choice(256): [1000.0], Choice(256, 2): [900.0]}
    *_, last = _interrupted(rates, 1)
    assert last.reason is Reason.NO_ANSWER
    assert _interrupted(rates, 0) == []


@pytest.mark.parametrize("name", ["photos", "rows", "slow store"])
def test_a_loader_that_keeps_ahead_of_the_step_ends_the_search(name: str) -> None:
    """For a long step the slowest loader suffices: no workers, the smallest batch, few slices."""
    slow = {size: 10.0 * size / _rates(name)[Choice(size)] for size in (32, 128, 512)}
    found = _tuned(name, step_s=slow)
    assert found.reason is Reason.KEEPS_AHEAD
    assert found.best == Choice(32)
    assert found.slices < _tuned(name).slices / 2


def test_workers_are_taken_where_only_they_keep_ahead() -> None:
    """Without workers the step waits too long. As many workers as cores hide the loading."""
    step_s = {128: 128 / 1500.0}
    rates = {Choice(128): 1500.0, Choice(128, 2): 2500.0, Choice(128, 4): 4000.0}
    found = _steady(rates, step_s=step_s)
    assert (found.best.workers, found.reason) == (2, Reason.KEEPS_AHEAD)
    assert KEEPS_AHEAD_ALONE < 1500.0 / 2500.0 < KEEPS_AHEAD


def test_a_step_that_nothing_keeps_ahead_of_gets_the_fastest() -> None:
    """The search continues to its end."""
    rates = {Choice(128): 1500.0, Choice(128, 2): 2500.0}
    found = _steady(rates, step_s={128: 1e-4})
    assert (found.best.workers, found.reason) == (2, Reason.PARTED)


def test_every_slice_leaves_an_answer() -> None:
    """A search stopped after any slice has a measured best choice."""
    search = LoaderSearch(GRID, _noisy("rows"), LoaderSearchSettings(cores=CORES))
    for count, standing in enumerate(search.run(), 1):
        assert standing.best in standing.rates
        assert standing.slices == min(count, standing.slices)
        assert standing.spent_s > 0.0
