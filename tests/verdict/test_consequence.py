"""Consequences of a wrong value join its finding; independent defects are separate findings."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.case import Case
from harness.findings import findings
from harness.record import Status
from harness.verdict.consequence import find_explaining_law
from harness.verdict.decide import decide
from harness.verdict.draw import Deadline
from harness.verdict.job import list_jobs


class Doubled(torch.autograd.Function):
    """A softmax whose gradient is twice the right one."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: D102
        y = x.softmax(-1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:  # noqa: D102
        (y,) = ctx.saved_tensors
        (g,) = cotangents
        return 2.0 * y * (g - (g * y).sum(-1, keepdim=True))


def wrong_from_ten_on(x: Tensor) -> Tensor:
    """A softmax that is wrong in rows of large numbers, and so is its gradient."""
    return torch.where(x.abs().amax(-1, keepdim=True) > 10.0, (x / 3.0).softmax(-1), x.softmax(-1)) * where_large(x)


def where_large(x: Tensor) -> Tensor:
    """Return 2/3 in rows of large numbers, else 1."""
    return 1.0 - (x.abs().amax(-1, keepdim=True) > 10.0).to(x.dtype) / 3.0


def wrong_in_two_ways(x: Tensor) -> Tensor:
    """The value is wrong in rows of large numbers, and the gradient in all rows."""
    return Doubled.apply(x) * where_large(x)


def wrong_everywhere_in_two_ways(x: Tensor) -> Tensor:
    """The value and the gradient are wrong independently in every row."""
    return Doubled.apply(x) * 0.75


def multiplied_mask(logits: Tensor, keep: Tensor) -> Tensor:
    """A softmax over all entries, in which the kept entries are renormalized."""
    y = logits.softmax(-1) * keep
    return y / (y.sum(-1, keepdim=True) + torch.finfo(y.dtype).tiny)


def unshifted_and_leaking(logits: Tensor, keep: Tensor) -> Tensor:
    """Exponentials overflow, and a dropped entry keeps a thousandth."""
    e = logits.exp() * torch.where(keep, 1.0, 1e-3)
    return e / e.sum(-1, keepdim=True)


def base_of(function: Callable[..., Tensor], law: str) -> str:
    """Return the law from which a broken law follows."""
    (job,) = list_jobs([Case(function, "softmax")], laws=[law], dtypes=["float32"])
    violation = decide(job, corpora=(), further=0).violation
    assert violation is not None
    return violation.follows


@pytest.mark.parametrize(
    ("function", "law", "expected"),
    [
        (wrong_from_ten_on, "rows_sum_to_one", "value"),
        (wrong_from_ten_on, "gradient", "value"),
        (wrong_in_two_ways, "rows_sum_to_one", "value"),
        (wrong_in_two_ways, "gradient", ""),
        (wrong_everywhere_in_two_ways, "rows_sum_to_one", "value"),
        (wrong_everywhere_in_two_ways, "gradient", ""),
    ],
)
def test_a_gradient_that_is_wrong_for_itself_does_not_follow(
    function: Callable[..., Tensor], law: str, expected: str
) -> None:
    """A gradient that is wrong only where the value is wrong does follow."""
    assert base_of(function, law) == expected


def of(function: Callable[..., Tensor], contract: str, laws: list[str], **declares: Any) -> list[list[str]]:
    """Return the laws of each defect."""
    found = harness.check(function, contract, laws=laws, dtypes=["float32"], declares=declares)
    return sorted(sorted(finding.laws) for finding in findings(found) if finding.status is Status.BROKEN)


def test_what_holds_wherever_the_value_is_right_is_told_with_it() -> None:
    """A shift moves kept entries below others, and changes them.

    A wrong gradient at a dropped entry is a separate defect.
    """
    laws = ["value", "shift_invariant", "gradient", "gradient_beside_a_fully_masked_row"]
    assert of(multiplied_mask, "masked_softmax", laws, fully_masked="zeros") == [
        ["gradient", "gradient_beside_a_fully_masked_row"],
        ["shift_invariant", "value"],
    ]


def test_what_a_nan_gets_through_is_another_defect() -> None:
    """Multiplication by zero does not drop NaN, independent of the digits of the value."""
    laws = ["value", "masked_values_do_not_matter"]
    assert of(multiplied_mask, "masked_softmax", laws, fully_masked="zeros") == [[law] for law in sorted(laws)]


def test_a_mask_that_leaks_is_another_defect_than_an_overflow() -> None:
    """The value is wrong for both reasons."""
    found = of(unshifted_and_leaking, "masked_softmax", ["value", "finite_on_extreme_logits", "rows_sum_to_one"])
    assert len(found) == 2


def test_a_wrong_gradient_stays_a_defect_of_its_own_beside_a_wrong_value() -> None:
    """It is wrong in some rows, or in all."""
    for function in (wrong_in_two_ways, wrong_everywhere_in_two_ways):
        assert of(function, "softmax", ["value", "rows_sum_to_one", "gradient"]) == [
            ["gradient"],
            ["rows_sum_to_one", "value"],
        ]


def test_nothing_follows_where_every_answer_is_right() -> None:
    """A law that holds is not decided again with corrected values."""
    (job,) = list_jobs([Case(lambda x: x.softmax(-1), "softmax")], laws=["rows_sum_to_one"], dtypes=["float32"])
    assert not find_explaining_law(job, (), seed=0, deadline=Deadline(float("inf")))
