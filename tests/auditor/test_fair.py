"""The loss of a trained model has few digits, which is harmless; the same loss, magnified, is not."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import harness

ROWS = torch.arange(4)


def _dice(z: Tensor) -> Tensor:
    p, target = z.sigmoid().diagonal(), torch.ones(4)
    return 1 - 2 * (p * target).sum() / (p + target).sum()


def _focal(z: Tensor) -> Tensor:
    log_p = F.log_softmax(z, 1)[ROWS, ROWS]
    return (-((1 - log_p.exp()) ** 0.5) * log_p).mean()


def _of_probabilities(z: Tensor) -> Tensor:
    return -z.softmax(1)[ROWS, ROWS].log().mean()


def _by_hand(z: Tensor) -> Tensor:
    return (torch.log(z.exp().sum(1)) - z[ROWS, ROWS]).mean()


def _residual(z: Tensor) -> Tensor:
    return (z - 12.00001 * torch.eye(4)).abs().mean()


LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "cross_entropy": lambda z: F.cross_entropy(z, ROWS),
    "probabilities": _of_probabilities,
    "by hand": _by_hand,
    "residual": _residual,
    "dice": _dice,
    "focal": _focal,
}


def trained() -> nn.Linear:
    """Return a classifier that is right by a margin of 12."""
    model = nn.Linear(4, 4)
    with torch.no_grad():
        model.weight.copy_(12 * torch.eye(4))
        model.bias.zero_()
    return model


@pytest.mark.parametrize("name", LOSSES)
def test_a_trained_model_has_no_finding(name: str) -> None:
    """The error of the loss is weighed against the terms of the loss, and a note tells the digits."""
    model = trained()
    with harness.audit() as found:
        LOSSES[name](model(torch.eye(4))).backward()
    assert found.findings == ()


@pytest.mark.parametrize("name", LOSSES)
def test_a_magnified_loss_has_one(name: str) -> None:
    """The same digits matter if the loss is multiplied by 1e8."""
    model = trained()
    with harness.audit() as found:
        (LOSSES[name](model(torch.eye(4))) * 1e8).backward()
    assert [finding.line for finding in found.findings]


def test_the_scale_of_a_gradient_scaler_does_not_magnify() -> None:
    """It is divided out again before the optimizer's step."""
    model = trained()
    optimizer, scaler = torch.optim.SGD(model.parameters(), 0.1), torch.amp.GradScaler("cpu", init_scale=2.0**24)
    with harness.audit() as found:
        scaler.scale(F.cross_entropy(model(torch.eye(4)), ROWS)).backward()
        scaler.step(optimizer)
        scaler.update()
    assert found.findings == ()
