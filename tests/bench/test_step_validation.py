"""Steps are compared with gradient descent: shipped steps follow it, and every wrong step is found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from harness.bench.suites import training
from harness.bench.suites.training import disagreement, problem
from harness.calling.modes import explain_missing_compiler
from harness.calling.target import load
from harness.case import Case

SHIPPED_STEPS = [case for case in load("cases") if case.contract in training.CONTRACTS]

MUTATED = [case for case in SHIPPED_STEPS if case.name.endswith((".training_step", ".closed_form_step"))]
"""Only these steps are mutated, because the others are variants of them."""


@pytest.mark.parametrize("batch_size", [1, 5, 256])
@pytest.mark.parametrize("case", SHIPPED_STEPS, ids=lambda case: case.name)
def test_the_shipped_steps_follow_gradient_descent(case: Case, batch_size: int) -> None:
    """The validation accepts them."""
    try:
        found = disagreement(case, problem(case, batch_size), "cpu")
    except Exception as error:
        if reason := explain_missing_compiler(error):
            pytest.skip(reason)
        raise
    assert found is None


def _mutant(base: Case, change: Callable[..., Any]) -> Case:
    """Return a case whose step changes the parameters or the loss of another step."""

    def factory(weight: Any, bias: Any, lr: float) -> Any:
        step, (W, b) = base.function(weight, bias, lr)

        def changed(X: Any, y: Any) -> Any:
            before = (W.clone(), b.clone())
            loss = step(X, y)
            with torch.no_grad():
                return change(before, (W, b), loss)

        return changed, (W, b)

    return Case(
        factory, base.contract, declares=base.declares, style="foreign", name="mutant.step", target="mutant:step"
    )


def _skips_the_bias(before: Any, after: Any, loss: Any) -> Any:
    after[1].copy_(before[1])
    return loss


def _skips_the_weight(before: Any, after: Any, loss: Any) -> Any:
    after[0].copy_(before[0])
    return loss


def _steps_a_hundredth_too_far(before: Any, after: Any, loss: Any) -> Any:
    for old, new in zip(before, after, strict=True):
        new.add_(0.01 * (new - old))
    return loss


def _rounds_to_bfloat16(_: Any, after: Any, loss: Any) -> Any:
    for part in after:
        part.copy_(part.bfloat16().float())
    return loss


def _returns_no_loss(_: Any, __: Any, loss: Any) -> Any:
    return torch.zeros_like(loss)


def _returns_half_the_loss(_: Any, __: Any, loss: Any) -> Any:
    return loss / 2


def _loses_itself(_: Any, after: Any, loss: Any) -> Any:
    after[0].fill_(float("nan"))
    return loss


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("batch_size", [1, 32, 1024])
@pytest.mark.parametrize(
    "change",
    [
        _skips_the_bias,
        _skips_the_weight,
        _steps_a_hundredth_too_far,
        _rounds_to_bfloat16,
        _returns_no_loss,
        _returns_half_the_loss,
        _loses_itself,
    ],
    ids=lambda change: change.__name__.strip("_"),
)
@pytest.mark.parametrize("base", MUTATED, ids=lambda case: case.name)
def test_every_wrong_step_is_found(base: Case, change: Callable[..., Any], batch_size: int) -> None:
    """The validation refuses each mutant at every timed batch size."""
    mutant = _mutant(base, change)
    found = disagreement(mutant, problem(mutant, batch_size), "cpu")
    assert found is not None
    assert found.deviation > found.bound
