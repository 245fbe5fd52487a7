"""The same arithmetic on whole tensors."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def add(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Add the vectors."""
    return a + b


def linear(X: Float[Tensor, "n d"], weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"]) -> Float[Tensor, "n m"]:
    """``F.linear``: one matrix product."""
    return F.linear(X, weight, bias)
