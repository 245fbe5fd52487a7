"""The training step in loops that measure loaders: concise softmax regression."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.bench.suites.selection import cases_of
from harness.bench.suites.training import CLASSES, PIXELS
from harness.case import Case

STEP = "softmax_regression_step"
RATE = 0.001
"""Learning rate, small enough that thousands of steps neither diverge nor saturate."""


def stepper_of(config: pytest.Config) -> Case:
    """Return the first concise step among the loaded cases, or the same step from here."""
    concise = [case for case in cases_of(config, STEP).values() if case.style == "concise"]
    return concise[0] if concise else Case(sgd_step, STEP, style="concise", name="harness.sgd_step")


def sgd_step(
    weight: Tensor, bias: Tensor, lr: float
) -> tuple[Callable[[Tensor, Tensor], object], tuple[Tensor, Tensor]]:
    """Return a step of softmax regression on a minibatch, and the parameters that it updates in place."""
    layer = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0])
    nn.utils.vector_to_parameters(torch.cat([weight.flatten(), bias]), layer.parameters())
    trainer = torch.optim.SGD(layer.parameters(), lr=lr)

    def step(images: Tensor, labels: Tensor) -> Tensor:
        loss = functional.cross_entropy(layer(images), labels)
        trainer.zero_grad()
        loss.backward()
        trainer.step()
        return loss.detach()

    return step, (layer.weight.detach(), layer.bias.detach())


def training_step(case: Case) -> tuple[Callable[[Any], object], tuple[Tensor, Tensor]]:
    """Return a step on batches of images and labels, and the parameters it updates."""
    generator = torch.Generator().manual_seed(0)
    weight = 0.01 * torch.randn(CLASSES, PIXELS, generator=generator)
    step, parameters = case.function(weight, torch.zeros(CLASSES), RATE)

    def on_batch(batch: Any) -> object:
        images, labels = batch
        return step(images.flatten(1), labels)

    return on_batch, parameters
