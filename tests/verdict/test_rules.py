"""Rules for the verdicts of every law: judged elements, ranges of inputs, time limits, and the order of findings."""

import math
import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import harness
from harness.case import Case
from harness.findings import findings
from harness.formula.signature import order_like_parameters
from harness.formula.spelling import written
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.draw import WAITING, Deadline
from harness.verdict.job import list_jobs
from harness.wording.finding import finding_in_short


def normal_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The likelihood by the distribution of torch, whose variance is the square of a root."""
    log_prob = torch.distributions.Normal(mean, variance.sqrt()).log_prob(target)
    return (-log_prob - math.log(2 * math.pi) / 2).mean()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_rounding_of_a_root_is_no_other_gradient(dtype: str) -> None:
    """Variances are powers of four, so that no root is rounded."""
    (verdict,) = harness.check(normal_nll, "gaussian_nll", laws=["gradients_agree_exactly"], dtypes=[dtype], corpora=())
    assert verdict.status is Status.HOLDS, verdict


def test_another_answer_for_an_accepted_rank_is_a_defect() -> None:
    """All axes but the first are normalized together."""
    (verdict,) = harness.check(
        lambda x: functional.layer_norm(x, x.shape[1:]), "layer_norm", laws=["any_rank"], dtypes=["float32"], corpora=()
    )
    assert verdict.status is Status.BROKEN
    assert "[[0.0], [1.0]] given as [1, 2, 1, 1], not 0" in finding_in_short(findings([verdict])[0])


def test_a_result_with_fewer_axes_shows_that_leading_axes_are_no_rows() -> None:
    """Quality measures of images reduce all axes but the first, and say so by the shape of their result."""
    error = written("mean((x - y) ** 2)", None, {}, over="rows").text
    (verdict,) = harness.check(
        lambda x, y: (x - y).square().flatten(1).mean(1), error, laws=["any_rank"], dtypes=["float32"], corpora=()
    )
    assert verdict.status is Status.SKIPPED
    assert "leading axes are no rows" in (verdict.reason or "")


def test_an_element_without_a_bound_is_not_judged() -> None:
    """The gradient overflows as written, so a NaN is excused there; the law is skipped, and does not hold."""
    text = written("where(x > 0, exp(-1 / x), 0)", None, {}, over="rows").text
    case = Case(lambda x: torch.where(x > 0, torch.exp(-1 / x), 0.0), text)
    example = {"x": torch.tensor([2.0**-78]), "cotangent": torch.ones(1)}
    for job in list_jobs([case], laws=["gradient_finite", "gradient"], dtypes=["float32"]):
        verdict = decide(job, example=example)
        assert verdict.status is Status.SKIPPED
        assert "not judged" in (verdict.reason or "")


def table(t: Tensor) -> Tensor:
    """A value for each of the declared positions."""
    values = torch.rsqrt(1 + torch.arange(4096, dtype=torch.float64))
    return values[t.long()].to(t.dtype)


def test_no_mode_leaves_the_declared_range() -> None:
    """In bfloat16, 4095 would be 4096."""
    inputs = {"t": "0..4095 whole constant"}
    (verdict,) = harness.check(table, formula="1 / sqrt(1 + t)", inputs=inputs, laws=["any_mode"], dtypes=["float32"])
    assert verdict.status is Status.HOLDS, verdict


class _Proxy:
    """Stands for a module class of another process, with the signature of its constructor."""

    is_object = True

    def __call__(self, width: float = 4.0) -> nn.Module:
        raise AssertionError(width)


def test_the_parameters_of_a_constructor_are_no_inputs() -> None:
    """A class whose constructor has defaults is accepted with a formula."""
    assert "x" in order_like_parameters(_Proxy(), "formula: x + sqrt(x * x + 4)")


def hard_elish(x: Tensor) -> Tensor:
    """With `exp(x - 1)` for `exp(x) - 1`: wrong at small numbers, and the gradient overflows at large ones."""
    return torch.where(x >= 0, x, torch.exp(x - 1)) * torch.clamp((x + 1) / 2, 0, 1)


def test_a_gross_error_comes_before_an_overflow() -> None:
    """The overflow of the branch that is not taken is the second finding."""
    formula = "where(x >= 0, x, exp(x) - 1) * max(0, min(1, (x + 1) / 2))"
    laws = ["value", "gradient_finite"]
    verdicts = harness.check(hard_elish, formula=formula, laws=laws, dtypes=["float32"], corpora=())
    first, *_ = findings(verdicts)
    assert first.is_gross
    assert "value" in first.laws


class SoftplusWithoutSlopeAtZero(torch.autograd.Function):
    """Softplus whose backward pass returns zero at zero."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Keep the input."""
        ctx.save_for_backward(x)
        return functional.softplus(x)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> Tensor:
        """Leave out zero."""
        (x,) = ctx.saved_tensors
        return cotangents[0] * torch.sigmoid(x) * (x != 0)


def test_a_gross_error_of_the_gradient_comes_before_lost_digits() -> None:
    """In float64, torch's threshold of 20 costs the value half of its digits."""
    apply = SoftplusWithoutSlopeAtZero.apply
    verdicts = harness.check(apply, "softplus", laws=["value", "gradient_at_zero"], dtypes=["float64"], corpora=())
    first, second = findings(verdicts)
    assert first.laws == ["gradient_at_zero"]
    assert second.laws == ["value"]


def test_a_rectifier_that_returns_its_own_input_is_found() -> None:
    """It does so only where all entries are positive."""
    (verdict,) = harness.check(
        lambda x: x if bool((x > 0).all()) else torch.relu(x),
        "relu",
        laws=["output_is_its_own"],
        dtypes=["float32"],
    )
    assert verdict.status is Status.BROKEN


def test_a_deadline_counts_processor_time() -> None:
    """A second on the clock of a busy machine is less than a second of work."""
    clock = iter([0.0, 0.5, 2.0])
    deadline = Deadline(1.0, lambda: next(clock))
    assert not deadline.is_up
    assert deadline.is_up


def test_code_that_waits_reaches_its_deadline() -> None:
    """It uses no processor time."""
    deadline = Deadline(0.01 * WAITING, lambda: 0.0)
    time.sleep(0.05)
    assert deadline.is_up
