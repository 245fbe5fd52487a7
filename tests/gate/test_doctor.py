"""The effects that a machine can detect, from made-up measurements of identical code."""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from harness.gate.confirmation import BLOCK, Evidence
from harness.gate.doctor import advice, summarize
from harness.gate.policy import Policy
from harness.record import Slices

SHARP, BLUNT = "cases.sharp", "cases.blunt"


def measured(case: str, spread: float, **condition: Any) -> list[Slices]:
    """Return couples whose ratios deviate from 1 by the given spread, in both directions."""
    facts = {"case": case, "rounds": 5, "load": 1.0, "steal": 0.0, "frequency_hz": None, **condition}
    made = []
    for couple in range(BLOCK):
        off = math.exp(spread * (-1) ** couple)
        for arm, seconds in (("base", 2e-4), ("candidate", 2e-4 * off), ("null", 2e-4 / off)):
            times = dict.fromkeys(("starts_s", "minima_s", "medians_s", "cpu_s"), (seconds,))
            made.append(Slices.model_validate({**facts, **times, "couple": couple, "arm": arm, "iterations": 2}))
    return made


def advised(slices: Sequence[Slices], **evidence: Any) -> list[str]:
    """Return the advice."""
    return advice(summarize(Evidence(list(slices), **evidence), Policy()), Policy())


def test_the_sharpest_case_is_first_with_what_it_would_show() -> None:
    """The line has scatter, fastest call, smallest visible slowdown, and the difference of identical code."""
    found = summarize(Evidence([*measured(BLUNT, 0.05), *measured(SHARP, 0.001)]), Policy())
    assert [one.case for one in found.sights] == [SHARP, BLUNT]
    sharp, blunt = found.sights
    assert sharp.call_s == pytest.approx(1e-4)
    assert sharp.spread == pytest.approx(
        0.001 * math.sqrt(24 / 20)
    )  # standard deviation for +1, -1, +1, -1, +1 with n - 1
    assert 0.02 < sharp.visible < 0.025 < 0.1 < blunt.visible
    assert sharp.bias.point == pytest.approx(1.0, abs=1e-3)
    assert found.control is None


def test_a_machine_that_sees_what_is_asked_needs_nothing() -> None:
    """One sentence states that."""
    assert advised(measured(SHARP, 0.001)) == ["Nothing: this machine detects every slowdown that the policy requires."]


def test_what_is_in_the_way_is_named() -> None:
    """The advice names cases too noisy for the tolerance, other load, and missing measurements."""
    (blind,) = advised(measured(BLUNT, 0.05))
    assert f"Five pairs of processes detect only slowdowns above the tolerance: {BLUNT}." in blind
    (busy,) = advised(measured(SHARP, 0.001, load=3.2))
    assert busy.startswith("Other processes are running: the load is 3.2")
    (stolen,) = advised(measured(SHARP, 0.001, steal=0.07))
    assert stolen.startswith("The hypervisor gave 7.0% of the time to other guests")
    missing = advised(measured(SHARP, 0.001), unreached=[BLUNT], failures={"cases.c": "in the base, it raises"})
    assert missing == [
        "cases.c cannot be timed: in the base, it raises.",
        f"Not measured within the budget: {BLUNT}. Use a larger budget.",
    ]


def test_a_budget_that_reaches_nothing_is_one_sentence_with_one_that_does() -> None:
    """The gate prints the same sentence, without a list of all cases."""
    (sentence,) = advised([], unreached=[SHARP, BLUNT], enough_s=30.0, startup_s=9.2)
    assert sentence == (
        "No case out of 2 was measured within the budget: the fastest needs about `--budget 40` on this machine, "
        "where start-up takes 9 s."
    )
