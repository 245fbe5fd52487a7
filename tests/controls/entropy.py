"""Sound implementations of the entropy, and inputs of its oracles."""

import torch
from controls.control import Control, rounded
from samples.tensors import tensor
from torch import Tensor

from harness.contracts.entropy import entropy_oracle, entropy_pullback


def stable_entropy(x: Tensor) -> Tensor:
    """``ln(1 + R)`` plus the mean gap, in float32 or wider; impossible classes are dropped before the product."""
    wide = x if x.itemsize >= 4 else x.float()
    maximum, at = wide.max(-1, keepdim=True)
    gap = maximum - wide
    e = (-gap).exp()
    others = e.scatter(-1, at, 0.0).sum(-1)
    weighted = e * torch.where(e > 0, gap, torch.zeros_like(gap))
    return (others.log1p() + weighted.sum(-1) / (1 + others)).to(x.dtype)


CONTROLS = [Control("entropy", rounded(entropy_oracle, lambda v, x: entropy_pullback(x, v)), stable_entropy)]

ORACLES = {
    "entropy_oracle": (tensor(3, 5, scale=30.0),),
    "entropy_pullback": (tensor(3, 5, scale=30.0), tensor(3)),
}
