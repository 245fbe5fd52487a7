"""Sound implementations of the logaddexp, and inputs of its oracles."""

import math

import torch
from controls.control import Control, rounded, scaled
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.logaddexp import gradient_oracle, logaddexp_oracle

_of_pairs = rounded(
    lambda x: logaddexp_oracle(x[..., 0], x[..., 1]),
    lambda v, x: scaled(v, gradient_oracle(x[..., 0], x[..., 1])),
)


def rounded_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """Takes one argument, so that both gradients are rounded once."""
    return _of_pairs(torch.stack([a, b], -1))


def shifted_logaddexp(a: Tensor, b: Tensor) -> Tensor:
    """The larger number plus log1p; the difference of equal numbers is not used."""
    larger = torch.maximum(a, b)
    return torch.where(a == b, larger + math.log(2.0), larger + (-(a - b).abs()).exp().log1p())


CONTROLS = [Control("logaddexp", rounded_logaddexp, shifted_logaddexp)]

ORACLES = {
    "logaddexp_oracle": (tensor(20, scale=30.0), tensor(20, scale=30.0, seed=4)),
    "gradient_oracle": (tensor(20, scale=30.0), tensor(20, scale=30.0, seed=4)),
}
