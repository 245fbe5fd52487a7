"""Sound implementations of the binary cross-entropy of logits, and inputs of their oracles."""

import torch
from controls.control import Control, rounded, scaled
from controls.logistic import exp_of_minus_abs
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.binary_cross_entropy import gradient_oracle, loss_oracle


def accurate_binary_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """Adds ``|x|``, weighted by the wrong class, and log1p: two terms of the same sign."""
    wrong = torch.where(x < 0, -x * y, x * (1 - y))
    return (wrong + exp_of_minus_abs(x).log1p()).mean()


CONTROLS = [
    Control(
        "binary_cross_entropy_with_logits",
        rounded(lambda x, y: loss_oracle(x, y, "mean"), lambda v, x, y: scaled(v, gradient_oracle(x, y, "mean"))),
        accurate_binary_cross_entropy,
    )
]

_X, _Y = tensor(3, 8, scale=30.0), torch.tensor([0.0, 1.0, 0.5, 0.25] * 2, dtype=torch.float64).expand(3, 8)

ORACLES = {"loss_oracle": (_X, _Y, "mean"), "gradient_oracle": (_X, _Y, "mean")}
