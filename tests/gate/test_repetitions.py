"""Repetitions of the time gate on a simulated clock, with the noise of recorded pairs."""

import random

import pytest
from programs.gate_repetitions import LOADS, recorded, simulated

from harness.gate import paired_timing

RUNS = 12


@pytest.fixture(autouse=True)
def short_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure as many slices as were recorded at most."""
    monkeypatch.setattr(paired_timing, "MAX_SLICES", 10)


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("budget_s", [60.0, 250.0])
def test_identical_code_never_fails_and_much_slower_code_never_passes(load: int, budget_s: float) -> None:
    """The program ``gate_repetitions`` counts thousands of such runs."""
    draw, rows = random.Random(1), recorded(load)
    assert 1 not in {simulated(0.0, load, budget_s, rows, draw) for _ in range(RUNS)}
    assert 0 not in {simulated(0.1, load, budget_s, rows, draw) for _ in range(RUNS)}


def test_a_sufficient_budget_decides_on_a_busy_machine() -> None:
    """The start-up of a minute leaves enough of 250 s."""
    draw, rows = random.Random(2), recorded(10)
    assert [simulated(0.44, 10, 250.0, rows, draw) for _ in range(RUNS)] == [1] * RUNS
