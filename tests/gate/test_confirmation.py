"""The suspicion and confirmation of slowdowns, on simulated and recorded slices."""

import gzip
import json
import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import pytest
from samples.simulated_slices import HONEST, Machine, couple, crowded, long_bursting, quiet, slow_arm

from harness.gate.confirmation import (
    BLOCK,
    Margins,
    State,
    fastest,
    is_slower,
    log_ratio,
    seems_slower,
    sharper,
    state,
    visible,
)
from harness.record import bounded_ratio, standard_error

RECORDED = Path(__file__).parents[1] / "recorded" / "slices.jsonl.gz"
LIMITS = Margins()
MAX_BLOCKS = 4
Slices = Sequence[Sequence[float]]
"""The fastest rounds of base, candidate and second base in a couple."""


def decided(draw: Callable[[int], Sequence[Slices]]) -> State:
    """Decide block by block, like a measurement, until the case is settled or no couples remain."""
    couples: list[Slices] = []
    reached = State.OPEN
    for block in range(MAX_BLOCKS):
        couples += draw(block)
        read = sharper([(base, null) for base, _, null in couples])
        ratios = [read(base, candidate) for base, candidate, _ in couples]
        reached = state(ratios, [read(base, null) for base, _, null in couples], LIMITS)
        if reached.is_settled:
            break
    return reached


def simulated(rng: np.random.Generator, machine: Machine, slowdown: float) -> State:
    """Decide a case on a machine."""

    def block(number: int) -> Sequence[Slices]:
        times = (number * BLOCK + np.arange(BLOCK)) / (MAX_BLOCKS * BLOCK)
        return [couple(rng, machine, slowdown, when) for when in times]

    return decided(block)


def share(machine: Machine, slowdown: float, wanted: State, runs: int) -> float:
    """Return the share of cases that end in a state."""
    rng = np.random.default_rng(20240229)
    return sum(simulated(rng, machine, slowdown) is wanted for _ in range(runs)) / runs


@pytest.mark.parametrize("machine", [*HONEST.values(), long_bursting], ids=[*HONEST, "long bursts"])
def test_identical_code_is_not_slower_on_any_machine(machine: Machine) -> None:
    """At most one case in a thousand is a false alarm; on most of these machines there is none."""
    assert share(machine, 0.0, State.SLOWER, 1000) <= 0.001


@pytest.mark.parametrize("machine", HONEST.values(), ids=HONEST)
def test_a_tenth_more_work_is_found_on_every_machine(machine: Machine) -> None:
    """It is found in at least 99 of 100 cases."""
    assert share(machine, 0.10, State.SLOWER, 300) >= 0.99


def test_a_slowdown_within_the_margin_is_none() -> None:
    """The slowdown is one percent on a quiet machine."""
    assert share(HONEST["quiet"], 0.01, State.UNCHANGED, 200) == 1.0


def test_faster_code_is_called_so() -> None:
    """The case passes, and the improvement is reported."""
    assert share(HONEST["quiet"], -0.10, State.FASTER, 200) == 1.0


def test_a_machine_that_favours_a_process_voids_the_case() -> None:
    """The base differs from itself by four percent, so that nothing is known about the candidate."""
    assert share(slow_arm, 0.0, State.VOID, 50) == 1.0
    assert share(slow_arm, 0.10, State.VOID, 50) == 1.0


def test_a_suspicion_needs_fresh_couples_to_be_confirmed() -> None:
    """Five slow couples make a suspicion, and only the next five decide."""
    slow = [0.10, 0.101, 0.099, 0.10, 0.102]
    same = [0.001, -0.001, 0.0, 0.002, -0.002]
    assert state(slow, same, LIMITS) is State.SUSPECTED
    assert state(slow + slow, same + same, LIMITS) is State.SLOWER
    assert state(slow + same, same + same, LIMITS) is not State.SLOWER


def test_what_was_decided_at_a_look_stays_decided() -> None:
    """Later couples are ignored, so that waiting longer makes no regression."""
    same, slow = [0.001, -0.001, 0.0, 0.002, -0.002], [0.3] * BLOCK
    assert state(same + slow + slow, same * 3, LIMITS) is State.UNCHANGED


def test_fewer_than_five_pairs_are_no_verdict() -> None:
    """A slowdown is suspected; any other result has too few pairs."""
    few = BLOCK - 1
    assert state([0.5] * few, [0.0] * few, LIMITS) is State.SUSPECTED
    assert state([0.0] * few, [0.0] * few, LIMITS) is State.FEW
    assert state([-0.5] * few, [0.0] * few, LIMITS) is State.FEW
    assert state([0.5], [0.0], LIMITS) is State.FEW
    assert state([], [], LIMITS) is State.FEW


def test_pairs_after_the_last_look_can_raise_a_suspicion() -> None:
    """They do not confirm it, which takes a whole block."""
    open_ = [0.0, 0.2, 0.0, 0.2, 0.1]
    assert state(open_, [0.0] * BLOCK, LIMITS) is State.OPEN
    assert state([*open_, *[0.1] * (BLOCK - 1)], [0.0] * (2 * BLOCK - 1), LIMITS) is State.SUSPECTED


