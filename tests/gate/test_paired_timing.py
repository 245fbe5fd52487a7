"""The time gate on a simulated machine, whose clock is a number, and its schedule within the budget."""

from collections import Counter

import pytest
from samples.simulated_gate import CASES, Load, Machine, ran

from harness.gate.arm import CANDIDATE, FEWER, MORE, SlicePlan
from harness.gate.confirmation import BLOCK, Evidence
from harness.gate.finding import comparisons, exit_code, none_reached, time_findings
from harness.gate.paired_timing import ARMS, MAX_SLICES, MIN_SLICES, RESERVE, Cost, make_schedule
from harness.gate.policy import Policy
from harness.timing.clock import ROUND_S


def pairs(evidence: Evidence) -> Counter[str]:
    """Count the pairs of each case."""
    return Counter(one.case for one in evidence.slices if one.arm == CANDIDATE)


def code(evidence: Evidence, *, blind: bool = False) -> int:
    """Return the exit code."""
    return exit_code(time_findings(evidence, comparisons(evidence, Policy())), blind=blind)


def after(start_s: float, factor: float) -> Load:
    """Return a load that begins at some second."""
    return lambda now: factor if now >= start_s else 1.0


LOADS = {
    "none": after(0.0, 1.0),
    "constant": after(0.0, 5.0),
    "once the plan is made": after(0.5, 5.0),
    "after the first pairs": after(12.0, 4.0),
    "rising": lambda now: 1.0 + now / 10.0,
    "bursts": lambda now: 6.0 if now % 10.0 < 3.0 else 1.0,
}


@pytest.mark.parametrize("load", LOADS.values(), ids=LOADS)
@pytest.mark.parametrize("budget_s", [5.0, 20.0, 60.0, 100.0])
@pytest.mark.parametrize("slowdown", [1.0, 1.44])
def test_a_case_has_five_pairs_or_is_named_as_not_timed(load: Load, budget_s: float, slowdown: float) -> None:
    """For any load, a case with fewer pairs has no verdict, and slower code never passes."""
    machine = Machine(load, slowdown=slowdown)
    evidence = ran(machine, budget_s)
    counts = pairs(evidence)
    assert {case for case in CASES if counts[case] < BLOCK} == set(evidence.unreached)
    assert machine.now <= budget_s + max(machine.pairs_s, default=0.0)
    assert code(evidence) == (2 if evidence.unreached else 0) if slowdown == 1.0 else code(evidence) in {1, 2}
    if slowdown > 1.0 and max(counts.values(), default=0) > 1:
        assert code(evidence, blind=True) in {1, 2}


def test_fewer_cases_are_timed_fully_where_the_first_pair_took_longer_than_planned() -> None:
    """The plan fits all cases. After the machine becomes busy, the remaining cases fit with their confirmation."""
    assert set(pairs(ran(Machine(), 40.0))) == set(CASES)
    evidence = ran(Machine(after(0.5, 3.0), slowdown=1.44), 40.0)
    counts = pairs(evidence)
    full = [case for case in CASES if counts[case] == 2 * BLOCK]
    assert 0 < len(full) < len(CASES)
    assert {case for case in CASES if case not in full} == set(evidence.unreached)
    sentences = [finding.sentence for finding in time_findings(evidence, comparisons(evidence, Policy()))]
    assert sum("got slower: +44.0 %" in sentence for sentence in sentences) == len(full)
    assert code(evidence) == 1


def test_the_cheapest_cases_and_the_control_are_kept() -> None:
    """The slowest cases are dropped first, which leaves time for most others."""
    evidence = ran(Machine(after(0.5, 5.0)), 30.0)
    assert evidence.control not in evidence.unreached
    assert "kernels.case_5" in evidence.unreached


def test_confirmations_come_before_what_cannot_be_told() -> None:
    """A load after the first look leaves time only for the suspected case."""
    machine = Machine(after(26.0, 6.0), slowdown=1.44)
    evidence = ran(machine, 60.0)
    counts = pairs(evidence)
    assert not evidence.unreached
    assert min(counts.values()) >= BLOCK
    assert max(counts.values()) == 2 * BLOCK
    assert code(evidence) == 1


def test_cases_that_were_dropped_are_timed_when_the_others_are_decided_early() -> None:
    """A neighbor was busy during the plan only, which costs no verdict."""
    assert not ran(Machine(lambda now: 6.0 if now < 3.0 else 1.0), 60.0).unreached


def test_looking_how_long_calls_take_ends_with_the_budget() -> None:
    """Unreached cases are named with a sufficient budget, for which at least one case is timed."""
    for budget_s, longest_s in ((5.0, 8.0), (0.1, 3.0)):
        machine = Machine(prepare_s=2.0)
        evidence = ran(machine, budget_s)
        assert machine.now < longest_s
        assert set(evidence.unreached) == set(CASES)
        assert evidence.enough_s > 2 * BLOCK * 3 * 2.0
        assert code(evidence, blind=True) == 2


