"""Sentences that compare speeds: one rule for the wording, and each sentence agrees with its figure."""

import re

from hypothesis import given
from hypothesis import strategies as st

from harness.wording.number import EQUAL, compare_speed

ends = st.floats(0.01, 100.0)


@given(st.lists(ends, min_size=3, max_size=3).map(sorted))
def test_the_words_agree_with_the_ratio_and_its_interval(interval: list[float]) -> None:
    """Faster and slower need an interval on one side of 1; equal needs one close to 1; otherwise nothing is claimed."""
    low, ratio, high = interval
    words = compare_speed(ratio, low, high)
    number = [float(text) for text in re.findall(r"\d[\d.e+]*", words)]
    if words == "as fast as":
        assert 1 / EQUAL <= low <= high <= EQUAL
    elif words.startswith("not distinguishable"):
        assert low <= 1 <= high
    elif words.startswith("slower"):
        assert high < 1
        assert abs(number[0] * ratio - 1) < 0.01
    else:
        assert low > 1
        assert words.endswith("times as fast as")
        assert abs(number[0] / ratio - 1) < 0.01
