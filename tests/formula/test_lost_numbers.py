"""A zero in place of an ordinary number is a defect, even if the formula as written gives one."""

import io
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from formula.operations import elementwise
from rich.console import Console
from torch import Tensor

import harness
from harness.case import Case
from harness.display.verdict import print_verdicts
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs

SQUAREPLUS = "(x + sqrt(x * x + 4)) / 2"

checked = partial(harness.check, corpora=())


def squareplus(x: Tensor) -> Tensor:
    """Return zero below -4,096 in float32."""
    return (x + torch.sqrt(x * x + 4)) / 2


WRONG: dict[str, Callable[..., Any]] = {
    SQUAREPLUS: squareplus,
    "sqrt(x * x + x) - x": lambda x: torch.sqrt(x * x + x) - x,
    "x - sqrt(x * x - 1)": lambda x: x - torch.sqrt(x * x - 1),
}
"""Implementations that follow the formula, and return zero in place of an ordinary number."""

RIGHT: dict[str, Callable[..., Any]] = {
    SQUAREPLUS: elementwise.squareplus,
    "sqrt(x * x + x) - x": lambda x: x / (torch.sqrt(x * x + x) + x),
    "x - sqrt(x * x - 1)": lambda x: 1 / (x + torch.sqrt(x * x - 1)),
    "1 - cos(x)": lambda x: 1 - torch.cos(x),
    "(1 - erf(x / sqrt(2))) / 2": lambda x: (1 - torch.erf(x / 2**0.5)) / 2,
    "x / (1 + exp(-x))": lambda x: x * torch.sigmoid(x),
    "1 - sigmoid(x)": lambda x: 1 - torch.sigmoid(x),
    "x - tanh(x)": torch.nn.functional.tanhshrink,
    "x * log(x / y) - x + y": lambda x, y: x * torch.log(x / y) - x + y,
    "x - y": torch.sub,
    "x * x - y * y": lambda x, y: x * x - y * y,
    "log(exp(x) + exp(y))": lambda x, y: torch.maximum(x, y) + torch.log(1 + torch.exp(-(x - y).abs())),
    "log(sum(exp(x)))": lambda x: x.amax(-1) + (x - x.amax(-1, keepdim=True)).exp().sum(-1).log(),
    "log_softmax(x)": lambda x: torch.log_softmax(x, -1),
    "x - mean(x)": lambda x: x - x.mean(-1, keepdim=True),
}
"""Implementations whose zeros stand for numbers that are lost beside one, or for differences of nearly equal inputs."""

INPUTS = {
    "sqrt(x * x + x) - x": {"x": "1..1e9"},
    "x - sqrt(x * x - 1)": {"x": "1..1e6"},
    "x * log(x / y) - x + y": {"x": "positive", "y": "positive"},
}


@pytest.mark.parametrize("formula", WRONG)
def test_zero_for_an_ordinary_number_is_a_defect(formula: str) -> None:
    """The value is broken in float32, and the example shows the zero."""
    inputs = INPUTS.get(formula, {})
    (verdict,) = checked(WRONG[formula], formula=formula, inputs=inputs, laws=["value"], dtypes=["float32"])
    assert verdict.status is Status.BROKEN, verdict
    assert verdict.violation is not None
    assert verdict.violation.actual == 0.0
    assert abs(verdict.violation.expected) >= torch.finfo(torch.float32).eps


@pytest.mark.parametrize("formula", RIGHT)
def test_zero_for_a_small_number_or_for_nearby_inputs_is_none(formula: str) -> None:
    """A difference of equal numbers, and a small term beside a large one, may be zero."""
    inputs = INPUTS.get(formula, {})
    verdicts = checked(RIGHT[formula], formula=formula, inputs=inputs, laws=["value"], dtypes=["float32", "float64"])
    assert not verdicts.failing, verdicts


def test_lost_subnormal_numbers_are_not_shown() -> None:
    """The sigmoid is zero in place of 2.9e-39 and loses no other digits; the verdict counts the law as not required."""
    verdicts = checked(lambda x: 1 / (1 + torch.exp(-x)), "sigmoid", laws=["value"], dtypes=["float32"])
    (verdict,) = verdicts
    assert verdict.is_of_subnormals
    assert str(verdicts) == "verdict: no defect in 1 law (0 hold, 1 not required)"


