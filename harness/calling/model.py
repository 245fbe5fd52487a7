"""A model as the training step of a linear or softmax regression: torch's loss, torch's SGD."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

UNFIT = "the parameters of a model of this regression must have the shapes"
"""Beginning of the reason why a model does not fit."""


class UnfitModelError(Exception):
    """Raised if a model does not fit the regression for which it is trained."""


class ModelStep:
    """One minibatch step of a model, and its four phases.

    Parameters
    ----------
    model
        Maps features ``[n, d]`` to logits ``[n, k]``, or to predictions ``[n, 1]`` or ``[n]`` where it has one output.
    lr
        Learning rate.
    squared
        Whether the loss is the mean squared error; the mean cross-entropy otherwise.
    """

    def __init__(self, model: nn.Module, lr: float, *, squared: bool) -> None:
        self.model, self.squared = model, squared
        self.trainer = torch.optim.SGD(model.parameters(), lr=lr)

    def forward(self, X: Tensor) -> Tensor:
        """The output of the model."""
        scores: Tensor = self.model(X)
        return scores

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        """Mean over the samples."""
        return F.mse_loss(scores.reshape(y.shape), y) if self.squared else F.cross_entropy(scores, y)

    def backward(self, loss: Tensor) -> None:
        """Clear the gradients, then autograd."""
        self.trainer.zero_grad()
        loss.backward()

    def update(self) -> None:
        """One step of the optimizer."""
        self.trainer.step()

    def __call__(self, X: Tensor, y: Tensor) -> Tensor:
        """Forward, loss, backward, update; return the loss before the update."""
        loss = self.loss(self.forward(X), y)
        self.backward(loss)
        self.update()
        return loss.detach()


def step_of_model(
    model: Any, weight: Tensor, bias: Tensor, lr: float, *, squared: bool
) -> tuple[ModelStep, tuple[Tensor, Tensor]]:
    """Return the step of a model that starts from given parameters, and these.

    Raises
    ------
    UnfitModelError
        If its parameters are others.
    """
    instance = (model() if isinstance(model, type) else copy.deepcopy(model)).to(weight.device, weight.dtype)
    if any(is_lazy(parameter) for parameter in instance.parameters()):
        instance(weight.new_zeros(1, weight.shape[1]))
    parameters = list(instance.parameters())
    if [parameter.shape for parameter in parameters] != [weight.shape, bias.shape]:
        others = ", ".join(str(list(parameter.shape)) for parameter in parameters) or "none"
        raise UnfitModelError(f"{UNFIT} {list(weight.shape)} and {list(bias.shape)}, got {others}")
    for parameter, start in zip(parameters, (weight, bias), strict=True):
        parameter.data.copy_(start)
    W, b = (parameter.detach() for parameter in parameters)
    return ModelStep(instance, lr, squared=squared), (W, b)


@dataclass(frozen=True)
class AsStep:
    """The adapter from a model to its training step.

    Parameters
    ----------
    squared
        Whether the loss is the mean squared error; the mean cross-entropy otherwise.
    """

    squared: bool

    def __call__(self, model: Any, weight: Tensor, bias: Tensor, lr: float) -> Any:
        """See :func:`step_of_model`."""
        return step_of_model(model, weight, bias, lr, squared=self.squared)
