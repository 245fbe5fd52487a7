"""The programs that measure the harness itself measure what they print."""

from functools import partial

import pytest
from programs.audit_cost import audit_in_full, audit_within_goal, measure, peak_bytes
from programs.audited import audited_step
from programs.tuner_against_all import compare

from harness.tuner.search_space import SearchSpace


def test_a_shadow_takes_more_memory_than_the_step_alone() -> None:
    """The audit takes a small multiple of the memory of the step."""
    step = audited_step("softmax regression")
    plain, full = peak_bytes(step), peak_bytes(partial(audit_in_full, step))
    assert 0 < plain < full < 10 * (plain + step.state_bytes)


def test_a_run_stays_within_its_bound_where_a_step_does_not() -> None:
    """The CPU clock is read from outside. An audited step takes several times as long as a plain one."""
    run, run_s = audit_within_goal(audited_step("rnn"), 30)
    assert run.step_s is not None
    assert run.audited_s is not None
    assert run.audited_s > 3.0 * run.step_s
    assert 2 <= run.audited < 20
    assert run.cpu_s == pytest.approx(run_s, rel=0.1)


def test_a_row_has_the_cost_of_an_audit_of_a_repeated_batch() -> None:
    """The ratios are times with their intervals, and observing alone costs less than an audit."""
    row = measure("softmax regression", 2)
    assert row["step"] == "softmax regression x 2"
    ratio = {mode: float(row[mode].split()[0]) for mode in ("idle", "events", "full")}
    assert 1.0 < ratio["idle"] < ratio["events"] < ratio["full"]


def test_the_tuner_is_compared_with_all_configurations() -> None:
    """The lines have the best, a run for each seed, the goal, and the rules of thumb."""
    lines = list(compare("icons", SearchSpace((64,), (0, 1)), 0.1, 1))
    assert lines[0].startswith("icons: best of 3: ")
    assert " of its rate in " in lines[1]
    assert "the goal (95% in 20%) is " in lines[2]
    assert any(line.startswith("  torch's default: ") for line in lines[3:])
