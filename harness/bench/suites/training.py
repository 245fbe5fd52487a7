"""The problems of the timed steps, the comparison of a step with gradient descent, and the step in loops of loaders."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.bench.suites.benchmark import DTYPE, cases_of
from harness.calling.adapter import call_case
from harness.case import Case
from harness.contracts import contract_named
from harness.contracts.building_blocks.book_data import NOISE, TRUE_BIAS, TRUE_WEIGHT
from harness.contracts.building_blocks.gradient_descent import TrainingPlan, trajectory_bound
from harness.floats.format import FORMATS, to_array
from harness.laws.subject import add_defaults

CONTRACTS = ("linear_regression_step", "softmax_regression_step")
PIXELS, CLASSES = 784, 10
MAX_STEPS, MIN_STEPS, SAMPLES = 64, 3, 65_536
"""Bounds on the number of compared steps, and the number of samples they cover."""

STRIDE = 16
"""Offset between consecutive minibatches: all differ, and the data stays small."""


def steps_compared(batch_size: int) -> int:
    """Return the number of compared steps: 64 up to a batch of 1024, and at least 3."""
    return min(max(SAMPLES // batch_size, MIN_STEPS), MAX_STEPS)


@dataclass(frozen=True, eq=False)
class Problem:
    """Data, start and plan of a training.

    Parameters
    ----------
    X, y
        Float32 features ``[n, d]``; float32 targets or int64 labels ``[n]``.
    weight, bias
        The start, ``[m, d]`` and ``[m]``.
    plan
        Minibatches and learning rate.
    """

    X: Tensor
    y: Tensor
    weight: Tensor
    bias: Tensor
    plan: TrainingPlan

    def to(self, device: str) -> "Problem":
        """Return the problem on a device."""
        tensors = {name: getattr(self, name).to(device) for name in ("X", "y", "weight", "bias")}
        return replace(self, **tensors)

    def minibatch(self, number: int) -> tuple[Tensor, Tensor]:
        """Return the features and targets of a step, contiguous."""
        rows = slice(self.plan.batches[number][0], self.plan.batches[number][-1] + 1)
        return self.X[rows], self.y[rows]


def problem(case: Case, batch_size: int) -> Problem:
    """Return the problem of a contract: the line of the chapter with two features, or 784 pixels to 10 classes.

    The learning rates are small enough that thousands of steps on one minibatch neither diverge nor saturate. The
    classes have unequal frequencies, so that all gradients of biases are far above rounding errors.
    """
    conventions = add_defaults(contract_named(case.contract), case.declares)
    return _make_problem(case.contract, float(conventions.get("factor", 1.0)), batch_size)


@lru_cache(maxsize=4)
def _make_problem(contract: str, factor: float, batch_size: int) -> Problem:
    generator = torch.Generator().manual_seed(batch_size)
    starts = range(0, steps_compared(batch_size) * min(STRIDE, batch_size), min(STRIDE, batch_size))
    batches, n = tuple(tuple(range(start, start + batch_size)) for start in starts), starts[-1] + batch_size
    if contract == "linear_regression_step":
        X = torch.randn(n, len(TRUE_WEIGHT), generator=generator)
        y = X @ torch.tensor(TRUE_WEIGHT) + TRUE_BIAS + NOISE * torch.randn(n, generator=generator)
        start = 0.01 * torch.randn(1, len(TRUE_WEIGHT), generator=generator)
        return Problem(X, y, start, torch.zeros(1), TrainingPlan("linear", batches, 0.03, factor))
    X = torch.rand(n, PIXELS, generator=generator)
    y = torch.randint(CLASSES, (2, n), generator=generator).amin(0)
    start = 0.01 * torch.randn(CLASSES, PIXELS, generator=generator)
    return Problem(X, y, start, torch.zeros(CLASSES), TrainingPlan("softmax", batches, 0.001, 1.0))


class StepComparison(NamedTuple):
    """Comparison of a step with gradient descent: the rule, the 2-norm of the difference, and its bound."""

    rule: str
    deviation: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bound; false for NaN."""
        return self.deviation <= self.bound


