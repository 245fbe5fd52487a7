"""The gradient of a formula at the largest and smallest numbers: a factor that overflows there is not required."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.record import Status
from harness.verdict.replay import decode_example
from harness.wording.verdict import is_no_loss

HARMONIC, LAW = "1 / mean(1 / x)", "gradient_on_extreme_numbers"


def by_reciprocals(x: Tensor) -> Tensor:
    """The harmonic mean as it is written: the backward pass multiplies zero by infinity at 1e25."""
    return 1 / (1 / x).mean(-1)


def scaled(x: Tensor) -> Tensor:
    """The harmonic mean of rows whose smallest entry is one."""
    smallest = x.detach().abs().amin(-1, keepdim=True)
    return smallest[..., 0] / (smallest / x).mean(-1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_gradient_that_is_nan_for_large_numbers_is_not_required(dtype: str) -> None:
    """The true gradient is about 1 / n, and every input of the example is a normal number, but an extreme one."""
    (verdict,) = harness.check(by_reciprocals, formula=HARMONIC, laws=[LAW], dtypes=[dtype], inputs={"x": "positive"})
    assert verdict.status is Status.LOST
    assert is_no_loss(verdict)
    assert verdict.violation is not None
    x = decode_example(verdict.violation.example)["x"]
    assert bool((x >= torch.finfo(x.dtype).tiny).all())


def test_a_gradient_of_scaled_numbers_holds() -> None:
    """A factor of the chain rule that stays inside the range is no violation."""
    (verdict,) = harness.check(scaled, formula=HARMONIC, laws=[LAW], dtypes=["float32"], inputs={"x": "positive"})
    assert verdict.status is Status.HOLDS, verdict


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "x / (1 + abs(x))": torch.nn.functional.softsign,
    "log(1 + exp(x))": torch.nn.functional.softplus,
    "x / y": torch.div,
    "sqrt(x * x + y * y)": torch.hypot,
    "tanh(x)": torch.tanh,
    "2 * x * x / (x * x + 4)": lambda x: 2 * x * x / (x * x + 4),
    "1 / sqrt(x)": torch.rsqrt,
    "1 / (1 + exp(-x))": lambda x: 1 / (1 + torch.exp(-x)),
}


@pytest.mark.parametrize("formula", FUNCTIONS)
def test_factors_that_overflow_with_the_value_or_for_a_tiny_gradient_hold(formula: str) -> None:
    """A square overflows in the value too, the gradient of `rsqrt` is at the end of the range, and the last is zero."""
    (verdict,) = harness.check(FUNCTIONS[formula], formula=formula, laws=[LAW], dtypes=["float32"])
    assert verdict.status is Status.HOLDS, verdict
