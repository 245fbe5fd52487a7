"""Sound implementations of the log-softmax, and inputs of their oracles."""

import torch
from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.building_blocks.exponential_sums import log_softmax_oracle
from harness.contracts.log_softmax import log_softmax_pullback


def accurate_log_softmax(x: Tensor) -> Tensor:
    """Adds the gap and log1p of the other exponentials, two terms of the same sign; sums in float32 or wider."""
    maximum, at = x.max(-1, keepdim=True)
    gap = x - maximum
    others = gap.exp().scatter(-1, at, maximum - maximum)  # zero, or NaN if the maximum is infinite
    rest = others.sum(-1, keepdim=True, dtype=torch.promote_types(x.dtype, torch.float32)).log1p()
    return gap - rest.to(x.dtype)


CONTROLS = [
    Control("log_softmax", rounded(log_softmax_oracle, lambda v, x: log_softmax_pullback(x, v)), accurate_log_softmax)
]

ORACLES = {
    "exponential_sums.log_softmax_oracle": (tensor(3, 5, scale=30.0),),
    "exponentials_sum": (tensor(3, 5),),
    "log_softmax_pullback": (tensor(3, 5, scale=30.0), tensor(3, 5)),
}
