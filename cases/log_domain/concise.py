"""Sums of exponentials in the log domain, with the functions of torch."""

import torch
from jaxtyping import Float
from torch import Tensor


def logsumexp(logits: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """``torch.logsumexp`` over the classes."""
    return torch.logsumexp(logits, dim=-1)


def logaddexp(a: Float[Tensor, " n"], b: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``torch.logaddexp``."""
    return torch.logaddexp(a, b)
