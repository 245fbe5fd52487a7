"""A defect that shows on one kind of input is found by the law that draws this kind."""

from typing import Any

import pytest
import torch
from samples import modes
from samples.never_tried import WRONG, Wrong, once
from torch import Tensor

import harness
from harness.case import Case
from harness.contracts import contract_named
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import jobs


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.contract}-{wrong.name}-{wrong.dtype}")
def test_a_defect_on_one_kind_of_input_is_found(wrong: Wrong) -> None:
    """Drawn examples suffice."""
    case = Case(wrong.function, wrong.contract, name=f"never_tried.{wrong.contract}")
    (job,) = jobs([case], laws=[wrong.law], dtypes=[wrong.dtype], strict=True)
    verdict = decide(job, corpora=(), minimal=False)
    assert verdict.status is Status.BROKEN, verdict.reason


def verdicts_on(sample: modes.Sample, *laws: str) -> list[Verdict]:
    """Decide some laws on a sample."""
    facts: dict[str, Any] = {"dtypes": sample.dtypes, "declares": sample.declares}
    return list(harness.check(sample.function, sample.contract, laws=laws, corpora=(), **facts))


@pytest.mark.parametrize("sample", modes.WRONG, ids=lambda sample: sample.name)
def test_an_implementation_that_is_wrong_in_one_mode_has_a_defect(sample: modes.Sample) -> None:
    """It breaks the law of its mode, layout, dtype or length."""
    assert any(verdict.status is Status.BROKEN for verdict in verdicts_on(sample, sample.law))


@pytest.mark.parametrize("sample", modes.RIGHT, ids=lambda sample: sample.name)
def test_an_unusual_implementation_that_is_right_has_no_defect(sample: modes.Sample) -> None:
    """It keeps the laws of its value, of modes, of layouts and of the incoming gradient."""
    laws = {"value", "value_on_long_rows", "value_on_extreme_numbers", "any_mode", "any_layout", "any_cotangent"}
    known = {law.name for law in contract_named(sample.contract).laws}
    broken = [verdict for verdict in verdicts_on(sample, *sorted(laws & known)) if verdict.status.fails]
    assert not broken, broken


def test_dropout_in_training_is_no_fault_of_a_module_in_evaluation() -> None:
    """Its other mode draws random numbers, so the results of the two modes differ by right."""
    module = torch.nn.Sequential(torch.nn.Softmax(-1), torch.nn.Dropout(0.5)).eval()
    (verdict,) = harness.check(module, "softmax", laws=["any_mode"], dtypes=["float32"], corpora=())
    assert verdict.status is Status.HOLDS
    assert not module.training


def test_the_mode_is_named() -> None:
    """The message names the mode with the wrong result."""
    names = {"in inference": "inference_mode", "under autocast": "autocast", "with gradients": "require"}
    of_modes = {"evaluation": "eval()", "two threads": "2 threads", "one buffer for all answers": "other inputs"}
    of_modes |= {"allocated in the default dtype": "returns torch.float64"}
    for name, words in of_modes.items():
        (sample,) = (sample for sample in modes.WRONG if sample.name == name)
        (verdict,) = verdicts_on(sample, "any_mode")
        assert verdict.violation is not None
        assert words in verdict.violation.cause
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
