"""The tuner on simulated data sets: the simulation behaves like loaders, and the tuner reaches its targets.

``python -m regret`` runs all data sets with more seeds.
"""

import pytest
from regret.judging import HELD_APART, JUDGED_ON, choices, judged, main, rates, ruled
from regret.world import Costs, on_paper, rate

from harness.tuner.advice import examine
from harness.tuner.loader_choice import Choice, LoaderKind


def test_on_paper_waiting_gains_from_workers_beyond_the_cores_and_computing_does_not() -> None:
    """Cheap items only lose with workers. If a batch is fetched at once, a larger batch is faster."""
    waits, computes, cheap = Costs(waits=1e-3), Costs(computes=1e-3), Costs(computes=1e-7)
    assert rate(waits, Choice(32, 4)) == pytest.approx(4000, rel=0.05)
    assert rate(computes, Choice(32, 2)) == pytest.approx(2000, rel=0.1)
    assert rate(computes, Choice(32, 4)) == pytest.approx(2000, rel=0.1)
    assert rate(cheap, Choice(32)) > 2 * rate(cheap, Choice(32, 2))
    asks = HELD_APART["asked at once"]
    assert rate(asks, Choice(512)) > 10 * rate(asks, Choice(32))


def test_time_passes_on_paper_alone() -> None:
    """Examining a slow data set takes no real time, but simulated time."""
    with on_paper(HELD_APART["slow store"], 0) as items:
        advice = examine(items, 512, cores=2)
        assert 0.2 < items.clock.now < 1.5
    assert advice.waits
    assert advice.items_s / advice.batch_size == pytest.approx(2e-3, rel=0.1)


@pytest.mark.parametrize("name", ["wide", "slow store", "words", "drawn 3"])
def test_the_tuner_reaches_what_it_is_held_to(name: str) -> None:
    """A data set of each kind is tried, named and random."""
    costs = JUDGED_ON[name]
    run = judged(costs, rates(costs), seed=0)
    assert run.reaches_both, run


def test_rules_of_thumb_are_given_the_batch_size_that_suits_them() -> None:
    """The same rates judge them, and include fetching whole batches."""
    costs = HELD_APART["rows"]
    known = rates(costs)
    assert {choice.kind for choice in choices(costs)} == set(LoaderKind)
    assert ruled(known, 2) < 0.2
    slow = rates(HELD_APART["slow store"])
    assert ruled(slow, 2) == pytest.approx(0.5, abs=1e-9)


def test_a_tuner_that_misses_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The control is a tuner with few workers that never explores around the leader."""
    monkeypatch.setattr("regret.judging.SEEDS", 1)
    monkeypatch.setattr("harness.tuner.search.LoaderSearch._find_neighbors", lambda *_: ())
    monkeypatch.setattr("harness.tuner.tuning.max", min, raising=False)
    assert main(["slow store"]) == 1
    assert "on 0 of 1 data sets" in capsys.readouterr().out
