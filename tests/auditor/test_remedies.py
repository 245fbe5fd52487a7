"""Sentences and remedies use public names of torch, and fit the format and the cause."""

import re
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from steps import faulty_numbers, faulty_training, held_out, held_out_elsewhere, planted
from steps.catalogue import Step, steps_of
from torch import nn

import harness
from harness.auditor.naming import known_as

MODULES = (planted, held_out, held_out_elsewhere, faulty_numbers, faulty_training)
INTERNAL = re.compile(r"\b(rsub|_?to_copy|addcdiv|addcmul|addmm|mm|bmm|_log_softmax|_softmax|_foreach\w*|native_\w+)\b")


@pytest.mark.filterwarnings("ignore:std", "ignore:Detected call of .lr_scheduler.step")
@pytest.mark.parametrize("step", [step for module in MODULES for step in steps_of(module)], ids=lambda s: s.__name__)
def test_a_finding_has_public_names_and_a_wider_format(step: Step) -> None:
    """No sentence has an internal name, and no finding in float32 or float64 recommends its own format."""
    with harness.audit() as found:
        found.returned(step())
    for finding in found.findings:
        assert not INTERNAL.search(f"{finding.sentence} {finding.remedy} {finding.operation}"), finding.sentence
        assert finding.dtype in ("bfloat16", "float16") or "float32" not in finding.remedy, finding.remedy
        assert finding.dtype != "float64" or "float64" not in finding.remedy, finding.remedy


@pytest.mark.parametrize(
    ("dispatched", "public"),
    [
        ("rsub", "sub"), ("_to_copy", "Tensor.to"), ("_foreach_addcdiv_", "division"), ("addmm", "linear"),
        ("_log_softmax", "log_softmax"), ("nll_loss_forward", "nll_loss"), ("mm", "matmul"),
        ("convolution_backward", "the gradient of conv"),
        ("_fused_adamw_", "AdamW"), ("exp_", "exp"), ("native_layer_norm_backward", "the gradient of layer_norm"),
    ],
)  # fmt: skip
def test_a_dispatched_name_has_a_public_one(dispatched: str, public: str) -> None:
    """A user finds the name in the documentation of torch, or in their own code."""
    assert known_as(dispatched) == public


def overflowing_weights() -> None:
    """The weights of a diverged run overflow in the forward pass."""
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    with torch.no_grad():
        model.weight.fill_(3e20)
    model(torch.ones(2, 4)).square().mean().backward()


def overflowing_data() -> None:
    """The weights are ordinary, and the data overflow."""
    torch.manual_seed(0)
    nn.Linear(4, 1)(torch.full((2, 4), 3e22)).square().mean().backward()


@pytest.mark.parametrize(
    ("step", "remedy"), [(overflowing_weights, "lower the learning rate"), (overflowing_data, "scale before")]
)
def test_an_overflow_of_grown_weights_is_one_of_training(step: Callable[[], None], remedy: str) -> None:
    """Clipping and the learning rate are only named if the weights have grown."""
    with harness.audit() as found:
        step()
    assert found.findings[0].remedy.startswith(remedy)


def test_a_gradient_from_before_is_named() -> None:
    """It is not blamed on the batch; a NaN in the batch still is."""
    torch.manual_seed(0)
    model, x = nn.Linear(3, 2), torch.ones(4, 3)
    model.weight.grad = torch.full((2, 3), torch.nan)
    with harness.audit() as found:
        F.mse_loss(model(x), torch.zeros(4, 2)).backward()
    assert found.findings[0].sentence == "the gradient of weight already contains NaN or inf before the step"
    model.zero_grad()
    x[0, 0] = torch.nan
    with harness.audit() as found:
        F.mse_loss(model(x), torch.zeros(4, 2)).backward()
    assert found.findings[0].remedy.startswith("check the batch")
