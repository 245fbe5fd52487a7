"""Formats, ulps and ordinals, checked by enumeration if possible."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.error import UsageError
from harness.floats import (
    FORMATS,
    DoubleDouble,
    Format,
    deviation,
    format_of,
    from_ordinal,
    lift,
    round_to,
    to_ordinal,
    ulp,
)

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
