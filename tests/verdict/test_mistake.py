"""Frequent mistakes are named; what is right, or wrong in another way, gets no such name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import harness
from harness.case import Case
from harness.contracts import contract_named
from harness.record import Status, Verdict, findings, sentence
from harness.verdict.decide import decide
from harness.verdict.job import jobs

CONTRACTS = ("softmax", "log_softmax", "cross_entropy", "binary_cross_entropy_with_logits", "layer_norm", "gelu")
"""Contracts that list mistakes."""


def decided(function: Callable[..., Any], contract: str, law: str = "value", **facts: Any) -> Verdict:
    """The verdict on one law in float32."""
    (job,) = jobs([Case(function, contract, **facts)], laws=[law], dtypes=["float32"])
    return decide(job, corpora=(), further=0)


def mistake(function: Callable[..., Any], contract: str, law: str = "value", **facts: Any) -> str:
    """The mistake that is named for a broken law."""
    violation = decided(function, contract, law, **facts).violation
    assert violation is not None
    return violation.mistake


@pytest.mark.parametrize(
    ("contract", "number"), [(name, i) for name in CONTRACTS for i in range(len(contract_named(name).mistakes))]
)
def test_every_mistake_is_recognized(contract: str, number: int) -> None:
    """An implementation that makes it, in float32, gets its name."""
    known = contract_named(contract)

    def made(*inputs: Tensor) -> Tensor:
        return known.mistakes[number].function(*inputs, **known.defaults)

    assert mistake(made, contract) == known.mistakes[number].what


def clamped(x: Tensor) -> Tensor:
    """A softmax whose exponent is clipped."""
    return x.clamp(max=50.0).softmax(-1)


def half(x: Tensor) -> Tensor:
    """A softmax of half the logits."""
    return (x / 2.0).softmax(-1)


@pytest.mark.parametrize("function", [clamped, half])
def test_another_defect_is_not_called_a_frequent_mistake(function: Callable[[Tensor], Tensor]) -> None:
    """Its values are not those of a known wrong function."""
    assert mistake(function, "softmax") == ""


def over_the_first_axis(x: Tensor) -> Tensor:
    """The wrong axis, and an exponential that overflows."""
    e = x.exp()
    return e / e.sum(0, keepdim=True)


def shifted_over_the_first_axis(x: Tensor) -> Tensor:
    """The wrong axis alone."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / e.sum(0, keepdim=True)


def test_a_wrong_axis_is_named_before_an_overflow() -> None:
    """Both are findings."""
    laws = ["value", "finite_on_extreme_logits"]
    axis, overflow = findings(harness.check(over_the_first_axis, "softmax", laws=laws, dtypes=["float32"]))
    assert sentence(axis).startswith("the sum runs over the first axis instead of the last")
    assert sentence(overflow).startswith("exp overflows")


def test_the_laws_that_a_mistake_breaks_are_one_finding() -> None:
    """Though they break on other examples."""
    laws = ["value", "rows_sum_to_one", "gradient"]
    found = findings(harness.check(shifted_over_the_first_axis, "softmax", laws=laws, dtypes=["float32"]))
    assert found[0].laws == laws


def test_an_unbiased_variance_is_one_finding() -> None:
    """The NaN of a row of one entry follows from it."""

    def layer_norm(x: Tensor) -> Tensor:
        return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)

    found = harness.check(layer_norm, "layer_norm", laws=["value", "gradient", "odd"], dtypes=["float32"])
    (one,) = [finding for finding in findings(found) if finding.status is Status.BROKEN]
    assert sentence(one) == "the variance divides by n - 1 instead of n: use var(correction=0)"


@pytest.mark.parametrize(
    ("epsilon", "reduction", "said"),
    [
        (1e-12, "none", "the output cannot exceed 27.631 = -ln(1e-12), although the exact value does"),
        (1e-8, "mean", "the output cannot exceed 18.421 = -ln(1e-8), although the exact value does"),
    ],
)
@pytest.mark.parametrize("law", ["value", "certain_and_impossible"])
def test_a_capped_loss_is_told_its_cap(epsilon: float, reduction: str, said: str, law: str) -> None:
    """It follows from what the loss answers, not from its code."""

    def loss(p: Tensor, labels: Tensor) -> Tensor:
        rows = -torch.log(p.gather(-1, labels[:, None]).squeeze(-1) + epsilon)
        return rows.mean() if reduction == "mean" else rows

    assert mistake(loss, "nll_of_probabilities", law, declares={"reduction": reduction}) == said


def test_a_cap_that_is_no_logarithm_is_a_number() -> None:
    """A clamp of the loss itself."""

    def loss(p: Tensor, labels: Tensor) -> Tensor:
        return functional.nll_loss(p.log(), labels, reduction="none").clamp(max=10.0)

    assert mistake(loss, "nll_of_probabilities").startswith("the output cannot exceed 10, although")


def test_a_loss_that_is_wrong_without_a_cap_has_none() -> None:
    """It grows as the exact one does."""

    def loss(p: Tensor, labels: Tensor) -> Tensor:
        return 0.5 * functional.nll_loss(p.log(), labels, reduction="none")

    assert mistake(loss, "nll_of_probabilities") == ""


def test_the_example_of_a_gradual_defect_is_clear() -> None:
    """The smallest example would be off by eight ulp, with a bound of eight."""
    violation = decided(lambda x: x.softmax(-1).softmax(-1), "softmax").violation
    assert violation is not None
    assert violation.deviation > 1000.0 * violation.bound
    assert all(abs(float.fromhex(text)) in {0.0, 1.0} for text in violation.example["logits"].values)  # type: ignore[union-attr]


def test_a_formula_of_a_positive_number_is_probed_near_zero() -> None:
    """Drawn numbers of a formula stay far from the smallest ones."""

    def loss(p: Tensor) -> Tensor:
        return -torch.log(p + 1e-12)

    found = harness.check(loss, formula="-log(p)", inputs={"p": "positive"}, laws=["value"], dtypes=["float32"])
    assert "= -ln(1e-12)" in sentence(findings(found)[0])
