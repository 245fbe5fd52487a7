"""Sentences that compare speeds: one rule for the words, and each sentence agrees with the points that are drawn."""

import itertools
import re
from collections.abc import Sequence

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from harness.reports.figures.speed_comparison import (
    compare_closed_forms,
    compare_loaders,
    compare_steps,
    compare_styles,
    compare_with_less_accurate,
    compare_with_loop,
    compare_with_reference,
    compare_with_step,
    compare_workers,
    find_fastest,
)
from harness.wording.number import EQUAL, compare_speed

Interval = Sequence[float]
"""The low end, the middle and the high end."""

ends = st.floats(0.01, 100.0)
intervals = st.lists(ends, min_size=3, max_size=3).map(sorted)
WORDS = r"(?P<faster>[\d.e+]+) times as fast as|(?P<equal>as fast as)|slower, by a factor of (?P<slower>[\d.e+]+), than"
WORDS = f"(?:{WORDS}|(?P<open>not distinguishable in speed from))"


def assert_true(words: str, low: float, ratio: float, high: float) -> None:
    """Compare the words with the ratio of two speeds and its interval; rounding may move an end by an ulp or two."""
    found = re.search(WORDS, words)
    assert found, words
    tiny = 1e-9
    if found["equal"]:
        assert 1 / EQUAL - tiny <= low <= high <= EQUAL + tiny
    elif found["open"]:
        assert low <= 1 + tiny
        assert high >= 1 - tiny
    elif found["slower"]:
        assert high < 1 + tiny
        assert abs(float(found["slower"]) * ratio - 1) < 0.01
    else:
        assert low > 1 - tiny
        assert abs(float(found["faster"]) / ratio - 1) < 0.01


def divide(first: Interval, second: Interval) -> Interval:
    """Return the ratio of two intervals."""
    return first[0] / second[2], first[1] / second[1], first[2] / second[0]


@given(intervals)
def test_the_words_agree_with_the_ratio_and_its_interval(interval: list[float]) -> None:
    """Faster and slower need an interval on one side of 1; equal needs one close to 1; otherwise nothing is claimed."""
    low, ratio, high = interval
    assert_true(compare_speed(ratio, low, high), low, ratio, high)


def steps(times: Sequence[Interval], ratios: Sequence[float]) -> pd.DataFrame:
    """Return rows of steps with these quartiles, medians and deviations, named in their order."""
    rows = [
        {"case": f"f.{style}.step", "style": style, "q1_s": low, "median_s": middle, "q3_s": high}
        for (low, middle, high), style in zip(times, itertools.chain(["scratch", "concise"], "abcd"), strict=False)
    ]
    return pd.DataFrame(rows).assign(family="f", device="cpu", batch_size=256, floor_s=float("nan"), ratio=ratios)


@given(st.lists(intervals, min_size=2, max_size=4))
def test_sentences_about_steps_agree_with_their_times(times: list[Interval]) -> None:
    """The pair with the smallest and the largest median, the two styles, the fastest one, and a less accurate one."""
    frame = steps(times, [0.5, *[0.25] * (len(times) - 2), 0.75])
    by_median = sorted(times, key=lambda time: time[1])
    assert_true(compare_steps(frame)[1], *divide(by_median[-1], by_median[0]))
    assert_true(compare_styles(frame), *divide(times[0], times[1]))
    is_fastest = find_fastest(frame) is not None
    fastest = [divide(other, by_median[0]) for other in by_median[1:]]
    assert is_fastest == all(low > 1 and high > EQUAL for low, _, high in fastest)
    if sentence := compare_with_less_accurate(frame):
        less_accurate = re.sub(".* f.(.*).step, .*", r"\1", sentence)
        (number,) = frame.index[frame["style"] == less_accurate]
        assert_true(sentence, *divide(times[number], by_median[0]))
        assert frame["ratio"][number] > frame.sort_values("median_s", kind="stable")["ratio"].iloc[0]


@given(st.lists(intervals, min_size=1, max_size=3))
def test_sentences_about_ratios_agree_with_their_bars(bars: list[Interval]) -> None:
    """A ratio of times is one over the ratio of speeds."""
    rows = [{"case": "f.scratch.step", "style": "scratch", "low": 1.0, "ratio": 1.0, "high": 1.0}]
    for (low, ratio, high), style in zip(bars, "abc", strict=False):
        rows.append({"case": f"f.{style}.step", "style": style, "low": low, "ratio": ratio, "high": high})
    frame = pd.DataFrame(rows).assign(contract="f_step", device="cpu", batch_size=256, reference="f.scratch.step")
    smallest = min(bars, key=lambda bar: bar[1])
    gain = divide((1.0, 1.0, 1.0), smallest)
    claim = compare_with_reference(frame)
    if claim.startswith("No step is faster"):
        assert smallest[1] >= 1 or gain[0] <= 1 or gain[2] <= EQUAL
    else:
        assert_true(claim, *gain)
        assert "times as fast as" in claim
    assert_true(compare_closed_forms(frame), *gain)
    points = pd.DataFrame(bars, columns=["low", "ratio", "high"])
    largest = max(bars, key=lambda bar: bar[1])
    loop = compare_with_loop(points)
    if "times as fast as" in loop:
        assert_true(loop, *largest)
    else:
        assert largest[0] <= 1 or largest[2] <= EQUAL


@given(st.lists(intervals, min_size=2, max_size=4), st.booleans())
def test_sentences_about_loaders_agree_with_their_rates(rates: list[Interval], has_intervals: bool) -> None:
    """The fastest loader, more workers and none, and reading compared with the step; a rate may have no interval."""
    rates = rates if has_intervals else [[middle] * 3 for _, middle, _ in rates]
    columns = ["samples_per_s_low", "samples_per_s", "samples_per_s_high"]
    frame = pd.DataFrame(rates, columns=columns).assign(batch_size=32)
    if not has_intervals:
        frame[columns[::2]] = float("nan")
    cases = [f"loader_{number}" for number in range(len(rates))]
    ordered = sorted(rates, key=lambda rate: -rate[1])
    first = divide(ordered[0], ordered[1])
    claim = compare_loaders(frame.assign(case=cases, workers=0), dict(zip(cases, cases, strict=True)))
    if claim.endswith("is the fastest data loader"):
        assert first[0] > 1
    else:
        assert_true(claim, *first)
        assert "times as fast" not in claim
    ((_, gain),) = compare_workers(frame.assign(workers=range(len(rates))))
    assert_true(gain, *divide(max(rates[1:], key=lambda rate: rate[1]), rates[0]))
    low, middle, high = rates[0]
    row = pd.Series({"load_to_step_low": low, "load_to_step": middle, "load_to_step_high": high})
    assert_true(compare_with_step(row), *divide((1.0, 1.0, 1.0), (low, middle, high)))
