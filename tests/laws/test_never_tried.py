"""A defect that shows on one kind of input is found by the law that draws this kind."""

from typing import Any

import pytest
import torch
from corpus.catalogue import of
from corpus.sizes import once
from corpus.specimen import Specimen
from torch import Tensor

import harness
from harness.case import Case
from harness.contracts import contract_named
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs

HELD_OUT = of("held out")


@pytest.mark.parametrize("wrong", HELD_OUT, ids=str)
def test_a_defect_on_one_kind_of_input_is_found(wrong: Specimen) -> None:
    """It breaks the law of its length, axis, mode, layout or dtype, and the message names a mode."""
    case = Case(wrong.function, wrong.contract, declares=wrong.declares, name=f"held_out.{wrong.contract}")
    (job,) = list_jobs([case], laws=[wrong.law], dtypes=[wrong.dtype], strict=True)
    verdict = decide(job, corpora=(), minimal=False)
    assert verdict.status is Status.BROKEN, verdict.reason
    assert verdict.violation is not None
    assert wrong.says in verdict.violation.cause


LAWS = {"value", "value_on_long_rows", "value_on_extreme_numbers", "any_mode", "any_layout", "any_cotangent"}


@pytest.mark.parametrize("sample", of("unusual"), ids=str)
def test_an_unusual_implementation_that_is_right_has_no_defect(sample: Specimen) -> None:
    """It keeps the laws of its value, of modes, of layouts and of the incoming gradient."""
    laws = sorted(LAWS & {law.name for law in contract_named(sample.contract).laws})
    of_sample: dict[str, Any] = {"dtypes": [sample.dtype], "declares": sample.declares}
    verdicts = harness.check(sample.function, sample.contract, laws=laws, corpora=(), **of_sample)
    broken = [verdict for verdict in verdicts if verdict.status.fails]
    assert not broken, broken


def test_dropout_in_training_is_no_fault_of_a_module_in_evaluation() -> None:
    """Its other mode draws random numbers, so the results of the two modes differ by right."""
    module = torch.nn.Sequential(torch.nn.Softmax(-1), torch.nn.Dropout(0.5)).eval()
    (verdict,) = harness.check(module, "softmax", laws=["any_mode"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.HOLDS
    assert not module.training


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
    (wrong,) = (wrong for wrong in HELD_OUT if "modulo" in wrong.name)
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
