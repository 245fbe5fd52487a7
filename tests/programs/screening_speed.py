"""How fast rows of a softmax are checked: in batches, and one example at a time as with plain Hypothesis.

``python -m programs.screening_speed [TARGET]`` in the folder ``tests`` prints the rows per second on one core. A row is
checked when implementation and oracle have answered and the deviation was compared with its bound.
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tabulate import tabulate

from harness.calling.target import load
from harness.case import Case
from harness.contracts import contract_named
from harness.floats.format import FORMATS
from harness.laws.strategies import batches
from harness.laws.subject import Subject
from harness.timing.clock import threads
from harness.verdict.draw import draw_reproducibly

CLASSES, ROWS, EXAMPLES, ROUNDS = 10, 4096, 50, 5
"""Logits per row, rows per batch, Hypothesis examples per call, and timed calls."""

LARGEST = 80.0
"""Bound on a logit, for all ways."""

Check = Callable[[torch.Tensor], object]
Way = Callable[[Check], tuple[Callable[[], object], int]]


def in_one_batch(check: Check) -> tuple[Callable[[], object], int]:
    """Check one existing batch."""
    logits = LARGEST * (2.0 * torch.rand(ROWS, CLASSES, generator=torch.Generator().manual_seed(0)) - 1.0)
    return (lambda: check(logits)), ROWS


def by_recipe(check: Check) -> tuple[Callable[[], object], int]:
    """Draw recipes and expand them, as a check does."""
    examples = batches(FORMATS["float32"], largest=LARGEST, rows=(ROWS, ROWS), columns=(CLASSES, CLASSES))
    return _with_hypothesis(examples, check), EXAMPLES * ROWS


def one_at_a_time(check: Check) -> tuple[Callable[[], object], int]:
    """Draw one row per example, as in a test written by hand."""
    rows = st.lists(st.floats(-LARGEST, LARGEST, width=32), min_size=CLASSES, max_size=CLASSES)
    return _with_hypothesis(rows, lambda row: check(torch.tensor([row]))), EXAMPLES


WAYS: Mapping[str, Way] = {"batch": in_one_batch, "recipes": by_recipe, "one at a time": one_at_a_time}


def _with_hypothesis(examples: st.SearchStrategy[Any], check: Callable[[Any], object]) -> Callable[[], object]:
    @hypothesis.seed(0)
    @settings(
        max_examples=EXAMPLES,
        phases=(Phase.generate,),
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(examples)
    def run(example: Any) -> None:
        check(example)

    # Otherwise the draws depend on loaded modules, and Hypothesis writes notes into the working directory.
    return draw_reproducibly()(run)


def checker(case: Case) -> Check:
    """Return what compares rows of a case with the oracle."""
    contract = contract_named("softmax")
    law = next(law for law in contract.laws if law.name == "value")
    subject = Subject(case, contract, FORMATS["float32"])
    return lambda logits: subject.measure(law, {"logits": logits}).broken


def rate(way: str, case: Case) -> float:
    """Return the rows that a way checks per second, as the median of some calls after the first."""
    run, rows = WAYS[way](checker(case))
    times_s = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        run()
        times_s.append(time.perf_counter() - began)
    return rows / statistics.median(times_s[1:])


def main() -> None:
    """Print a row for each softmax of the target."""
    cases = [case for case in load(*(sys.argv[1:] or ["cases"])) if case.contract == "softmax"]
    with threads(1):
        rows = [(case.name, *(f"{rate(way, case):,.0f}" for way in WAYS)) for case in cases]
    print(tabulate(rows, headers=("rows per second", *WAYS), colalign=("left", *["right"] * len(WAYS))))


if __name__ == "__main__":
    main()
