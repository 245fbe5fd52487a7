"""A law takes the derivative in the first input that has a gradient."""

from typing import Any

import pytest
import torch
from torch import Tensor

import harness

QUICK: dict[str, Any] = {"dtypes": ["float32"], "laws": ["gradient", "any_cotangent"], "examples": 4}


def _mse(target: Tensor, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
    return (input - target.detach()) ** 2


@pytest.mark.parametrize(
    ("function", "formula", "inputs"),
    [
        (lambda y, x: torch.where(y, x, 2 * x), "where(y, x, 2 * x)", {"y": "mask"}),
        (_mse, "(input - target) ** 2", {"target": "constant"}),
    ],
    ids=["mask", "constant"],
)
def test_a_mask_and_a_constant_are_never_differentiated(function: Any, formula: str, inputs: dict[str, str]) -> None:
    """The first input is skipped. A loss need not have a gradient in its target."""
    verdicts = harness.check(function, formula=formula, inputs=inputs, **QUICK)
    assert [one.status for one in verdicts] == ["holds", "holds"]


def test_a_backward_pass_that_ignores_the_incoming_gradient_is_found_in_the_second_input() -> None:
    """The law of cotangents uses the input with a gradient."""

    class Where(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, y: Tensor, x: Tensor) -> Tensor:
            ctx.save_for_backward(y)
            return torch.where(y, x, 2 * x)

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, grad: Tensor) -> tuple[None, Tensor]:
            (y,) = ctx.saved_tensors  # type: ignore[attr-defined]
            flat = grad.new_empty(0).set_(grad.untyped_storage(), 0, grad.shape, (1,) * grad.ndim)
            return None, torch.where(y, flat, 2 * flat)

    verdicts = harness.check(Where.apply, formula="where(y, x, 2 * x)", inputs={"y": "mask"}, **QUICK)
    assert {one.law: one.status for one in verdicts}["any_cotangent"] == "broken"
