"""Normalization with the functions of torch."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def variance(x: Float[Tensor, "n d"]) -> Float[Tensor, " n"]:
    """``torch.var`` without its default correction."""
    return torch.var(x, dim=-1, correction=0)


def layer_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """``F.layer_norm`` over the features, with its default ``eps`` of 1e-5."""
    return F.layer_norm(x, x.shape[-1:])


def rms_norm(x: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """``F.rms_norm`` over the features; its default ``eps`` depends on the dtype."""
    return F.rms_norm(x, x.shape[-1:], eps=1e-5)