def test_lost_digits_of_ordinary_numbers_are_shown_beside_subnormal_ones() -> None:
    """The swish of float64 is zero from -709.78 on, where normal numbers are true, and beyond -714 subnormal ones."""
    verdicts = checked(lambda x: x / (1 + torch.exp(-x)), "silu", laws=["digits_not_lost"], dtypes=["float64"])
    (verdict,) = verdicts
    assert verdict.status is Status.LOST
    assert not verdict.is_of_subnormals
    assert verdict.violation is not None
    assert abs(verdict.violation.expected) >= torch.finfo(torch.float64).tiny
    assert "LOST DIGITS" in str(verdicts)


def test_what_happens_at_extreme_numbers_only_is_shown_on_request() -> None:
    """A square overflows at 1.8e19, where the result is another extreme number."""
    root, extreme = "sqrt(x * x + 4)", ["value_on_extreme_numbers"]
    verdicts = checked(lambda x: torch.sqrt(x * x + 4), formula=root, laws=extreme, dtypes=["float32"])
    assert verdicts[0].status is Status.LOST
    usual, verbose = _printed(verdicts, verbose=False), _printed(verdicts, verbose=True)
    assert "overflows" not in usual
    assert "1 more finding is about subnormal, extreme or infinite numbers; use -v" in usual
    assert "PROPERTY  mul overflows" in verbose


def _printed(verdicts: Any, *, verbose: bool) -> str:
    out = io.StringIO()
    print_verdicts(Console(file=out, width=120), verdicts, single=True, verbose=verbose)
    return out.getvalue()


GINI = "abs(x - y) / (2 * (x + y))"


def gini(x: Tensor, y: Tensor) -> Tensor:
    """Return zero for 20,000 and 30,000 in float16, where 2 (x + y) overflows."""
    return (x - y).abs() / (2 * (x + y))


def scaled_gini(x: Tensor, y: Tensor) -> Tensor:
    """Divide by the larger number first."""
    largest = torch.maximum(x, y)
    x, y = x / largest, y / largest
    return (x - y).abs() / 2 / (x + y)


@pytest.mark.parametrize(
    ("function", "dtype", "status"),
    [(gini, "float16", Status.BROKEN), (gini, "float32", Status.LOST), (scaled_gini, "float16", Status.HOLDS)],
)
def test_numbers_beyond_the_ordinary_range_of_float16_are_common(
    function: Callable[..., Any], dtype: str, status: Status
) -> None:
    """An intermediate overflow that loses an ordinary number is a defect there, and is not required in float32."""
    positive, extreme = dict.fromkeys("xy", "positive"), ["value_on_extreme_numbers"]
    (verdict,) = checked(function, formula=GINI, inputs=positive, laws=extreme, dtypes=[dtype])
    assert verdict.status is status, verdict


def of_flushed_powers(x: Tensor, y: Tensor) -> Tensor:
    """Flush the smaller power to zero if it is subnormal, like JAX on a CPU."""
    power = torch.exp2(-(x - y).abs())
    power = torch.where(power < torch.finfo(x.dtype).tiny, 0.0, power)
    return torch.maximum(x, y) + torch.log1p(power) / math.log(2)


def test_a_flushed_intermediate_result_is_not_required() -> None:
    """Zero stands for 1.7e-38, a normal number, because an intermediate result was subnormal."""
    contract = "formula(x, y): log(exp2(x) + exp2(y)) / log(2) | max(x, y) + log1p(exp2(-abs(x - y))) / log(2)"
    (job,) = list_jobs([Case(of_flushed_powers, contract)], laws=["value"], dtypes=["float32"])
    verdict = decide(job, example={"x": torch.tensor([0.0]), "y": torch.tensor([-126.00001525878906])})
    assert verdict.status is Status.LOST, verdict
    assert verdict.is_of_subnormals
