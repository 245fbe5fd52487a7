"""Sound implementations of a step of gradient descent, and inputs of their oracles."""

from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.optimizer import sgd_oracle


def sgd(parameter: Tensor, gradient: Tensor, lr: float) -> Tensor:
    """Steps against the gradient."""
    return parameter - lr * gradient


CONTROLS = [Control("sgd", rounded(sgd_oracle), sgd)]

ORACLES = {"sgd_oracle": (tensor(5), tensor(5, seed=4), 0.1)}
