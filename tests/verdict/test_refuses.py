"""A function that raises on NaN or infinity, but accepts numbers, has the property of refusing them.

An exception on numbers is an error, even if the function also refuses NaN or infinity.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.display.notebook import Verdicts
from harness.record import Fault, Status
from harness.wording.verdict import property_sentences

LAWS = ("value", "finite_on_extreme_logits", "fully_masked_row", "nan_stays_in_its_row")
"""Laws on numbers, on large numbers, on infinities and on NaN."""


def refusing(is_refused: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """A softmax that first validates its input, like torch.distributions and scikit-learn."""

    def softmax(logits: Tensor) -> Tensor:
        if is_refused(logits).any():
            raise ValueError(f"Tensor of shape {tuple(logits.shape)} has invalid values")
        return logits.softmax(-1)

    return softmax


def checked(function: Callable[..., Any], **facts: Any) -> Verdicts:
    """Check a softmax in float32 on a few examples."""
    return harness.check(function, "softmax", laws=LAWS, dtypes=["float32"], examples=4, **facts)


def statuses(verdicts: Verdicts) -> dict[str, Status]:
    """Return the status of each law."""
    return {verdict.law: verdict.status for verdict in verdicts}


def refused(verdicts: Verdicts) -> list[str]:
    """Return the refused inputs that were found."""
    return [one.value for one in verdicts.properties if one.name == "refuses"]


def test_what_refuses_nan_has_one_sentence_and_no_error() -> None:
    """The law about NaN is skipped, and the others are judged."""
    verdicts = checked(refusing(torch.isnan))
    assert refused(verdicts) == ["nan"]
    assert statuses(verdicts) == dict.fromkeys(LAWS[:3], Status.HOLDS) | {LAWS[3]: Status.SKIPPED}
    (sentence,) = property_sentences(verdicts.properties)
    assert "refuses NaN in float32" in sentence
    assert "(ValueError: Tensor of shape ...)" in sentence
    assert "--declare refuses=nan" in sentence
    assert "--call" not in sentence
    (skipped,) = (verdict for verdict in verdicts if verdict.status is Status.SKIPPED)
    assert skipped.reason == "it refuses NaN"
    assert skipped.rows == 0
    assert all(one.fails(strict=True) and not one.fails(strict=False) for one in verdicts.properties)


@pytest.mark.parametrize(
    ("is_refused", "value", "skipped"),
    [
        (torch.isinf, "inf", {"fully_masked_row"}),
        (lambda x: ~x.isfinite(), "non_finite", {"fully_masked_row", "nan_stays_in_its_row"}),
    ],
)
def test_infinities_are_refused_too(is_refused: Callable[[Tensor], Tensor], value: str, skipped: set[str]) -> None:
    """A function may also refuse only infinities."""
    verdicts = checked(refusing(is_refused))
    assert refused(verdicts) == [value]
    assert {law for law, status in statuses(verdicts).items() if status is Status.SKIPPED} == skipped
    assert not {verdict.law for verdict in verdicts if verdict.status is Status.ERROR}


def test_a_declared_refusal_is_silent() -> None:
    """The laws are judged with it."""
    verdicts = checked(refusing(torch.isnan), declares={"refuses": "nan"})
    assert not verdicts.properties
    assert statuses(verdicts)["nan_stays_in_its_row"] is Status.SKIPPED


def test_what_is_declared_to_refuse_nan_and_answers_it_is_judged() -> None:
    """A declaration hides no wrong answer."""
    verdicts = checked(lambda x: x.nan_to_num(nan=0.0).softmax(-1), declares={"refuses": "non_finite"})
    assert statuses(verdicts)["nan_stays_in_its_row"] is Status.BROKEN


@pytest.mark.parametrize(
    "is_refused",
    [lambda x: x < torch.inf, lambda x: (x.abs() > 1e4) & x.isfinite(), lambda x: x.isnan() | (x == 0.0)],
)
def test_what_raises_on_numbers_is_an_error(is_refused: Callable[[Tensor], Tensor]) -> None:
    """It raises on all numbers, on large ones, or on numbers next to NaN."""
    verdicts = checked(refusing(is_refused))
    raised = {verdict.law for verdict in verdicts if verdict.fault is Fault.RAISED}
    assert raised & {"value", "finite_on_extreme_logits"}
    reasons = {verdict.reason for verdict in verdicts if verdict.fault is Fault.RAISED}
    assert all("raises ValueError" in str(reason) for reason in reasons)


def test_what_raises_on_all_numbers_refuses_nothing() -> None:
    """It is an error on NaN too."""
    verdicts = checked(refusing(lambda x: torch.ones_like(x)))
    assert not refused(verdicts)
    assert set(statuses(verdicts).values()) == {Status.ERROR}


@pytest.mark.parametrize("contract", ["nll_of_probabilities", "kl_divergence_of_probabilities", "kl_divergence"])
def test_what_refuses_what_is_no_probability_is_given_none(contract: str) -> None:
    """No law passes invalid probabilities, because half of the libraries validate them."""

    def loss(*inputs: Tensor) -> Tensor:
        p = inputs[1] if contract == "kl_divergence" else inputs[0]
        if ((p < 0.0) | (p > 1.0)).any():
            raise ValueError("no probability")
        if contract == "nll_of_probabilities":
            return -p.gather(-1, inputs[1][..., None])[..., 0].log()
        other = inputs[0] if contract == "kl_divergence" else inputs[1].log()
        return (torch.xlogy(p, p) - p * other).sum(-1)

    verdicts = harness.check(loss, contract, dtypes=["float32"], examples=2)
    assert [(verdict.law, verdict.reason) for verdict in verdicts if verdict.fault is Fault.RAISED] == []
    assert Status.HOLDS in statuses(verdicts).values()
