"""Failing examples become minimal, and stay in the domain of the contract."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from harness.contracts.building_blocks.distributions import with_logarithms
from harness.floats.format import FORMATS, Measurement
from harness.laws.contract import Axes, normalize_sum
from harness.laws.law import Example
from harness.laws.strategies import mask_entries
from harness.verdict.shrink import minimise
from harness.verdict.trial import select_worst_row, take

FLOAT32 = FORMATS["float32"]
AXES = {"logits": Axes(("n", "k")), "labels": Axes(("n",), index_of="k")}


def example() -> Example:
    """Return eight rows of five entries, in which one entry fails."""
    logits = torch.from_numpy(np.random.default_rng(0).standard_normal((8, 5))).float()
    logits[3, 2] = 1000.0
    return {"logits": logits, "labels": torch.tensor([0, 1, 2, 2, 3, 4, 0, 1])}


def test_rows_and_columns_that_do_not_matter_are_dropped_and_the_rest_made_simple() -> None:
    """The failing entry remains, at the smallest float that fails."""
    minimal = minimise(example(), AXES, FLOAT32, lambda e: bool((e["logits"] > 77.7).any()))
    assert minimal["logits"].tolist() == [[float(np.nextafter(np.float32(77.7), np.float32(100)))]]
    assert minimal["labels"].tolist() == [0]


def test_the_result_still_fails_whatever_the_predicate() -> None:
    """The predicate needs two entries, whose labels must survive."""

    def fails(candidate: Example) -> bool:
        logits, labels = candidate["logits"], candidate["labels"]
        picked = logits.gather(1, labels[:, None]).squeeze(1)
        return bool(((picked - logits.amin(1)) > 50).any())

    minimal = minimise(example(), AXES, FLOAT32, fails)
    assert fails(minimal)
    assert minimal["logits"].shape == (1, 2)


def test_the_smallest_normal_number_is_no_boundary() -> None:
    """If all normal numbers fail, a simple one is shown: one, or the first power of ten that fails."""
    tiny = torch.finfo(torch.float32).tiny
    for largest, shown in ((8.0, 1.0), (0.5, 0.1), (0.003, 0.001)):
        start = {"x": torch.tensor([-largest / 1000])}
        fails = partial(_is_between, tiny, largest)
        assert minimise(start, {"x": Axes(("n",))}, FLOAT32, fails)["x"].abs().tolist() == pytest.approx([shown])


def _is_between(low: float, high: float, candidate: Example) -> bool:
    size = candidate["x"].abs()
    return bool(((size >= low) & (size <= high)).all())


def test_a_positive_input_stays_positive() -> None:
    """Zero is simpler, but outside of the domain."""
    axes = {"variance": Axes(("n",), positive=True)}
    start = {"variance": torch.tensor([3.7, 0.2])}
    minimal = minimise(start, axes, FLOAT32, lambda e: bool((e["variance"] < 4).any()))
    assert (minimal["variance"] > 0).all()


def test_a_class_that_a_label_names_is_not_dropped() -> None:
    """The other labels are renumbered."""
    small = {"logits": torch.arange(6.0).reshape(2, 3), "labels": torch.tensor([2, 0])}
    assert take(small, AXES, "k", [0, 1]) is None
    kept = take(small, AXES, "k", [0, 2])
    assert kept is not None
    assert kept["labels"].tolist() == [1, 0]
    assert kept["logits"].tolist() == [[0.0, 2.0], [3.0, 5.0]]


def test_what_a_law_needs_as_drawn_is_kept() -> None:
    """Rows are dropped, but values and other axes stay."""
    example = {"design": torch.arange(24.0).reshape(3, 4, 2), "variance": torch.tensor([[1.0], [7.0], [3.0]])}
    axes = {"variance": Axes(("g", "n")), "design": Axes(("g", "r", "f"), kept=True)}
    minimal = minimise(example, axes, FORMATS["float32"], lambda it: bool((it["design"] > 10.0).any()))
    assert minimal["design"].shape == (1, 4, 2)
    assert any(torch.equal(minimal["design"][0], row) for row in example["design"])


def test_a_mask_stays_a_mask_and_a_row_with_one_keeps_one() -> None:
    """An overflow next to a masked entry is shown with a masked entry."""
    masked = {"logits": torch.tensor([[200.0, -torch.inf, 3.0, -torch.inf]])}
    minimal = minimise(masked, {"logits": AXES["logits"]}, FLOAT32, lambda e: bool((e["logits"] > 88.0).any()))
    assert sorted(minimal["logits"][0].tolist()) == [-torch.inf, float(np.nextafter(np.float32(88), np.float32(100)))]


def test_a_row_that_has_only_masks_beside_rows_that_have_none_stays_one_of_them() -> None:
    """Shrinking does not make a fully masked row if none was drawn."""
    rows = {"logits": torch.tensor([[0.0, -torch.inf], [5.0, 7.0]])}
    minimal = minimise(rows, {"logits": AXES["logits"]}, FLOAT32, lambda e: bool(e["logits"].isneginf().any()))
    assert minimal["logits"].isfinite().any(-1).all()


@pytest.mark.parametrize("kind", [torch.nan, torch.inf, -torch.inf])
def test_what_is_no_number_stays_what_it_is(kind: float) -> None:
    """A function that is wrong on non-finite inputs shows the kind of input it received."""
    example = {"x": torch.tensor([3.0, kind, 2.0])}
    minimal = minimise(example, {"x": Axes(("n",))}, FLOAT32, lambda e: not bool(e["x"].isfinite().all()))
    (peculiar,) = minimal["x"][~minimal["x"].isfinite()].tolist()
    assert peculiar == kind or (np.isnan(peculiar) and np.isnan(kind))


def test_a_boolean_mask_is_not_simplified() -> None:
    """Both values remain."""
    axes = {"logits": Axes(("n", "k")), "keep": Axes(("n", "k"))}
    start = {"logits": torch.tensor([[100.0, 2.0, 5.0]]), "keep": torch.tensor([[True, False, True]])}
    minimal = minimise(start, axes, FLOAT32, lambda e: bool((e["logits"] > 90).any()))
    assert sorted(minimal["keep"][0].tolist()) == [False, True]


@pytest.mark.parametrize("dtype", FORMATS)
def test_minus_zero_stays_minus_zero(dtype: str) -> None:
    """Both zeros have the ordinal 0, but only one fails."""
    example = {"x": torch.tensor([2.0, -0.0], dtype=FORMATS[dtype].dtype)}

    def fails(candidate: Example) -> bool:
        return bool(((candidate["x"] == 0.0) & candidate["x"].signbit()).any())

    minimal = minimise(example, {"x": Axes(("n",))}, FORMATS[dtype], fails)
    assert minimal["x"].tolist() == [0.0]
    assert fails(minimal)


def test_what_fails_at_either_zero_is_shown_at_plus_zero() -> None:
    """It is simpler."""
    minimal = minimise({"x": torch.tensor([-0.0])}, {"x": Axes(("n",))}, FLOAT32, lambda e: bool((e["x"] == 0).all()))
    assert not minimal["x"].signbit().any()


def test_a_negative_number_goes_to_minus_zero_where_only_that_fails() -> None:
    """Shrinking keeps the sign."""

    def fails(candidate: Example) -> bool:
        return bool(candidate["x"].signbit().all())

    minimal = minimise({"x": torch.tensor([-3.7])}, {"x": Axes(("n",))}, FLOAT32, fails)
    assert minimal["x"].tolist() == [0.0]
    assert fails(minimal)


def test_the_largest_finite_entry_is_bisected_beside_an_infinite_one() -> None:
    """The result is the exact threshold."""
    example = {"x": torch.tensor([torch.inf, 100.0])}
    axes = {"x": Axes(("n",))}
    minimal = minimise(example, axes, FLOAT32, lambda e: bool(((e["x"] > 77.7) & e["x"].isfinite()).any()))
    assert minimal["x"][1] == float(np.nextafter(np.float32(77.7), np.float32(100)))


@pytest.mark.parametrize("dtype", FORMATS)
def test_probabilities_stay_a_distribution(dtype: str) -> None:
    """If entries are dropped or simplified, the largest of the others takes the rest."""
    format_ = FORMATS[dtype]
    p = torch.tensor([[0.1, 0.2, 0.05, 0.65], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64).to(format_.dtype)
    axes = {"p": Axes(("n", "k"), positive=True, restore=normalize_sum)}
    minimal = minimise({"p": p}, axes, format_, lambda e: bool((e["p"] < 0.07).any()))
    assert minimal["p"].shape == (1, 2)
    assert float(minimal["p"].double().sum()) == pytest.approx(1.0, abs=4 * format_.u)
    assert (minimal["p"] > 0.0).all()


def test_logarithms_stay_those_of_a_distribution() -> None:
    """The likeliest class takes the rest."""
    log_q = torch.tensor([[-3.0, -1.2, 0.5, 2.0]]).log_softmax(-1)
    axes = {"log_q": Axes(("n", "k"), restore=with_logarithms)}
    minimal = minimise({"log_q": log_q}, axes, FLOAT32, lambda e: bool((e["log_q"] < -4.0).any()))
    assert minimal["log_q"].shape == (1, 2)
    assert float(minimal["log_q"].double().exp().sum()) == pytest.approx(1.0, abs=1e-6)
    assert float(minimal["log_q"].min()) == float(np.nextafter(np.float32(-4), np.float32(-5)))


def test_a_distribution_that_others_exceed_is_none() -> None:
    """No probability remains for the largest."""
    assert normalize_sum(torch.tensor([[0.6, 0.5, 0.7]]), FLOAT32) is None
    assert with_logarithms(torch.tensor([[-0.1, -0.2, -0.3]]), FLOAT32) is None


def test_the_worst_row_of_a_law_about_masks_has_one() -> None:
    """It has a mask even if another row deviates more.

    If only other rows fail, a row with a mask remains next to the worst.
    """
    logits = torch.tensor([[9.0, 1.0], [5.0, -torch.inf], [1.0, 1.0]])
    axes = {"logits": Axes(("n", "k"))}

    def measured(*ratios: float) -> Measurement:
        ratio = np.array(ratios)
        return Measurement(ratio, np.ones_like(ratio), ratio, ratio)

    def chosen(measurement: Measurement) -> list[list[float]]:
        row = select_worst_row({"logits": logits}, axes, measurement, lambda _: True, peculiar=True)
        rows: list[list[float]] = row["logits"].tolist()
        return rows

    assert chosen(measured(7.0, 3.0, 0.0)) == logits[1:2].tolist()
    assert chosen(measured(7.0, 0.5, 0.0)) == logits[:2].tolist()


def test_masked_rows_have_a_mask_and_something_else() -> None:
    """Only rows with two entries can have both."""
    rng = np.random.default_rng(0)
    for columns in (2, 3, 9):
        hidden = mask_entries(torch.zeros(200, columns), rng).isneginf()
        assert hidden.any(-1).all()
        assert not hidden.all(-1).any()
    assert not mask_entries(torch.zeros(5, 1), rng).isneginf().any()


@pytest.mark.parametrize("exact", [True, False])
def test_what_need_not_be_exact_is_near_in_a_third_of_the_questions(exact: bool) -> None:
    """The threshold is in float64, and the second pass does not bisect unchanged entries again."""
    asked = []

    def fails(candidate: Example) -> bool:
        asked.append(candidate)
        return bool((candidate["x"] >= math.pi).all())

    start = {"x": torch.tensor([987.654321], dtype=torch.float64)}
    found = float(minimise(start, {"x": Axes(("n",))}, FORMATS["float64"], fails, exact=exact)["x"])
    assert found == math.pi if exact else math.pi <= found <= math.pi * (1.0 + 2.0**-8)
    assert len(asked) <= (80 if exact else 36)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("together", [False, True], ids=["each row by itself", "rows that know of each other"])
def test_many_rows_at_once_come_to_what_one_question_for_each_comes_to(dtype: str, together: bool) -> None:
    """It takes fewer calls. If rows influence each other, they are tried one by one."""
    format_, axes = FORMATS[dtype], {"x": Axes(("n", "k"))}
    start = {"x": torch.tensor([[97.3, 2.0], [1.0, 1.0]], dtype=format_.dtype)}
    asked: list[int] = []

    def fails(candidate: Example) -> bool:
        asked.append(1)
        return bool((candidate["x"] > 77.7).any())

    def broken_rows(candidate: Example) -> np.ndarray:
        broken = (candidate["x"] > (1e-3 if together and len(candidate["x"]) > 1 else 77.7)).any(-1)
        asked.append(1)
        return broken.numpy()

    by_one = minimise(start, axes, format_, fails)
    questions = len(asked)
    asked.clear()
    at_once = minimise(start, axes, format_, fails, broken_rows=broken_rows)
    assert torch.equal(by_one["x"], at_once["x"])
    assert (len(asked) < questions) or together or dtype == "bfloat16"


def _breaks(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the rows with two large entries in one input and a small entry in the other."""
    return ((x > 1.7).sum(-1) >= 2) & ((y < -3.3) & x.isfinite()).any(-1)


