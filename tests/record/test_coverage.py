"""The coverage of the intervals, by simulation at the numbers of rounds that are in use."""

import pytest
from samples.rounds import NUMBERS, Interval, coverage, of_means, of_medians, of_students_t

TRIALS = 1500
"""Simulated series; the standard error of a coverage is 0.6 %."""

CORRELATED = {5: 0.81, 8: 0.85, 12: 0.87, 20: 0.90, 30: 0.91}
"""Minimum coverage for AR(1) noise, by number of rounds. It is below the level: few rounds do not show how neighbors
resemble each other."""


@pytest.mark.parametrize("interval", [of_medians, of_means])
@pytest.mark.parametrize("noise", ["independent", "independent, 5 % interrupted"])
@pytest.mark.parametrize("number", NUMBERS)
def test_intervals_of_independent_rounds_contain_the_truth_as_often_as_stated(
    interval: Interval, noise: str, number: int
) -> None:
    """At least 93 % of the intervals with level 95 % contain it, with and without interrupted rounds."""
    assert coverage(interval, noise, number, trials=TRIALS) >= 0.93


@pytest.mark.parametrize("interval", [of_medians, of_means])
@pytest.mark.parametrize("number", NUMBERS)
def test_intervals_of_correlated_rounds_contain_the_truth_nearly_as_often(interval: Interval, number: int) -> None:
    """The coverage rises with the number of rounds."""
    assert coverage(interval, "AR(1), rho 0.5", number, trials=TRIALS) >= CORRELATED[number]


def test_an_interval_that_takes_rounds_for_independent_misses_the_truth() -> None:
    """The control: Student's t interval falls below 85 % for correlated rounds."""
    assert coverage(of_students_t, "AR(1), rho 0.5", 12, trials=500) < 0.85