def comparisons(case: Case, task: Problem, device: str) -> tuple[StepComparison, StepComparison]:
    """Run some steps from the start and compare the first loss and the last parameters with float64.

    The error of float64 is 1e-16 per step, with bounds of about 1e-7. The loss is compared at the first step, where the
    parameters are exact: the error of a score is at most ``(d + 3) u (|X| |W|^T + |b|)``, and the loss is Lipschitz in
    the scores.
    """
    on_device = task.to(device)
    step, parameters = start_step(case, on_device)
    losses = [step(*on_device.minibatch(number)) for number in range(len(task.plan.batches))]
    expected_loss, expected = run_gradient_descent(task)
    error = math.hypot(*(_measure_distance(a, b) for a, b in zip(parameters, expected, strict=True)))
    return (
        StepComparison(
            "the step returns the loss of its minibatch, before the update",
            abs(float(losses[0]) - expected_loss),
            _bound_loss(task, expected_loss),
        ),
        StepComparison(
            f"after {len(losses)} steps, weight and bias agree with gradient descent", error, _bound_parameters(task)
        ),
    )


def disagreement(case: Case, task: Problem, device: str) -> StepComparison | None:
    """Return the first comparison with gradient descent that fails; ``None`` if all hold."""
    return next((comparison for comparison in comparisons(case, task, device) if not comparison.holds), None)


def start_step(case: Case, task: Problem) -> tuple[Any, tuple[Tensor, Tensor]]:
    """Return a new step of a case with the parameters it updates, copies of the start."""
    start = (task.weight.clone(), task.bias.clone(), task.plan.lr)
    step, parameters = call_case(case, start, contract_named(case.contract).of_model)
    return step, parameters


@lru_cache(maxsize=4)
def _bound_parameters(task: Problem) -> float:
    X, y, weight, bias = (to_array(tensor) for tensor in (task.X, task.y, task.weight, task.bias))
    return trajectory_bound(task.plan, X, y, weight, bias, FORMATS[DTYPE])


def _measure_distance(actual: Tensor, expected: Tensor) -> float:
    """Return the 2-norm of the difference; infinite for different shapes and non-finite values."""
    if actual.shape != expected.shape:
        return math.inf
    distance = float(torch.linalg.vector_norm(actual.detach().cpu().double() - expected))
    return distance if math.isfinite(distance) else math.inf


@lru_cache(maxsize=4)
def run_gradient_descent(task: Problem) -> tuple[float, tuple[Tensor, Tensor]]:
    """Return the first loss, and weight and bias after the last step, in float64."""
    weight, bias, losses = task.weight.double(), task.bias.double(), []
    for number in range(len(task.plan.batches)):
        X, y = task.minibatch(number)
        weight, bias = weight.detach().requires_grad_(), bias.detach().requires_grad_()
        scores = X.double() @ weight.T + bias
        is_linear = task.plan.kind == "linear"
        loss = task.plan.factor * F.mse_loss(scores.squeeze(1), y.double()) if is_linear else F.cross_entropy(scores, y)
        slopes = torch.autograd.grad(loss, (weight, bias))
        weight, bias = weight - task.plan.lr * slopes[0], bias - task.plan.lr * slopes[1]
        losses.append(float(loss.detach()))
    return losses[0], (weight.detach(), bias.detach())


def _bound_loss(task: Problem, loss: float) -> float:
    X, y = (to_array(part) for part in task.minibatch(0))
    u, (n, d) = FORMATS[DTYPE].u, X.shape
    W, b = to_array(task.weight), to_array(task.bias)
    score_error = (d + 3) * u * (np.abs(X) @ np.abs(W).T + np.abs(b)).max(1)
    if task.plan.kind == "softmax":
        return float(2.0 * score_error.mean() + (n + len(W) + 10) * u * (1.0 + loss))
    residual = np.abs(X @ W[0] + b[0] - y)
    slack = 2.0 * residual * (score_error + u * np.abs(y)) + (score_error + u * np.abs(y)) ** 2
    return float(task.plan.factor * slack.mean() + (n + 6) * u * loss)


def finite(parameters: Any) -> bool:
    """Whether weight and bias are finite."""
    return all(bool(part.isfinite().all()) for part in parameters)


# The step in loops that measure loaders: concise softmax regression

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
        loss = F.cross_entropy(layer(images), labels)
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

    def run_batch(batch: Any) -> object:
        images, labels = batch
        return step(images.flatten(1), labels)

    return run_batch, parameters
