"""Numbers in terminal and page: three digits, in a unit with a digit before the point."""

import math

import pytest

from harness.wording.number import SECONDS, plain, scale_to_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.0123456, "0.0123"), (9.996, "10.0"), (1013.4, "1,013"), (1.5e-7, "1.50e-07"), (math.nan, "–")],
)
def test_a_number_has_three_significant_digits(value: float, text: str) -> None:
    """Integer digits are never cut, and an unknown value is a dash."""
    assert plain(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.99949, ("999", "ms")), (0.99951, ("1.00", "s")), (3e-10, ("0.300", "ns")), (4000.0, ("4,000", "s"))],
)
def test_a_unit_leaves_a_digit_before_the_point_after_rounding(value: float, text: tuple[str, str]) -> None:
    """A value that rounds up to a unit is written in it. Beyond the range, the smallest and the largest unit remain."""
    assert scale_to_unit(value, SECONDS) == text
