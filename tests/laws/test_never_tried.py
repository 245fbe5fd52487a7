"""A defect that shows on one kind of input is found by the law that draws this kind."""

import pytest
import torch
from samples.never_tried import WRONG, Wrong, once
from torch import Tensor

import harness
from harness.case import Case
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import jobs


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.contract}-{wrong.name}-{wrong.dtype}")
def test_a_defect_on_one_kind_of_input_is_found(wrong: Wrong) -> None:
    """Drawn examples suffice."""
    case = Case(wrong.function, wrong.contract, name=f"never_tried.{wrong.contract}")
    (job,) = jobs([case], laws=[wrong.law], dtypes=[wrong.dtype], strict=True)
    verdict = decide(job, corpora=(), minimal=False)
    assert verdict.status is Status.BROKEN, verdict.reason


def test_the_mode_is_named() -> None:
    """The message names the mode with the wrong result."""
    names = {"in inference": "inference_mode", "under autocast": "autocast", "with gradients": "require"}
    for name, words in names.items():
        (wrong,) = (wrong for wrong in WRONG if wrong.name == name)
        (verdict,) = harness.check(wrong.function, "softmax", laws=["any_mode"], dtypes=["float32"], corpora=())
        assert verdict.violation is not None
        assert words in verdict.violation.cause


def test_a_function_with_one_axis_of_rows_may_refuse_more() -> None:
    """The contract has two axes. A function that refuses more axes gives no wrong result."""

    def softmax(x: Tensor) -> Tensor:
        n, k = x.shape
        return x.reshape(n, k).softmax(1)

    (verdict,) = harness.check(softmax, "softmax", laws=["any_rank"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.SKIPPED
    assert "one axis of rows" in (verdict.reason or "")


def test_a_gradient_may_say_that_it_cannot_be_differentiated() -> None:
    """The law is skipped."""
    (verdict,) = harness.check(once, "softmax", laws=["second_derivative"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.SKIPPED
    assert "once_differentiable" in (verdict.reason or "")


def test_a_slow_implementation_is_tried_on_fewer_rows() -> None:
    """A loop over the rows takes seconds, and quadratic memory is limited."""
    most: list[int] = []

    def looped(x: Tensor) -> Tensor:
        most.append(len(x))
        return torch.stack([(row - row.max()).exp() / (row - row.max()).exp().sum() for row in x])

    (verdict,) = harness.check(looped, "softmax", laws=["value_on_many_rows"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.HOLDS
    assert max(most) == 4_097


@pytest.mark.parametrize("seed", [1, 2])
def test_no_run_leaves_a_quarter_of_a_block_out(seed: int) -> None:
    """The seed does not matter."""
    (wrong,) = (wrong for wrong in WRONG if "modulo" in wrong.name)
    (verdict,) = harness.check(wrong.function, "softmax", laws=[wrong.law], dtypes=["float32"], corpora=(), seed=seed)
    assert verdict.status is Status.BROKEN


def test_seeds_sweep_the_lengths_between_the_edges() -> None:
    """Each seed draws other lengths."""
    lengths: set[int] = set()
    for seed in range(4):
        harness.check(
            lambda x: (lengths.add(x.shape[-1]), x.softmax(-1))[1],
            "softmax",
            laws=["value_on_long_rows"],
            dtypes=["float32"],
            corpora=(),
            seed=seed,
        )
    assert len(lengths) > 30
