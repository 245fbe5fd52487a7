"""Draws depend only on the seed, not on imported modules."""

from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hypothesis import given, seed, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants

from harness.bench.suites import test_screening
from harness.case import Case
from harness.verdict.reproducible import reproducible


def drawn(*, alike: bool) -> list[int]:
    """Return 300 integers; if allowed, Hypothesis takes a few from the constants of local code."""
    found: list[int] = []

    @seed(1)
    @settings(max_examples=300, database=None)
    @given(st.integers(0, 2**32 - 1))
    def run(number: int) -> None:
        found.append(number)

    with reproducible() if alike else nullcontext():
        run()
    return found


@pytest.fixture
def homework(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """Return a function that imports a local module full of constants."""
    (workplace / "homework.py").write_text(f"NUMBERS = {list(range(1_000_003, 1_000_203))}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(workplace)
    return lambda: import_module("homework")


def test_a_module_of_constants_changes_no_draw(homework: Callable[[], object]) -> None:
    """Hypothesis would otherwise read its constants."""
    before = drawn(alike=True)
    homework()
    assert drawn(alike=True) == before
    assert drawn(alike=False) != before


def test_what_is_screened_for_its_time_is_drawn_alike_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hypothesis reads no module for constants, and leaves no files in the working directory of a benchmark."""
    asked: list[object] = []
    monkeypatch.setattr(providers, "_get_local_constants", lambda: asked.append(0) or Constants())
    case = Case(lambda x: torch.softmax(x, -1), "softmax", name="softmax")
    run, rows = test_screening.one_at_a_time(case)
    run()
    assert rows == test_screening.EXAMPLES
    assert not asked
