"""The speed of checking rows: in batches, and one example at a time as with plain Hypothesis.

A row is checked when implementation and oracle have answered and the deviation was compared with its bound. There are
three ways: the law on one large batch; Hypothesis with recipes of batches, as in a check; Hypothesis with one row at a
time, as in a test written by hand.
"""

from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness.bench.suites.benchmark import DTYPE, cases_of, keep, measure, option, parametrize
from harness.case import Case
from harness.contracts import contract_named
from harness.floats.format import FORMATS
from harness.laws.law import Law
from harness.laws.strategies import batches
from harness.laws.subject import Subject
from harness.record.bench import ScreeningRecord, names
from harness.timing.clock import threads
from harness.verdict.draw import reproducible

CLASSES, ROWS, EXAMPLES = 10, 4096, 50
"""Logits per row, rows per batch, and Hypothesis examples per call."""

SECONDS = 0.2
"""Measuring seconds per method: fifty rounds of a batch, or the minimum number for slower methods."""

LARGEST = 80.0
"""Bound on a logit, for all ways."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make an item for each softmax and way."""
    items = [(case, way) for case in cases_of(metafunc.config, "softmax") for way in WAYS]
    parametrize(metafunc, ("case", "way"), items)


def test_screening(benchmark: Any, pytestconfig: pytest.Config, case: str, way: str) -> None:
    """Time the rows that one way checks."""
    declared = cases_of(pytestconfig, "softmax")[case]
    benchmark.group = f"rows of {CLASSES} classes"
    check, rows = WAYS[way](declared)
    with threads(1):
        warmed = measure(benchmark, check, budget_s=option(pytestconfig, "seconds", SECONDS), warm_calls=1, minimum=5)
    record = ScreeningRecord(**names(declared), way=way, rows=rows, classes=CLASSES, cold_s=warmed.cold_s)
    keep(benchmark, record)


Way = Callable[[Case], tuple[Callable[[], object], int]]


def in_one_batch(case: Case) -> tuple[Callable[[], object], int]:
    """Check one existing batch."""
    law, subject = _law(), _subject(case)
    logits = LARGEST * (2.0 * torch.rand(ROWS, CLASSES, generator=torch.Generator().manual_seed(0)) - 1.0)
    return (lambda: subject.measure(law, {"logits": logits}).broken), ROWS


def by_recipe(case: Case) -> tuple[Callable[[], object], int]:
    """Draw recipes and expand them, as a check does."""
    law, subject = _law(), _subject(case)
    drawn = batches(FORMATS[DTYPE], largest=LARGEST, rows=(ROWS, ROWS), columns=(CLASSES, CLASSES))
    return _hypothesis(drawn, lambda logits: subject.measure(law, {"logits": logits}).broken), EXAMPLES * ROWS


def one_at_a_time(case: Case) -> tuple[Callable[[], object], int]:
    """Draw one row per example, as in a test written by hand."""
    law, subject = _law(), _subject(case)
    drawn = st.lists(st.floats(-LARGEST, LARGEST, width=32), min_size=CLASSES, max_size=CLASSES)
    return _hypothesis(drawn, lambda row: subject.measure(law, {"logits": torch.tensor([row])}).broken), EXAMPLES


WAYS: Mapping[str, Way] = {"batch": in_one_batch, "recipes": by_recipe, "one-at-a-time": one_at_a_time}


def _hypothesis(drawn: st.SearchStrategy[Any], check: Callable[[Any], object]) -> Callable[[], object]:
    @hypothesis.seed(0)
    @settings(
        max_examples=EXAMPLES,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn)
    def run(example: Any) -> None:
        check(example)

    # Otherwise the draws depend on loaded modules, and Hypothesis writes notes into the user's folder.
    return reproducible()(run)


def _law() -> Law:
    return next(law for law in contract_named("softmax").laws if law.name == "value")


def _subject(case: Case) -> Subject:
    return Subject(case, contract_named("softmax"), FORMATS[DTYPE])
