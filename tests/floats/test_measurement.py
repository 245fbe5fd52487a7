"""Comparisons accept values up to the bound, and reject values just beyond it."""

import numpy as np
import pytest

from harness.floats import FORMATS, Measurement, compare, compare_absolute, compare_runs, in_ulp, lift, worse

FLOAT32 = FORMATS["float32"]


def measured(bound: float, expected: float = 1.0) -> Measurement:
    """Return a correct first run with its bound."""
    exact = np.array([expected])
    return Measurement(np.zeros(1), np.array([bound]), exact, exact)


@pytest.mark.parametrize(("ulps", "broken"), [(6.0, False), (7.0, True), (-6.0, False), (-7.0, True)])
def test_two_runs_may_differ_by_twice_the_bound_of_one_and_no_more(ulps: float, broken: bool) -> None:
    """Each run may be off by the bound, in opposite directions."""
    second = np.array([1.5 + ulps * 2.0**-23])
    measurement = compare_runs(second, np.array([1.5]), measured(3.0), FLOAT32)
    assert measurement.deviation.tolist() == [abs(ulps)]
    assert measurement.bound.tolist() == [6.0]
    assert measurement.broken is broken


def test_two_runs_that_are_larger_than_the_truth_are_compared_in_their_own_ulp() -> None:
    """Smaller results are compared in an ulp of the exact value."""
    own = compare_runs(np.array([8.0 + 2.0**-20]), np.array([8.0]), measured(1.0), FLOAT32)
    truth = compare_runs(np.array([1.0 + 2.0**-20]), np.array([1.0]), measured(1.0, expected=8.0), FLOAT32)
    assert own.deviation.tolist() == truth.deviation.tolist() == [1.0]


def test_two_runs_agree_on_equal_non_finite_values() -> None:
    """NaN agrees only with NaN, and an infinity only with itself."""
    inf, nan = np.inf, np.nan
    pairs = [(nan, nan, 0.0), (inf, inf, 0.0), (inf, -inf, inf), (nan, 1.0, inf), (1.0, nan, inf), (inf, 1.0, inf)]
    for second, first, deviation in pairs:
        found = compare_runs(np.array([second]), np.array([first]), measured(1.0), FLOAT32)
        assert found.deviation.tolist() == [deviation]


def test_finite_runs_differ_by_a_finite_number() -> None:
    """The count of subnormal numbers between them may overflow."""
    float64 = FORMATS["float64"]
    found = compare_runs(np.array([1e308]), np.array([0.0]), measured(1.0, expected=0.0), float64)
    assert found.deviation.tolist() == [np.finfo(np.float64).max]


def test_a_run_of_another_shape_is_wrong_everywhere() -> None:
    """The deviation is infinite, and the bound is zero."""
    for found in (
        compare_runs(np.ones(2), np.ones(1), measured(1.0), FLOAT32),
        compare(np.ones(2), lift(np.ones(1)), 1.0, FLOAT32),
    ):
        assert np.isinf(found.deviation).all()
        assert not found.bound.any()


def test_several_numbers_for_one_are_wrong_too() -> None:
    """The expected value is a scalar."""
    found = compare(np.ones(2), lift(np.float64(1.0)), 1.0, FLOAT32)
    assert found.deviation.tolist() == [np.inf]
    assert found.broken


def test_a_single_number_for_several_is_shown() -> None:
    """Several numbers of another shape are not shown."""
    assert compare(np.array([7.0]), lift(np.ones(2)), 1.0, FLOAT32).actual.tolist() == [7.0, 7.0]
    assert np.isnan(compare(np.full(3, 7.0), lift(np.ones(2)), 1.0, FLOAT32).actual).all()


def test_infinity_and_nan_exceed_every_bound() -> None:
    """The bound itself may be infinite."""
    found = Measurement(np.array([np.inf, np.nan, np.nan]), np.array([np.inf, np.inf, 1.0]), np.ones(3), np.ones(3))
    assert found.ratio.tolist() == [np.inf, np.inf, np.inf]
    assert found.over == 3


def test_nothing_is_no_deviation() -> None:
    """An empty measurement is not broken."""
    nothing = np.zeros(0)
    found = Measurement(nothing, nothing, nothing, nothing)
    assert (found.most_severe, found.over, found.broken) == (0.0, 0, False)


def test_a_deviation_that_is_the_bound_is_kept_and_one_beyond_is_not() -> None:
    """The comparison with the bound is exact."""
    at = compare(np.array([1.0 + 2.0**-22]), lift(np.array([1.0])), 2.0, FLOAT32)
    beyond = compare(np.array([1.0 + 2.0**-22]), lift(np.array([1.0])), np.nextafter(2.0, 0.0), FLOAT32)
    assert (at.broken, at.over, beyond.broken, beyond.over) == (False, 0, True, 1)


def test_only_an_exact_value_keeps_a_bound_of_zero() -> None:
    """The ratio 0 / 0 is no deviation, and any other number exceeds a bound of zero."""
    found = compare(np.array([1.0, 1.0 + 2.0**-23]), np.ones(2), 0.0, FLOAT32)
    assert found.ratio.tolist() == [0.0, np.inf]
    assert found.worst == (1,)


def test_the_severity_counts_a_bound_of_at_least_half_a_unit() -> None:
    """Violations of exact laws, whose bound is zero, remain comparable."""
    found = Measurement(np.array([1.0, 1.0, np.nan]), np.array([0.0, 2.0, 1.0]), np.ones(3), np.ones(3))
    assert found.severity.tolist() == [2.0, 0.5, np.inf]
    assert found.most_severe == np.inf
    assert measured(1.0).most_severe == 0.0


@pytest.mark.parametrize(("expected", "unit"), [(0.25, 2.0**-23), (1.0, 2.0**-23), (-8.0, 2.0**-20)])
def test_an_absolute_comparison_is_in_ulp_of_one_or_of_the_value(expected: float, unit: float) -> None:
    """The larger of both is the unit, for the bound too."""
    actual, exact = np.array([expected + 3.0 * unit]), np.array([expected])
    found = compare_absolute(actual, exact, np.array([4.0 * unit]), FLOAT32)
    assert (found.deviation.tolist(), found.bound.tolist()) == ([3.0], [4.0])


def test_an_absolute_comparison_of_infinities() -> None:
    """Equal infinities agree. Any other pair with a value that is not finite deviates by infinity."""
    actual, exact = np.array([np.inf, -np.inf, np.nan, 1.0]), np.array([np.inf, np.inf, 1.0, np.inf])
    found = compare_absolute(actual, exact, np.ones(4), FLOAT32)
    assert found.deviation.tolist() == [0.0, np.inf, np.inf, np.inf]


def test_the_worse_of_several_runs_is_the_one_that_deviates_more() -> None:
    """The choice is made for each element. If both deviate equally, the first is chosen."""
    one, two = (
        Measurement(np.array(deviation), np.ones(2), np.array(actual), np.zeros(2))
        for deviation, actual in (([1.0, 2.0], [10.0, 20.0]), ([1.0, 3.0], [11.0, 21.0]))
    )
    found = worse(one, two)
    assert (found.deviation.tolist(), found.actual.tolist()) == ([1.0, 3.0], [10.0, 21.0])


def test_the_absolute_tolerance_is_zero_for_non_finite_values() -> None:
    """The tolerance is zero for an infinite or NaN exact value."""
    exact = lift(np.array([1.0, np.inf, np.nan]))
    assert in_ulp(np.full(3, 2.0**-22), exact, FLOAT32).tolist() == [2.0, 0.0, 0.0]