@pytest.mark.parametrize("seed", range(4))
def test_steps_tried_at_once_are_taken_as_those_tried_in_turn(seed: int) -> None:
    """The result is the same, with at most a third of the calls. The two needed columns remain."""
    numbers = np.random.default_rng(seed)
    x, y = (torch.from_numpy(numbers.normal(scale=4.0, size=(1, 12))).float() for _ in range(2))
    start = {"x": x.abs() + 2.0, "y": -y.abs() - 4.0}
    axes, asked = {"x": Axes(("n", "k")), "y": Axes(("n", "k"))}, [0, 0]

    def fails(candidate: Example) -> bool:
        asked[0] += 1
        return bool(_breaks(**candidate).any())

    def broken_rows(candidate: Example) -> np.ndarray:
        asked[1] += 1
        return _breaks(**candidate).numpy()

    in_turn = minimise(start, axes, FLOAT32, fails)
    questions, asked[:] = asked[0], [0, 0]
    at_once = minimise(start, axes, FLOAT32, fails, broken_rows=broken_rows)
    assert all(torch.equal(in_turn[name], at_once[name]) for name in axes)
    assert in_turn["x"].shape == (1, 2)
    assert sum(asked) <= questions / 3


def test_what_fails_beside_others_alone_is_made_smaller_in_turn() -> None:
    """Rows that fail only with other rows do not fail alone."""
    start = {"x": torch.tensor([[9.0, 3.0, 5.0]])}

    def broken_rows(candidate: Example) -> np.ndarray:
        return np.full(len(candidate["x"]), fill_value=len(candidate["x"]) > 1 or bool((candidate["x"] > 7.5).any()))

    minimal = minimise(
        start, {"x": Axes(("n", "k"))}, FLOAT32, lambda e: bool((e["x"] > 7.5).any()), broken_rows=broken_rows
    )
    assert minimal["x"].tolist() == [[float(np.nextafter(np.float32(7.5), np.float32(8.0)))]]
