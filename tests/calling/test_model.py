"""A torch module as a training step: the harness sets its parameters, and explains why a module does not fit."""

from typing import Any

import pytest
import torch
from torch import nn

from harness.bench.suites.step_group import PHASES
from harness.bench.suites.training import disagreement, problem
from harness.calling.adapter import NotApplicable, call_case
from harness.calling.model import UnfitModelError, step_of_model
from harness.case import Case
from harness.contracts import contract_named

STEP = contract_named("softmax_regression_step")


class Net(nn.Sequential):
    """The chapter's network, which infers its features at the first call."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.LazyLinear(10))


class Line(nn.Linear):
    """A line in two features."""

    def __init__(self) -> None:
        super().__init__(2, 1)


@pytest.mark.parametrize(
    ("model", "contract"),
    [(Net, "softmax_regression_step"), (Net(), "softmax_regression_step"), (Line, "linear_regression_step")],
    ids=["class", "instance", "line"],
)
def test_a_module_follows_gradient_descent(model: Any, contract: str) -> None:
    """It agrees over 64 steps with a step written by hand."""
    case = Case(model, contract, name="mine.model")
    assert disagreement(case, problem(case, 32), "cpu") is None


def test_a_module_tells_its_phases_and_stays_as_it_was() -> None:
    """The step works on a copy and has the four methods that are timed separately."""
    model = nn.Linear(3, 2)
    before = model.weight.detach().clone()
    case = Case(model, "softmax_regression_step", name="mine.model")
    step, (W, _) = call_case(case, (torch.zeros(2, 3), torch.zeros(2), 0.5), STEP.of_model)
    step(torch.rand(4, 3), torch.tensor([0, 1, 0, 0]))
    assert all(callable(getattr(step, phase)) for phase in PHASES)
    assert W.abs().sum() > 0
    assert torch.equal(model.weight, before)


def test_a_module_with_other_parameters_is_told_which_there_are() -> None:
    """The message has both lists, and the law is skipped."""
    deep = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    with pytest.raises(
        UnfitModelError, match=r"must have the shapes \[2, 3\] and \[2\], got \[5, 3\], \[5\], \[2, 5\], \[2\]"
    ):
        step_of_model(deep, torch.zeros(2, 3), torch.zeros(2), 0.1, squared=False)
    with pytest.raises(NotApplicable):
        call_case(Case(deep, STEP.name, name="mine.deep"), (torch.zeros(2, 3), torch.zeros(2), 0.1), STEP.of_model)
