"""Failing examples become minimal, and stay inside the contract's domain."""

import numpy as np
import torch

from harness.floats.format import FORMATS
from harness.laws.law import Axes, Example
from harness.verdict.shrink import minimise, take

FLOAT32 = FORMATS["float32"]
AXES = {"logits": Axes(("n", "k")), "labels": Axes(("n",), index_of="k")}


def example() -> Example:
    """Eight rows of five, one of which will fail."""
    logits = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 5))).float()
    logits[3, 2] = 1000.0
    return {"logits": logits, "labels": torch.tensor([0, 1, 2, 2, 3, 4, 0, 1])}


def test_rows_and_columns_that_do_not_matter_are_dropped_and_the_rest_made_simple() -> None:
    """What is left is the entry that fails, at the smallest float that does."""
    minimal = minimise(example(), AXES, FLOAT32, lambda e: bool((e["logits"] > 77.7).any()))
    assert minimal["logits"].tolist() == [[float(np.nextafter(np.float32(77.7), np.float32(100)))]]
    assert minimal["labels"].tolist() == [0]


def test_the_result_still_fails_whatever_the_predicate() -> None:
    """Also where two entries are needed, whose labels must survive."""

    def fails(candidate: Example) -> bool:
        logits, labels = candidate["logits"], candidate["labels"]
        picked = logits.gather(1, labels[:, None]).squeeze(1)
        return bool(((picked - logits.amin(1)) > 50).any())

    minimal = minimise(example(), AXES, FLOAT32, fails)
    assert fails(minimal)
    assert minimal["logits"].shape == (1, 2)


def test_a_positive_input_stays_positive() -> None:
    """Zero is outside its domain, however simple."""
    axes = {"variance": Axes(("n",), positive=True)}
    start = {"variance": torch.tensor([3.7, 0.2])}
    minimal = minimise(start, axes, FLOAT32, lambda e: bool((e["variance"] < 4).any()))
    assert (minimal["variance"] > 0).all()


def test_a_class_that_a_label_names_is_not_dropped() -> None:
    """The labels of the others are renumbered."""
    small = {"logits": torch.arange(6.0).reshape(2, 3), "labels": torch.tensor([2, 0])}
    assert take(small, AXES, "k", [0, 1]) is None
    kept = take(small, AXES, "k", [0, 2])
    assert kept is not None
    assert kept["labels"].tolist() == [1, 0]
    assert kept["logits"].tolist() == [[0.0, 2.0], [3.0, 5.0]]


def test_what_a_law_needs_as_drawn_is_kept() -> None:
    """Rows are dropped; their values and other axes stay."""
    example = {"design": torch.arange(24.0).reshape(3, 4, 2), "variance": torch.tensor([[1.0], [7.0], [3.0]])}
    axes = {"variance": Axes(("g", "n")), "design": Axes(("g", "r", "f"), kept=True)}
    minimal = minimise(example, axes, FORMATS["float32"], lambda it: bool((it["design"] > 10.0).any()))
    assert minimal["design"].shape == (1, 4, 2)
    assert any(torch.equal(minimal["design"][0], row) for row in example["design"])
