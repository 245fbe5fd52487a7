"""Policies for rows without a value: an implementation keeps its policy and breaks each other."""

import math
from collections.abc import Callable

import pytest
from torch import Tensor

from harness.case import Case
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs

OF_NOTHING: dict[str, Callable[[int], float]] = {
    "nan": lambda _: math.nan,
    "zeros": lambda _: -math.inf,
    "uniform": lambda columns: -math.log(columns),
}
"""The logarithms that each policy gives for a row that contains only -inf."""


def log_softmax_with(policy: str) -> Callable[[Tensor], Tensor]:
    """Return torch's log_softmax with a policy for rows without a value."""

    def log_softmax(x: Tensor) -> Tensor:
        nothing = x.isneginf().all(-1, keepdim=True)
        return x.log_softmax(-1).where(~nothing, OF_NOTHING[policy](x.shape[-1]))

    return log_softmax


@pytest.mark.parametrize("declared", OF_NOTHING)
@pytest.mark.parametrize("policy", OF_NOTHING)
def test_log_softmax_of_a_fully_masked_row_follows_the_declaration(policy: str, declared: str) -> None:
    """Only the declared values pass, and their sign counts."""
    case = Case(log_softmax_with(policy), "log_softmax", declares={"fully_masked": declared}, name="mine.log_softmax")
    (job,) = list_jobs([case], laws=["fully_masked_row"], dtypes=["float32"])
    assert decide(job, examples=8, corpora=()).status is (Status.HOLDS if policy == declared else Status.BROKEN)
