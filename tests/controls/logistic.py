"""Sound implementations of the logistic family, and inputs of their oracles."""

import torch
from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.building_blocks.logistic_function import (
    logsigmoid_oracle,
    logsigmoid_pullback,
    sigmoid_oracle,
    sigmoid_pullback,
    softplus_oracle,
    softplus_pullback,
)


def exp_of_minus_abs(x: Tensor) -> Tensor:
    """``exp(-|x|)``, with a one-sided derivative at zero."""
    return torch.where(x < 0, x, -x).exp()


def sigmoid(x: Tensor) -> Tensor:
    """Two branches with an exponential that cannot overflow."""
    z = exp_of_minus_abs(x)
    return torch.where(x < 0, z, 1.0) / (1 + z)


def softplus(x: Tensor) -> Tensor:
    """Adds two terms of the same sign, both with the derivative from the right at zero."""
    return x.masked_fill(x < 0, 0.0) + exp_of_minus_abs(x).log1p()


def logsigmoid(x: Tensor) -> Tensor:
    """The mirrored softplus."""
    return -softplus(-x)


CONTROLS = [
    Control("sigmoid", rounded(sigmoid_oracle, lambda v, x: sigmoid_pullback(x, v)), sigmoid),
    Control("softplus", rounded(softplus_oracle, lambda v, x: softplus_pullback(x, v)), softplus),
    Control("logsigmoid", rounded(logsigmoid_oracle, lambda v, x: logsigmoid_pullback(x, v)), logsigmoid),
]

_X, _V = tensor(12, scale=30.0), tensor(12, seed=4)

ORACLES = {
    "logistic_function.sigmoid_oracle": (_X,),
    "logistic_function.softplus_oracle": (_X,),
    "logistic_function.logsigmoid_oracle": (_X,),
    "logistic_function.sigmoid_pullback": (_X, _V),
    "logistic_function.softplus_pullback": (_X, _V),
    "logistic_function.logsigmoid_pullback": (_X, _V),
}
