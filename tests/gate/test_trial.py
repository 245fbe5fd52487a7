"""The time gate on a simulated machine: its clock is a number, and no process starts."""

from collections import Counter

import pytest
from samples.simulated_gate import CASES, Load, Machine, ran

from harness.gate.arm import CANDIDATE
from harness.gate.confirmation import BLOCK
from harness.gate.evidence import Evidence
from harness.gate.finding import comparisons, exit_code, none_reached, timed
from harness.gate.policy import Policy


def pairs(evidence: Evidence) -> Counter[str]:
    """Count the pairs of each case."""
    return Counter(one.case for one in evidence.slices if one.arm == CANDIDATE)


def code(evidence: Evidence, *, blind: bool = False) -> int:
    """Return the exit code."""
    return exit_code(timed(evidence, comparisons(evidence, Policy())), blind=blind)


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
    sentences = [finding.sentence for finding in timed(evidence, comparisons(evidence, Policy()))]
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