def test_where_the_base_differs_from_itself_a_case_is_slower_only_if_it_differs_from_both_bases() -> None:
    """A process with an unfavorable memory layout is no slowdown; a much larger slowdown remains one."""
    jitter = [0.001, -0.001, 0.0, 0.002, -0.002]
    drifted = [0.1 + one for one in jitter]
    assert not seems_slower(drifted, drifted[::-1], 0.02)
    assert seems_slower([0.4 + one for one in jitter], drifted[::-1], 0.02)
    assert seems_slower(drifted, jitter, 0.02)
    assert not seems_slower(jitter, jitter, 0.02)


def test_the_bounds_are_those_of_students_t() -> None:
    """For five numbers with mean 0.03 and standard deviation 0.0158, the quantile is 2.132."""
    found = bounded_ratio([0.01, 0.02, 0.03, 0.04, 0.05])
    assert found.point == pytest.approx(math.exp(0.03))
    assert found.low == pytest.approx(math.exp(0.03 - 2.1318 * 0.0158114 / math.sqrt(5)), abs=1e-6)
    assert not is_slower([0.01, 0.02, 0.03, 0.04, 0.05], 0.02)
    assert bounded_ratio([0.1]).high == math.inf


def test_the_smallest_visible_effect_is_seen_nineteen_times_of_twenty() -> None:
    """The couples are simulated with a scatter of two percent."""
    rng = np.random.default_rng(7)
    spread = 0.02
    smallest = visible(standard_error([-spread, -spread, 0.0, spread, spread]), BLOCK, 0.02)
    assert smallest is not None
    suspected = [is_slower(list(rng.normal(math.log1p(smallest), spread, BLOCK)), 0.02) for _ in range(2000)]
    assert np.mean(suspected) >= 0.93


def test_arms_with_unequally_many_slices_are_refused() -> None:
    """The minimum of more slices is smaller for identical code."""
    for read in (fastest, log_ratio):
        with pytest.raises(AssertionError, match="equally many"):
            read([1.0, 2.0], [1.0])


def test_the_null_arm_says_which_reading_is_the_sharper() -> None:
    """It is the fastest round on a quiet machine, and paired rounds if undisturbed rounds are rare."""
    rng = np.random.default_rng(3)
    for machine, wanted in ((quiet, fastest), (crowded, log_ratio)):
        couples = [couple(rng, machine, 0.0, when) for when in np.linspace(0.0, 1.0, 200)]
        assert sharper([(base, null) for base, _, null in couples]) is wanted
    assert sharper([]) is fastest


def test_the_reading_changes_only_when_a_look_is_taken() -> None:
    """Otherwise a case could be decided after any couple, not only after every fifth."""
    calm = ([1.0, 1.4, 1.4], [1.0, 1.4, 1.4])
    rare = ([1.4, 1.4, 1.4], [1.0, 1.4, 1.4])
    couples = [calm] * BLOCK + [rare, calm] * BLOCK
    assert [sharper(couples[:end]) is log_ratio for end in (BLOCK, 2 * BLOCK - 1, 2 * BLOCK)] == [
        False,
        False,
        True,
    ]


def test_both_readings_of_a_slowdown_agree() -> None:
    """Ten percent are found with and without disturbance."""
    base_s = np.array([1.0, 1.4, 1.4])
    for read in (fastest, log_ratio):
        assert read(list(base_s), list(1.1 * base_s)) == pytest.approx(math.log(1.1))


# Recorded slices


@cache
def recorded(kind: str) -> dict[str, list[Slices]]:
    """Return the couples by case."""
    found: dict[str, list[Slices]] = {}
    with gzip.open(RECORDED, "rt", encoding="utf-8") as lines:
        for line in lines:
            run, case, arms = json.loads(line)
            if run.startswith(kind):
                couples = zip(arms["base"], arms["candidate"], arms["null"], strict=True)
                found.setdefault(case, []).extend(couples)
    return found


def _in_turn(cases: dict[str, list[Slices]], count: int) -> Iterator[list[Slices]]:
    return islice(cycle(cases.values()), count)


def resampled(couples: list[Slices], rng: np.random.Generator) -> State:
    """Decide a case on resampled recorded couples."""
    return decided(lambda _: [couples[at] for at in rng.integers(len(couples), size=BLOCK)])


def test_recorded_slices_of_identical_code_raise_no_alarm() -> None:
    """At most one case in a thousand is a false alarm."""
    rng = np.random.default_rng(1)
    found = [resampled(rows, rng) for rows in _in_turn(recorded("same"), 2000)]
    assert np.mean([one is State.SLOWER for one in found]) <= 0.001


@pytest.mark.parametrize("pairs", [2, 3, 4, BLOCK])
def test_recorded_slices_of_identical_code_hardly_ever_seem_slower(pairs: int) -> None:
    """With few pairs, fewer than one case in a hundred does; with five pairs, none does."""
    rng, alarms, number = np.random.default_rng(1), 0, 1000
    for rows in _in_turn(recorded("same"), number):
        drawn = [rows[at] for at in rng.integers(len(rows), size=pairs)]
        read = sharper([(base, null) for base, _, null in drawn])
        ratios, nulls = ([read(slices[0], slices[arm]) for slices in drawn] for arm in (1, 2))
        alarms += seems_slower(ratios, nulls, LIMITS.margin)
    assert alarms <= (0 if pairs == BLOCK else 0.01 * number)


def test_recorded_slices_of_slower_code_are_found() -> None:
    """Ten percent more work is found in at least 99 of 100 cases."""
    rng = np.random.default_rng(1)
    found = [resampled(rows, rng) for rows in _in_turn(recorded("slower"), 1000)]
    assert np.mean([one is State.SLOWER for one in found]) >= 0.99
