"""The programs that measure the harness itself measure what they print."""

from functools import partial

import pytest
import torch
from programs.audit_cost import audit_in_full, audit_within_goal, measure, peak_bytes
from programs.audited import audited_step
from programs.screening_speed import EXAMPLES, ROWS, checker, in_one_batch, one_at_a_time
from programs.search_methods import WAYS, compare, share_of_best, value_job
from programs.tuner_against_all import compare as compare_tuner

from harness.case import Case
from harness.tuner.tuning import SearchSpace

SOFTMAX = Case(lambda x: x.softmax(-1), "softmax", name="mine.softmax")


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


def test_the_search_in_ordinal_space_finds_more_than_random_rows() -> None:
    """Each method has a score with equal seconds; the row has all shares of the best known deviation."""
    job = value_job(SOFTMAX)
    scores = {way: WAYS[way](job, 0.3, 0) for way in ("random normal", "evolved in ordinal space", "Hypothesis")}
    assert scores["evolved in ordinal space"][0] > 2 * scores["random normal"][0]
    assert scores["Hypothesis"][1] > 0
    assert compare(SOFTMAX, 0.02, 1).keys() == {"case", "best known", *WAYS}


def test_the_share_of_an_infinite_deviation_is_all_or_nothing() -> None:
    """A finite deviation has the share zero."""
    infinite = float("inf")
    assert [share_of_best(*pair) for pair in ((8.0, 16.0), (3.0, infinite), (infinite, infinite))] == [0.5, 0.0, 1.0]


def test_a_screened_batch_is_checked_as_a_row_is() -> None:
    """Both ways name their rows, and find a broken value."""
    broken = []
    for way, rows in ((in_one_batch, ROWS), (one_at_a_time, EXAMPLES)):
        for function in (torch.softmax, lambda x, _: x.exp()):
            check = checker(Case(partial(lambda f, x: f(x, -1), function), "softmax", name="mine"))
            results: list[bool] = []
            run, number = way(lambda logits, check=check, results=results: results.append(bool(check(logits))))  # type: ignore[misc]
            run()
            assert number == rows
            broken.append(any(results))
    assert broken == [False, True, False, True]


def test_the_tuner_is_compared_with_all_configurations() -> None:
    """The lines have the best, a run for each seed, the goal, and the rules of thumb."""
    lines = list(compare_tuner("icons", SearchSpace((64,), (0, 1)), 0.1, 1))
    assert lines[0].startswith("icons: best of 3: ")
    assert " of its rate in " in lines[1]
    assert "the goal (95% in 20%) is " in lines[2]
    assert any(line.startswith("  torch's default: ") for line in lines[3:])
