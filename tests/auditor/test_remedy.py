"""Sentences and remedies use public names of torch, and fit the format and the cause."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import harness
from harness.auditor.operation import public_name
from harness.auditor.remedy import LAWS
from harness.contracts import contract_named


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
    assert public_name(dispatched) == public


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


def test_every_law_that_a_finding_names_can_be_explained() -> None:
    """The printed words are valid arguments of the command."""
    for words in LAWS.values():
        law, _, contract = words.partition(" --contract ")
        assert law in {one.name for one in contract_named(contract).laws}


def test_a_cancelling_log_softmax_has_a_remedy_about_logits() -> None:
    """The model is nearly certain, and the logarithm of its loss needs all digits. Nothing is squared."""
    torch.manual_seed(0)
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight.copy_(14.0 * torch.eye(4) + 1e-3 * torch.randn(4, 4))
    with harness.audit() as found:
        (-F.log_softmax(model(torch.eye(4)), -1).diagonal()).log().mean().backward()
    (finding,) = found.findings
    assert finding.sentence.startswith("log_softmax in float32 loses accuracy")
    assert finding.remedy.startswith("keep the logits small")
