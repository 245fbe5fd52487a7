"""Attention with many queries per row or with two features follows the formula of a single query."""

import functools

import pytest
from formula.catalogued_steps import attention_of_many, attention_of_two_features, attention_over_queries
from formula.judging import decided

from harness.api import formula_contract
from harness.case import Case
from harness.record import Status
from harness.verdict.job import list_jobs

LAWS = ["value", "finite", "gradient", "gradient_finite", "gradient_in_k", "gradient_in_v"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_many_queries_are_each_answered_for_themselves(dtype: str) -> None:
    """Torch's kernel holds."""
    found = decided(list_jobs([Case(attention_of_many, "attention")], laws=LAWS, dtypes=[dtype]), examples=4)
    assert {verdict.status for verdict in found} == {Status.HOLDS}


def test_a_softmax_along_the_queries_is_seen() -> None:
    """The error is invisible with one query and one key."""
    case = Case(attention_over_queries, "attention")
    (found,) = decided(list_jobs([case], laws=["value"], dtypes=["float32"]), examples=4)
    assert found.status is Status.BROKEN


@pytest.mark.parametrize(("scale", "status"), [(None, Status.HOLDS), (1.0, Status.BROKEN)])
def test_features_are_written_out(scale: float | None, status: Status) -> None:
    """Torch's kernel holds.

    A kernel without the division by the root of the number of features breaks the laws of value and gradient.
    """
    inputs = {"q": "per_row", "r": "per_row", "k": "", "h": "", "v": ""}
    contract = formula_contract(None, "sum(softmax((q * k + r * h) / sqrt(2)) * v)", None, inputs, "rows")
    case = Case(functools.partial(attention_of_two_features, scale=scale), contract or "", name="two features")
    found = decided(list_jobs([case], laws=["value", "gradient", "gradient_in_k"], dtypes=["float32"]), examples=2)
    assert {verdict.status for verdict in found} == {status}
