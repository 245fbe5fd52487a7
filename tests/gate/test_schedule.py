"""The time gate's schedule within its budget."""

import pytest

from harness.gate.confirmation import BLOCK
from harness.gate.schedule import ARMS, FEWER, MAX_SLICES, MIN_SLICES, MORE, RESERVE, Cost, SlicePlan, scheduled
from harness.timing.clock import ROUND_S

QUICK, SLOW = Cost(0.03, 1e-4), Cost(0.05, 0.2)


def test_two_blocks_of_couples_fit_into_the_budget() -> None:
    """The number of slices fills the budget."""
    costs = {f"case {number}": QUICK for number in range(14)}
    made = scheduled(costs, begin_s=0.3, left_s=80.0)
    couple_s = ARMS * 0.3 + sum(cost.couple_s(made.slices) for cost in costs.values())
    more_s = ARMS * 0.3 + sum(cost.couple_s(made.slices + 1) for cost in costs.values())
    assert 2 * BLOCK * couple_s <= RESERVE * 80.0 <= 2 * BLOCK * more_s
    assert MIN_SLICES < made.slices < MAX_SLICES
    assert (made.unreached, made.enough_s) == ((), 0.0)


def test_what_takes_longest_is_not_reached() -> None:
    """The other cases are measured."""
    made = scheduled({"slow": SLOW, "quick": QUICK}, begin_s=0.1, left_s=20.0)
    assert (list(made.costs), made.unreached) == (["quick"], ("slow",))


def test_the_budget_that_would_do_does() -> None:
    """A slow start of processes uses the whole budget; the suggested budget suffices."""
    costs = {"slow": SLOW, "quick": QUICK}
    made = scheduled(costs, begin_s=4.0, left_s=80.0)
    assert (dict(made.costs), set(made.unreached)) == ({}, {"slow", "quick"})
    assert made.enough_s > 80.0
    assert list(scheduled(costs, begin_s=4.0, left_s=made.enough_s + 1e-6).costs) == ["quick"]
    assert not scheduled(costs, begin_s=4.0, left_s=made.enough_s - 1e-3).costs


def test_when_few_cases_are_left_they_have_the_time_of_all() -> None:
    """A couple takes as long as before, or has the maximum of slices."""
    made = scheduled({f"case {number}": QUICK for number in range(14)}, begin_s=0.3, left_s=80.0)
    assert made.slices_of(list(made.costs), 100.0) == made.slices
    assert made.slices_of(["case 0", "case 1"], 100.0) == min(MAX_SLICES, 7 * made.slices)
    assert made.slices_of(["case 0"], 100.0) == MAX_SLICES


def test_the_couples_of_a_block_fit_into_what_is_left() -> None:
    """An incomplete block gives no result."""
    made = scheduled({f"case {number}": QUICK for number in range(14)}, begin_s=0.3, left_s=80.0)
    few = ["case 0", "case 1"]
    slices = made.slices_of(few, 2.0)
    assert MIN_SLICES < slices < made.slices_of(few, 100.0)
    assert made.couple_s(few, slices) <= 2.0 < made.couple_s(few, slices + 1)
    assert made.slices_of(few, 0.0) == MIN_SLICES


def test_nothing_to_measure_needs_no_budget() -> None:
    """No case is unreached."""
    made = scheduled({}, begin_s=0.3, left_s=80.0)
    assert (made.unreached, dict(made.costs)) == ((), {})


@pytest.mark.parametrize("warm_s", [1e-7, 1e-5, 1e-3, 0.1])
def test_a_slice_lasts_long_enough_for_the_clock(warm_s: float) -> None:
    """It takes ten milliseconds or five rounds, whichever is longer."""
    plan = Cost(0.03, warm_s).plan
    assert plan.rounds >= 5
    assert plan.rounds * plan.iterations * warm_s >= 0.0099


@pytest.mark.parametrize("warm_s", [1e-7, 1.3e-6, 4.9e-6, 5e-6, 2e-5, 1e-4, 0.3])
def test_the_control_has_a_tenth_more_calls_in_rounds_as_short_as_can_be(warm_s: float) -> None:
    """Its number of calls differs from that in the usual slices, which identifies it."""
    control, own = SlicePlan.of_control(warm_s), SlicePlan.of(warm_s)
    assert control.more * FEWER == control.iterations * MORE
    assert control.iterations != own.iterations
    # Rounding adds at most half of ten calls, and the difference to other slices another ten.
    assert control.iterations * warm_s <= ROUND_S + 1.5 * FEWER * warm_s
    assert control.rounds >= 5


def test_the_control_is_the_case_with_the_shortest_rounds() -> None:
    """A round has ten quick calls, or as many very quick calls as the clock needs."""
    costs = {f"{warm_s:g}": Cost(0.03, warm_s) for warm_s in (1e-3, 2e-5, 1e-4)}
    assert scheduled(costs, begin_s=0.1, left_s=80.0).control == "2e-05"
    assert scheduled(costs | {"1e-06": Cost(0.03, 1e-6)}, begin_s=0.1, left_s=80.0).control == "1e-06"
    assert scheduled(costs, begin_s=4.0, left_s=1.0).control is None
