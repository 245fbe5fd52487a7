"""Sound implementations of the logsumexp, and inputs of its oracle."""

import torch
from controls.control import Control, rounded, scaled
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.building_blocks.exponential_sums import logsumexp_oracle, softmax_oracle


def accurate_logsumexp(x: Tensor) -> Tensor:
    """Adds the maximum and log1p of the other exponentials, in float32 or wider; infinities are not subtracted."""
    maximum, at = x.max(-1, keepdim=True)
    shift = torch.where(maximum.isinf(), 0.0, maximum)
    others = (x - shift).exp().scatter(-1, at, 0.0)
    rest = others.sum(-1, dtype=torch.promote_types(x.dtype, torch.float32)).log1p()
    return maximum.squeeze(-1) + rest.to(x.dtype)


CONTROLS = [
    Control("logsumexp", rounded(logsumexp_oracle, lambda v, x: scaled(v, softmax_oracle(x))), accurate_logsumexp)
]

ORACLES = {"exponential_sums.logsumexp_oracle": (tensor(3, 5, scale=30.0),)}
