"""The trend over several steps names the line that approaches its limit, and the step at which it breaks."""

import pytest
from samples.audit import audit, room

from harness.findings import find_trends
from harness.wording.audit import format_trend, select_informative


def over(*factors: float) -> list:
    """Return steps in which a line has these remaining factors."""
    return [
        audit().model_copy(update={"step": step, "headroom": (room(factor=factor),)})
        for step, factor in enumerate(factors, 1)
    ]


def test_what_loses_a_bit_a_step_is_gone_when_none_is_left() -> None:
    """A factor of 16 in the first step is four bits, which are used up at the fifth step."""
    (trend,) = find_trends(over(16.0, 8.0, 4.0, 2.0))
    assert trend.bits_a_step == pytest.approx(1.0)
    assert trend.gone_at == 5
    assert "falls by 1 bits per step and would reach zero at step 5" in format_trend(trend)


@pytest.mark.parametrize("factors", [(2.0, 4.0, 8.0), (4.0, 4.0, 4.0), (4.0, 2.0), (4.0, 2.0, 0.5)])
def test_no_trend_is_told_of_what_widens_stays_was_seen_twice_or_is_gone(factors: tuple[float, ...]) -> None:
    """No failure can be predicted."""
    assert find_trends(over(*factors)) == []


def test_a_line_that_is_far_from_breaking_is_let_alone() -> None:
    """The trend is a thousandth of a bit per step, with twenty bits left."""
    assert find_trends(over(*(2.0 ** (20 - 0.001 * step) for step in range(5)))) == []


def test_of_a_step_that_was_called_often_the_first_call_with_findings_tells_most() -> None:
    """Without findings the last call counts, and each step has one."""
    sound = [audit().model_copy(update={"step": step, "findings": ()}) for step in range(3)]
    wrong = [audit().model_copy(update={"step": step}) for step in (3, 4)]
    other = audit("other.step")
    assert [one.step for one in select_informative([*sound, *wrong, other])] == [3, 1]
    assert [one.step for one in select_informative(sound)] == [2]
