"""Estimates: exact values without scatter, intervals with scatter, unbounded or unknown without data."""

import math
import random
from typing import Any

import pytest

from harness.record import LEVEL, Estimate, Method, bounded_ratio, geometric_mean, mean_ratio, median_ratio
from harness.record.estimate import _compute_quantile


def drifting(seed: int, *, factor: float = 1.0, number: int = 40) -> list[float]:
    """Return times that share a drift by a factor of three, with 2 % independent scatter."""
    own = random.Random(seed)
    return [factor * (2 + math.sin(place / 4)) * own.uniform(0.98, 1.02) for place in range(number)]


def ends(estimate: Estimate) -> tuple[Any, Any, Any]:
    """Return the lower end, the point and the upper end."""
    return estimate.low, estimate.point, estimate.high


def test_drift_that_both_share_is_not_in_the_ratio() -> None:
    """The times vary threefold, but the interval is a few percent wide and contains the true ratio."""
    ratio = median_ratio(drifting(1, factor=1.5), drifting(2))
    assert ratio.low < 1.5 < ratio.high
    assert ratio.high - ratio.low < 0.05


def test_one_round_that_was_interrupted_does_not_move_it() -> None:
    """An outlier by a factor of 100 among forty rounds does not change the ratio."""
    times = drifting(1)
    times[7] *= 100
    assert median_ratio(times, drifting(2)).point == pytest.approx(1.0, abs=0.02)


def test_an_interval_is_within_a_share_where_both_its_ends_are() -> None:
    """Both ends must be within the share. An unknown estimate never is."""
    assert Estimate(100.0, 96.0, 104.0, Method.STUDENT).is_within(0.05)
    assert not Estimate(100.0, 94.0, 101.0, Method.STUDENT).is_within(0.05)
    assert not Estimate(100.0, 99.0, 106.0, Method.STUDENT).is_within(0.05)
    assert not median_ratio([1.0], [1.0]).is_within(0.5)


def test_equal_rounds_have_an_interval_of_no_width() -> None:
    """The rounds have no scatter."""
    assert ends(median_ratio([2.0] * 9, [1.0] * 9)) == (2.0, 2.0, 2.0)


def test_the_same_rounds_give_the_same_interval() -> None:
    """Nothing is drawn at random."""
    assert median_ratio(drifting(3), drifting(4)) == median_ratio(drifting(3), drifting(4))


@pytest.mark.parametrize(
    ("numerator", "denominator"),
    [([1.0] * 9, [1.0] * 8), ([1.0] * 4, [1.0] * 4), ([], []), ([1.0] * 9, [math.inf] * 9)],
)
def test_times_that_are_not_interleaved_have_no_ratio(numerator: list[float], denominator: list[float]) -> None:
    """Unequal numbers of rounds, too few rounds and invalid times give an unknown ratio, not 1."""
    ratio = median_ratio(numerator, denominator)
    assert not ratio.is_known
    assert all(map(math.isnan, ends(ratio)))


def test_one_slice_says_nothing_about_scatter() -> None:
    """Its interval is unbounded. Several slices have Student's interval on logarithms."""
    assert ends(geometric_mean([8.0])) == (0.0, pytest.approx(8.0), math.inf)
    mean = geometric_mean([1.0, 2.0, 4.0])
    assert mean.point == pytest.approx(2.0)
    assert mean.low * mean.high == pytest.approx(4.0)
    assert mean.low == pytest.approx(2.0 * 2.0 ** (-4.302652729749 / 3**0.5), rel=1e-9)
    assert ends(geometric_mean([3.0, 3.0])) == (pytest.approx(3.0),) * 3


def test_a_ratio_is_taken_within_couples() -> None:
    """A delay of both slices of a couple does not widen the interval. The inverse swaps its ends."""
    assert ends(mean_ratio([2.0, 4.0, 1.0], [1.0, 2.0, 0.5])) == (pytest.approx(2.0),) * 3
    turned = mean_ratio([1.0, 2.0, 4.0], [1.0, 1.0, 1.0]).inverse
    assert turned.point == pytest.approx(0.5)
    assert turned.low < turned.point < turned.high
    assert ends(geometric_mean([2.0]).inverse) == (0.0, 0.5, math.inf)


def test_every_estimate_says_its_method_and_its_level() -> None:
    """Estimates of different methods remain distinguishable."""
    made = (
        geometric_mean([1.0, 2.0]),
        mean_ratio([1.0], [2.0]),
        median_ratio([2.0] * 9, [1.0] * 9),
        bounded_ratio([0.1]),
    )
    assert [estimate.method for estimate in made] == [
        Method.STUDENT, Method.STUDENT, Method.BLOCKED, Method.ONE_SIDED
    ]  # fmt: skip
    assert {estimate.level for estimate in (*made, made[0].inverse, made[0].through(math.sqrt))} == {LEVEL}


def test_an_increasing_function_carries_the_interval_with_it() -> None:
    """The ratio of waiting to stepping gives the share of waiting, with its interval."""
    share = geometric_mean([0.5, 1.0, 2.0]).through(lambda starvation: starvation / (1.0 + starvation))
    assert share.point == pytest.approx(0.5)
    assert 0.0 < share.low < share.point < share.high < 1.0


@pytest.mark.parametrize("level", [0.9, 0.95, 0.975, 0.999])
def test_quantiles_of_student_have_a_closed_form_for_one_and_two_degrees_of_freedom(level: float) -> None:
    """Cauchy's distribution, and Gosset's formula."""
    share = 2 * level - 1
    assert _compute_quantile(level, 1) == pytest.approx(math.tan(math.pi * share / 2), rel=1e-13)
    assert _compute_quantile(level, 2) == pytest.approx(share * math.sqrt(2 / (1 - share**2)), rel=1e-13)


@pytest.mark.parametrize("freedom", [3, 4, 9, 30, 199])
def test_quantiles_of_student_are_those_of_scipy(freedom: int) -> None:
    """SciPy is no dependency of the harness, because it would be needed only for this."""
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    for level in (0.9, 0.95, 0.975, 0.999):
        assert _compute_quantile(level, freedom) == pytest.approx(stats.t.ppf(level, freedom), rel=1e-12)
