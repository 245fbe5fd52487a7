"""The training step in loops that measure loaders: concise softmax regression."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.bench.suites.selection import cases_of
from harness.bench.suites.training import CLASSES, PIXELS
from harness.calling.discovery import load
from harness.calling.own_cases import SHIPPED
from harness.case import Case

STEP = "softmax_regression_step"
RATE = 0.001
"""Learning rate, small enough that thousands of steps neither diverge nor saturate."""


def stepper_of(config: pytest.Config) -> Case:
    """Return the concise step among the loaded cases, or the chapter's."""
    own = list(cases_of(config, STEP).values())
    concise = [case for case in (*own, *load(SHIPPED)) if case.contract == STEP and case.style == "concise"]
    return concise[0]


def training_step(case: Case) -> tuple[Callable[[Any], object], tuple[Tensor, Tensor]]:
    """Return a step on batches of images and labels, and the parameters it updates."""
    generator = torch.Generator().manual_seed(0)
    weight = 0.01 * torch.randn(CLASSES, PIXELS, generator=generator)
    step, parameters = case.function(weight, torch.zeros(CLASSES), RATE)

    def on_batch(batch: Any) -> object:
        images, labels = batch
        return step(images.flatten(1), labels)

    return on_batch, parameters
