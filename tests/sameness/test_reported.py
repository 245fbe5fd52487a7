"""``harness same`` finds defects of other projects that are reproduced in small, and says what differs."""

from pathlib import Path

import pytest

from harness.sameness.comparison import compare_pair
from harness.sameness.pair import make_pair

FILE = Path(__file__).with_name("reported.py")


@pytest.mark.parametrize(
    ("name", "under", "shapes", "decided"),
    [
        (
            "mean_over_tokens",
            "accumulation=4",
            [],
            "different: the result in step 1: the one under accumulation=4 is 0.97",
        ),
        (
            "loss_without_its_gradient",
            "accumulation=4",
            [],
            "different: the gradient of weight [4] in step 1: the one under accumulation=4 is 0.25 times the plain one",
        ),
        ("dead_model", None, [], "nothing trained: no weight of either side changes in 3 steps"),
        ("row_of_a_product", "batch", ["32,64", "48,64"], "rounding: "),
        ("narrow_intermediate", "compile", ["32,64"], "rounding: "),
    ],
)
def test_a_reported_defect_gets_its_sentence(name: str, under: str | None, shapes: list[str], decided: str) -> None:
    """Other bits of a row, and of compiled code, are rounding only; the other three are defects."""
    target = f"{FILE}:{name}"
    judgment = compare_pair(make_pair(target, target if under is None else None, under, shapes=shapes))
    assert f"{judgment.answer}: {judgment.sentence}".startswith(decided)
    assert judgment.answer != "rounding" or not judgment.sentence.startswith("0 of")
