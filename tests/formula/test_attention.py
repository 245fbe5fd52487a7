"""Attention of many queries, which share the keys of their row: the formula is that of each."""

import pytest
from formula.catalogued_steps import attention_of_many, attention_over_queries
from formula.judging import decided

from harness.case import Case
from harness.record import Status
from harness.verdict.job import jobs

LAWS = ["value", "finite", "gradient", "gradient_finite", "gradient_in_k", "gradient_in_v"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_many_queries_are_each_answered_for_themselves(dtype: str) -> None:
    """By torch's kernel."""
    found = decided(jobs([Case(attention_of_many, "attention")], laws=LAWS, dtypes=[dtype]), examples=4)
    assert {verdict.status for verdict in found} == {Status.HOLDS}


def test_a_softmax_along_the_queries_is_seen() -> None:
    """It is right where there is one query and one key."""
    case = Case(attention_over_queries, "attention")
    (found,) = decided(jobs([case], laws=["value"], dtypes=["float32"]), examples=4)
    assert found.status is Status.BROKEN
