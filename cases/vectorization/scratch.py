"""Arithmetic with a loop over the elements, which vectorized code replaces."""

import torch
from jaxtyping import Float
from torch import Tensor


def add(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Add one element at a time."""
    c = torch.zeros_like(a)
    for i in range(len(a)):
        c[i] = a[i] + b[i]
    return c


def linear(X: Float[Tensor, "n d"], weight: Float[Tensor, "m d"], bias: Float[Tensor, " m"]) -> Float[Tensor, "n m"]:
    """One inner product at a time, summed by torch."""
    Y = X.new_zeros(len(X), len(weight))
    for i, x in enumerate(X):
        for j, w in enumerate(weight):
            Y[i, j] = (x * w).sum() + bias[j]
    return Y
