"""The batch size from which a time is the shorter one: its point, its interval, and its words."""

import math

import pytest

from harness.record import Estimate, Method
from harness.record.crossing import DeviceComparison, Times, find_crossing
from harness.wording.table.step import compare_in_words, crossing_table, format_crossing

SIZES = (1, 32, 256, 1024, 8192)


def times_of(constant_s: float, row_s: float, *, share: float = 0.0, sizes: tuple[int, ...] = SIZES) -> Times:
    """Return times that are constant plus a part for each row, with intervals of a share on either side."""
    times_s = {size: constant_s + row_s * size for size in sizes}
    return {size: Estimate(s, s * (1 - share), s * (1 + share), Method.BLOCKED) for size, s in times_s.items()}


def test_exact_times_cross_where_they_are_equal() -> None:
    """Times that are straight lines in the batch size have no uncertainty between the sizes."""
    crossing = find_crossing(times_of(1e-4, 1e-6), times_of(5e-4, 2e-7))
    assert crossing is not None
    assert crossing.point == pytest.approx(500, rel=0.01)
    assert crossing.low == pytest.approx(500, rel=0.01)
    assert crossing.high == pytest.approx(500, rel=0.01)


def test_the_interval_has_the_crossings_of_all_times_within_theirs() -> None:
    """Five percent more on one side and less on the other move it to 368 and 668."""
    crossing = find_crossing(times_of(1e-4, 1e-6, share=0.05), times_of(5e-4, 2e-7, share=0.05))
    assert crossing is not None
    earliest, latest = (
        (5e-4 * fast - 1e-4 * slow) / (1e-6 * slow - 2e-7 * fast) for slow, fast in ((1.05, 0.95), (0.95, 1.05))
    )
    assert crossing.low <= earliest < latest <= crossing.high
    assert crossing.high / crossing.low < 2.5


@pytest.mark.parametrize("knee", [300, 700, 1500, 3000, 6000])
def test_a_knee_between_two_sizes_lies_in_the_interval(knee: int) -> None:
    """A device takes a constant time up to the knee; the chord across it is too high, and the interval knows."""
    slow = times_of(0.0, 1e-6 * 1.02)
    fast = {size: Estimate(s, s, s, Method.BLOCKED) for size in SIZES for s in [max(knee * 1e-6, size * 5e-7)]}
    crossing = find_crossing(slow, fast)
    assert crossing is not None
    assert crossing.low <= knee / 1.02 <= crossing.high


@pytest.mark.parametrize(
    ("slow", "fast", "text", "sentence"),
    [
        (times_of(1e-4, 0), times_of(2e-4, 0), "not up to 8,192", "sim is not faster up to 8,192 rows"),
        (times_of(2e-4, 0), times_of(1e-4, 0), "1 or less", "sim is faster from 1 row on"),
        (times_of(1e-4, 1e-6), times_of(5e-4, 2e-7), "500 [490, 510]", "from 500 [490, 510] rows on sim is faster"),
        (times_of(1e-4, 0), {}, "–", ""),
    ],
)
def test_a_crossing_in_words(slow: Times, fast: Times, text: str, sentence: str) -> None:
    """It may lie outside of the measured sizes, or be unknown."""
    crossing = find_crossing(slow, fast)
    assert format_crossing(crossing) == text
    assert compare_in_words(DeviceComparison("step", "sim", crossing, None, None)) == sentence


def test_an_end_beyond_the_measured_sizes_is_named() -> None:
    """Nothing was measured there."""
    crossing = find_crossing(times_of(1e-4, 1e-6, share=0.3), times_of(4e-3, 4e-7, share=0.3))
    assert format_crossing(crossing).endswith(", more than 8,192]")


def test_the_last_measured_size_limits_a_crossing() -> None:
    """Below it, the time of two sizes might rise at its end only; there, it was measured."""
    crossing = find_crossing(times_of(0.0, 1e-6, sizes=(1024, 8192)), times_of(5e-3, 0.0, sizes=(1024, 8192)))
    assert crossing is not None
    assert crossing.high == pytest.approx(8192)


def test_an_early_win_that_is_lost_again_does_not_count() -> None:
    """The crossing is the last one."""
    slow = {size: Estimate(s, s, s, Method.BLOCKED) for size, s in {1: 2.0, 32: 0.5, 256: 2.0}.items()}
    crossing = find_crossing(slow, times_of(1.0, 0, sizes=(1, 32, 256)))
    assert crossing is not None
    assert 32 < crossing.point < 256


def test_unknown_intervals_leave_the_point() -> None:
    """Older runs have medians only."""
    fast = {size: Estimate(s, math.nan, math.nan, Method.BLOCKED) for size in SIZES for s in [5e-4 + size * 2e-7]}
    assert format_crossing(find_crossing(times_of(1e-4, 1e-6), fast)) == "500"


def test_the_table_has_a_row_for_each_step_and_device() -> None:
    """The columns say from which batch size on the device does not wait, is faster, and is faster with copies."""
    crossing = find_crossing(times_of(1e-4, 1e-6), times_of(5e-4, 2e-7))
    table = crossing_table([DeviceComparison("step", "sim", crossing, None, crossing)])
    assert table.rows == (("step", "sim", "500 [490, 510]", "500 [490, 510]", "–"),)
    sentence = compare_in_words(DeviceComparison("step", "sim", crossing, None, crossing))
    assert sentence.startswith("below 500 rows sim waits for Python; from ")
