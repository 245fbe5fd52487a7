"""Formats, ulps and ordinals, checked by enumeration if possible, and comparisons just within and beyond a bound."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.error import UsageError
from harness.floats import (
    FORMATS,
    DoubleDouble,
    Format,
    Measurement,
    compare,
    compare_absolute,
    compare_runs,
    convert_to_ulp,
    deviation,
    format_of,
    from_ordinal,
    lift,
    round_to,
    to_ordinal,
    ulp,
    worse,
)

FLOAT32 = FORMATS["float32"]
HALVES = [FORMATS["float16"], FORMATS["bfloat16"]]


def every_value(format_: Format) -> torch.Tensor:
    """Return all finite values of a 16-bit format, except negative zero."""
    patterns = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16)
    values = patterns.view(format_.dtype)
    return values[values.isfinite() & ~((values == 0) & values.signbit())]


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_constants_are_those_of_torch(format_: Format) -> None:
    """They are largest, smallest normal, smallest subnormal and unit roundoff."""
    info = torch.finfo(format_.dtype)
    assert format_.max == info.max
    assert format_.tiny == info.tiny
    assert format_.smallest == info.smallest_normal * info.eps
    assert 2.0 * format_.u == info.eps


def test_a_reduction_accumulates_in_float32_at_least() -> None:
    """Wider formats accumulate in themselves, with the same flushing."""
    assert {format_.accumulator.name for format_ in HALVES} == {"float32"}
    for name in ("float32", "float64"):
        flushed = replace(FORMATS[name], flushes=True)
        assert flushed.accumulator is flushed
    assert [format_.u_accumulator for format_ in FORMATS.values()] == [2.0**-53, 2.0**-24, 2.0**-24, 2.0**-24]


@pytest.mark.parametrize("format_", HALVES, ids=lambda format_: format_.name)
def test_ulp_is_the_distance_to_the_next_float_on_every_value(format_: Format) -> None:
    """The distance is measured away from zero. For the largest value it is the spacing of its binade."""
    values = every_value(format_).double()
    positive = values[values >= 0].sort().values.numpy()
    assert np.array_equal(ulp(lift(positive[:-1]), format_), np.diff(positive))
    assert ulp(lift(positive[-1:]), format_)[0] == positive[-1] - positive[-2]


def test_ulp_just_below_a_power_of_two_is_that_of_the_binade_below() -> None:
    """The low part decides on which side of the power the exact value lies."""
    below = DoubleDouble(np.array([1.0]), np.array([-1e-20]))
    above = DoubleDouble(np.array([1.0]), np.array([1e-20]))
    float32 = FORMATS["float32"]
    assert ulp(below, float32)[0] == 2.0**-24
    assert ulp(above, float32)[0] == 2.0**-23


@pytest.mark.parametrize("format_", HALVES, ids=lambda format_: format_.name)
def test_ordinals_number_every_value_without_a_gap(format_: Format) -> None:
    """Neighbors differ by one, and the conversion back is exact."""
    values = every_value(format_)
    ordered = values[values.double().argsort()]
    ordinals = to_ordinal(ordered)
    assert np.array_equal(np.diff(ordinals), np.ones(len(ordinals) - 1))
    assert torch.equal(from_ordinal(ordinals, format_), ordered)


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_rounding_to_nearest_deviates_by_at_most_half_an_ulp(format_: Format) -> None:
    """The values include normal and subnormal numbers and zero."""
    rng = np.random.default_rng(0)
    exact = rng.standard_normal(20000) * np.exp2(
        rng.uniform(format_.emin - format_.precision - 2, format_.emax - 2, 20000)
    )
    rounded = torch.from_numpy(exact).to(format_.dtype).double().numpy()
    assert deviation(rounded, lift(exact), format_).max() <= 0.5


def test_the_overflow_threshold_is_the_largest_float_and_half_an_ulp() -> None:
    """Infinity is right from there on, and wrong below."""
    float16 = FORMATS["float16"]
    exact = lift(np.array([65519.0, 65520.0, 65519.0, 65520.0]))
    actual = np.array([np.inf, np.inf, 65504.0, 65504.0])
    assert np.array_equal(deviation(actual, exact, float16), [np.inf, 0.0, 15.0 / 32.0, np.inf])


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("below", "overflows"), [(-1e-9, False), (0.0, True), (1e-9, True)])
def test_the_low_part_decides_at_the_overflow_threshold(sign: float, below: float, overflows: bool) -> None:
    """The exact value differs from the threshold by less than float64 can represent."""
    float16 = FORMATS["float16"]
    exact = DoubleDouble(np.array([sign * 65520.0]), np.array([sign * below]))
    assert np.isfinite(deviation(np.array([sign * 65504.0]), exact, float16)[0]) != overflows
    assert (deviation(np.array([sign * np.inf]), exact, float16)[0] == 0.0) == overflows
    assert round_to(exact, float16).isinf().item() is overflows


@pytest.mark.parametrize("actual", [np.nan, np.inf, -np.inf])
def test_a_non_finite_value_deviates_infinitely_from_a_finite_value(actual: float) -> None:
    """No tolerance hides it."""
    assert deviation(np.array([actual]), lift(np.array([1.0])), FORMATS["float32"])[0] == np.inf


def test_nan_is_right_only_where_nan_is_expected() -> None:
    """NaN for an expected NaN has no deviation; a number does deviate."""
    expected = lift(np.array([np.nan, np.nan]))
    assert np.array_equal(deviation(np.array([np.nan, 1.0]), expected, FORMATS["float32"]), [0.0, np.inf])


@pytest.mark.parametrize("format_", FORMATS.values(), ids=lambda format_: format_.name)
def test_closed_forms_of_the_breaking_points_are_those_of_exp(format_: Format) -> None:
    """The correctly rounded exponential overflows just above log_max, and is zero below log_smallest."""
    point = torch.tensor(format_.log_max, dtype=torch.float64).to(format_.dtype)
    after = from_ordinal(to_ordinal(point) + 1, format_).double()
    before = from_ordinal(to_ordinal(point) - 1, format_).double()
    assert before.exp().to(format_.dtype).isfinite()
    assert after.exp().to(format_.dtype).isinf()


def test_an_unknown_format_is_the_users_error() -> None:
    """The message lists the known formats."""
    with pytest.raises(UsageError, match="float32"):
        format_of("float8")


def test_a_number_of_a_wider_format_beyond_the_largest_deviates_as_any_other() -> None:
    """The mean of squares of float16's largest number is in float32, where both values are finite."""
    float16, square = FORMATS["float16"], 65504.0**2
    expected = lift(np.full(5, square))
    actual = np.array([square, square + 32.0, np.inf, 65504.0, -square])
    assert deviation(actual, expected, float16).tolist() == [0.0, 1.0, 0.0, np.inf, 2.0 * square / 32.0]


# Measurements


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
    for second, first, expected in pairs:
        found = compare_runs(np.array([second]), np.array([first]), measured(1.0), FLOAT32)
        assert found.deviation.tolist() == [expected]


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
    assert convert_to_ulp(np.full(3, 2.0**-22), exact, FLOAT32).tolist() == [2.0, 0.0, 0.0]