def test_nothing_is_measured_if_start_up_takes_the_whole_budget() -> None:
    """The gate ends at once, and suggests a budget from the duration of the start-up."""
    machine = Machine()
    machine.pass_s(70.0)
    evidence = ran(machine, 60.0)
    assert machine.now == 70.0
    assert set(evidence.unreached) == set(CASES)
    assert "`--budget 260`" in none_reached(evidence)
    assert code(evidence, blind=True) == 2


def test_start_up_counts_and_is_named_where_it_took_the_budget() -> None:
    """Time that passed before the first case leaves less for pairs; the sentence says how much."""
    machine = Machine()
    machine.pass_s(50.0)
    evidence = ran(machine, 55.0)
    assert machine.now < 60.0
    assert (pairs(evidence), evidence.startup_s > 50.0) == (Counter(), True)
    assert none_reached(evidence).endswith(f"on this machine, where start-up takes {evidence.startup_s:.0f} s.")
    assert code(evidence, blind=True) == 2


# The schedule


QUICK, SLOW = Cost(0.03, 1e-4), Cost(0.05, 0.2)


def test_two_blocks_of_pairs_fit_into_the_budget() -> None:
    """The number of slices fills the budget."""
    costs = {f"case {number}": QUICK for number in range(14)}
    made = make_schedule(costs, begin_s=0.3, left_s=80.0)
    pair_s = ARMS * 0.3 + sum(cost.pair_s(made.slices) for cost in costs.values())
    more_s = ARMS * 0.3 + sum(cost.pair_s(made.slices + 1) for cost in costs.values())
    assert 2 * BLOCK * pair_s <= RESERVE * 80.0 <= 2 * BLOCK * more_s
    assert MIN_SLICES < made.slices < MAX_SLICES
    assert (made.unreached, made.enough_s) == ((), 0.0)


def test_what_takes_longest_is_not_reached() -> None:
    """The other cases are measured."""
    made = make_schedule({"slow": SLOW, "quick": QUICK}, begin_s=0.1, left_s=20.0)
    assert (list(made.costs), made.unreached) == (["quick"], ("slow",))


def test_the_budget_that_would_do_does() -> None:
    """A slow start of processes uses the whole budget; the suggested budget suffices."""
    costs = {"slow": SLOW, "quick": QUICK}
    made = make_schedule(costs, begin_s=4.0, left_s=80.0)
    assert (dict(made.costs), set(made.unreached)) == ({}, {"slow", "quick"})
    assert made.enough_s > 80.0
    assert list(make_schedule(costs, begin_s=4.0, left_s=made.enough_s + 1e-6).costs) == ["quick"]
    assert not make_schedule(costs, begin_s=4.0, left_s=made.enough_s - 1e-3).costs


def test_when_few_cases_are_left_they_have_the_time_of_all() -> None:
    """A pair takes as long as before, or has the maximum of slices."""
    made = make_schedule({f"case {number}": QUICK for number in range(14)}, begin_s=0.3, left_s=80.0)
    assert made.count_slices(list(made.costs), 100.0) == made.slices
    assert made.count_slices(["case 0", "case 1"], 100.0) == min(MAX_SLICES, 7 * made.slices)
    assert made.count_slices(["case 0"], 100.0) == MAX_SLICES


def test_the_pairs_of_a_block_fit_into_what_is_left() -> None:
    """An incomplete block gives no result."""
    made = make_schedule({f"case {number}": QUICK for number in range(14)}, begin_s=0.3, left_s=80.0)
    few = ["case 0", "case 1"]
    slices = made.count_slices(few, 2.0)
    assert MIN_SLICES < slices < made.count_slices(few, 100.0)
    assert made.pair_s(few, slices) <= 2.0 < made.pair_s(few, slices + 1)
    assert made.count_slices(few, 0.0) == MIN_SLICES


def test_nothing_to_measure_needs_no_budget() -> None:
    """No case is unreached."""
    made = make_schedule({}, begin_s=0.3, left_s=80.0)
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
    control, own = SlicePlan.plan_control(warm_s), SlicePlan.of(warm_s)
    assert control.more * FEWER == control.iterations * MORE
    assert control.iterations != own.iterations
    # Rounding adds at most half of ten calls, and the difference to other slices another ten.
    assert control.iterations * warm_s <= ROUND_S + 1.5 * FEWER * warm_s
    assert control.rounds >= 5


def test_the_control_is_the_case_with_the_shortest_rounds() -> None:
    """A round has ten quick calls, or as many very quick calls as the clock needs."""
    costs = {f"{warm_s:g}": Cost(0.03, warm_s) for warm_s in (1e-3, 2e-5, 1e-4)}
    assert make_schedule(costs, begin_s=0.1, left_s=80.0).control == "2e-05"
    assert make_schedule(costs | {"1e-06": Cost(0.03, 1e-6)}, begin_s=0.1, left_s=80.0).control == "1e-06"
    assert make_schedule(costs, begin_s=4.0, left_s=1.0).control is None
