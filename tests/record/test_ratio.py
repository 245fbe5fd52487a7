"""Ratios of times measured in turns: exact where the rounds agree, an interval where they scatter, unknown else."""

import math
import random

import pytest

from harness.record import ratio


def drifting(seed: int, *, factor: float = 1.0, number: int = 40) -> list[float]:
    """Times that share a drift by a factor of three, and scatter by 2 % of their own."""
    own = random.Random(seed)
    return [factor * (2 + math.sin(place / 4)) * own.uniform(0.98, 1.02) for place in range(number)]


def test_drift_that_both_share_is_not_in_the_ratio() -> None:
    """The times vary threefold; the interval is a few percent wide and holds the truth."""
    found = ratio(drifting(1, factor=1.5), drifting(2))
    assert found.low < 1.5 < found.high
    assert found.high - found.low < 0.05


def test_one_round_that_was_interrupted_does_not_move_it() -> None:
    """A hundredfold outlier in one of forty rounds."""
    times = drifting(1)
    times[7] *= 100
    assert ratio(times, drifting(2)).ratio == pytest.approx(1.0, abs=0.02)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 200 made-up comparisons of equal things, about 10 intervals leave out one."""
    missed = sum(not ratio(drifting(2 * seed), drifting(2 * seed + 1)).is_one for seed in range(200))
    assert 1 <= missed <= 25


def test_equal_rounds_have_an_interval_of_no_width() -> None:
    """Nothing scatters."""
    assert ratio([2.0] * 9, [1.0] * 9) == (2.0, 2.0, 2.0)


def test_the_same_rounds_give_the_same_interval() -> None:
    """The bootstrap has a fixed seed."""
    assert ratio(drifting(3), drifting(4)) == ratio(drifting(3), drifting(4))


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [([1.0] * 9, [1.0] * 8), ([1.0] * 4, [1.0] * 4), ([], []), ([1.0] * 9, [math.inf] * 9)],
)
def test_what_was_not_measured_in_turns_has_no_ratio(numerator: list[float], denominator: list[float]) -> None:
    """Another number of rounds, too few of them, or times that are none: unknown, not one."""
    found = ratio(numerator, denominator)
    assert math.isnan(found.ratio)
    assert math.isnan(found.low)
    assert not found.is_one
