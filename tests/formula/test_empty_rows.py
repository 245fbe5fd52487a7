"""If a mask drops a whole row, the formula's value counts, or a convention if there is no value."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from formula.catalogued import CATALOGUED
from formula.judging import decided
from torch import Tensor

import harness
from harness.case import Case
from harness.error import UsageError
from harness.record import Status
from harness.verdict.job import list_jobs

SOFTMAX = "e = where(keep, exp(x), 0); e / sum(e)"
STABLE = "m = stop(max(where(keep, x, min(x)))); e = where(keep, exp(where(keep, x, m) - m), 0); e / sum(e)"
VALUE, GRADIENT = "fully_masked_row", "gradient_beside_a_fully_masked_row"


def masked(x: Tensor, keep: Tensor) -> Tensor:
    """Adds the mask, so that a row without a kept entry is 0 / 0, which is NaN. The gradient is NaN too."""
    return (x + torch.where(keep, 0.0, -math.inf).to(x.dtype)).softmax(-1)


def uniform(x: Tensor, keep: Tensor) -> Tensor:
    """Uses a large number in place of infinity: a row without a kept entry is uniform."""
    return x.masked_fill(~keep, torch.finfo(x.dtype).min).softmax(-1)


def zeros(x: Tensor, keep: Tensor) -> Tensor:
    """Selects the kept entries before any other operation."""
    some = keep | ~keep.any(-1, keepdim=True)
    return torch.where(keep, x.masked_fill(~some, -math.inf).softmax(-1), 0.0)


def zeros_too_late(x: Tensor, keep: Tensor) -> Tensor:
    """Replaces NaN in the value, but not in the gradient."""
    return torch.where(keep, masked(x, keep), 0.0)


def one_too_many(x: Tensor, keep: Tensor) -> Tensor:
    """Returns a finite value that is no convention."""
    return torch.where(keep.any(-1, keepdim=True), masked(x, keep), 1.0)


def judged(function: Callable[..., Tensor], policy: str | None, formula: str = SOFTMAX) -> list[Status]:
    """Return the statuses of both laws."""
    found = harness.check(
        function,
        formula=formula,
        form=STABLE if formula == SOFTMAX else None,
        inputs={"x": "", "keep": "mask"},
        laws=[VALUE, GRADIENT],
        dtypes=["float32"],
        declares={} if policy is None else {"fully_masked": policy},
        examples=4,
    )
    return [verdict.status for verdict in found]


HOLDS, BROKEN, SKIPPED = Status.HOLDS, Status.BROKEN, Status.SKIPPED


@pytest.mark.parametrize(
    ("function", "policy", "said"),
    [
        (masked, "nan", [HOLDS, HOLDS]),
        (uniform, "uniform", [HOLDS, HOLDS]),
        (zeros, "zeros", [HOLDS, HOLDS]),
        (zeros, "nan", [BROKEN, HOLDS]),
        (masked, "zeros", [BROKEN, BROKEN]),
        (uniform, "zeros", [BROKEN, HOLDS]),
        (zeros_too_late, "zeros", [HOLDS, BROKEN]),
        (one_too_many, "uniform", [BROKEN, BROKEN]),
        (one_too_many, None, [SKIPPED, HOLDS]),
    ],
)
def test_the_declared_convention_is_checked(
    function: Callable[..., Tensor], policy: str | None, said: list[Status]
) -> None:
    """Every other convention breaks the law.

    Without a declared convention, the verdict states that nothing is declared.
    """
    assert judged(function, policy) == said


def test_a_formula_that_has_a_value_there_needs_no_convention() -> None:
    """An empty sum is zero, and an implementation that counts dropped entries is wrong."""
    formula = "sum(where(keep, x, 0))"
    assert judged(lambda x, keep: torch.where(keep, x, 0.0).sum(-1), None, formula) == [HOLDS, HOLDS]
    first = judged(lambda x, keep: torch.where(keep | ~keep.any(-1, keepdim=True), x, 0.0).sum(-1), None, formula)
    assert first == [BROKEN, BROKEN]


def test_the_logarithm_of_nothing_may_be_minus_infinity() -> None:
    """Torch's logsumexp returns minus infinity; a finite number breaks the law."""
    formula = "log(sum(where(keep, exp(x), 0)))"
    at_infinity = lambda x, keep: x.masked_fill(~keep, -math.inf).logsumexp(-1)  # noqa: E731
    assert judged(at_infinity, "minus_infinity", formula)[0] is HOLDS
    assert judged(lambda x, keep: x.masked_fill(~keep, -80.0).logsumexp(-1), "minus_infinity", formula)[0] is BROKEN


def test_an_unknown_convention_is_refused() -> None:
    """The message lists the conventions. A formula without a mask has none."""
    with pytest.raises(UsageError, match="`open`, `nan`, `zeros`, `uniform`"):
        judged(masked, "ones")
    with pytest.raises(UsageError, match="the conventions of `formula\\(x\\): exp\\(x\\)` are none"):
        harness.check(torch.exp, formula="exp(x)", declares={"fully_masked": "nan"})


def test_a_mask_of_single_numbers_drops_some_too() -> None:
    """Without a reduction there is no row, and the mask may drop any entry."""
    facts: dict[str, Any] = {"formula": "where(keep, x, 0)", "inputs": {"x": "", "keep": "mask"}, "dtypes": ["float32"]}
    laws: dict[str, Any] = {"laws": ["value"], "examples": 2}
    assert harness.check(lambda x, keep: torch.where(keep, x, 0.0), **facts, **laws).failing == []
    assert harness.check(lambda x, keep: x + 0 * keep, **facts, **laws).failing != []


@pytest.mark.parametrize(("policy", "said"), [("zeros", [HOLDS, HOLDS]), ("nan", [BROKEN, HOLDS])])
def test_torch_attention_gives_zeros_where_no_key_is_kept(policy: str, said: list[Status]) -> None:
    """The gradients of this row and of the other rows are finite."""
    case = Case(CATALOGUED["masked_attention"].torch, "masked_attention", declares={"fully_masked": policy})
    listed = list_jobs([case], laws=[VALUE, GRADIENT], dtypes=["float32"])
    assert [verdict.status for verdict in decided(listed, examples=4)] == said
