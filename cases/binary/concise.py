"""Binary classification with what torch provides."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def sigmoid(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``torch.sigmoid``."""
    return torch.sigmoid(x)


def softplus(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``F.softplus``, which returns ``x`` above its threshold 20."""
    return F.softplus(x)


def logsigmoid(x: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    """``F.logsigmoid``."""
    return F.logsigmoid(x)


def binary_cross_entropy_with_logits(logits: Float[Tensor, " n"], targets: Float[Tensor, " n"]) -> Float[Tensor, ""]:
    """``F.binary_cross_entropy_with_logits``: takes logits and averages over the rows."""
    return F.binary_cross_entropy_with_logits(logits, targets)
