"""The masked softmax, with the functions of torch."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def masked_softmax(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``masked_fill`` with -inf and ``F.softmax``, as in attention: NaN for fully masked rows."""
    return F.softmax(logits.masked_fill(~keep, float("-inf")), dim=-1)


def filled_with_the_lowest(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``masked_fill`` with the lowest finite number: uniform for fully masked rows."""
    return F.softmax(logits.masked_fill(~keep, torch.finfo(logits.dtype).min), dim=-1)


def torch_masked(logits: Float[Tensor, "n k"], keep: Bool[Tensor, "n k"]) -> Float[Tensor, "n k"]:
    """``torch.masked.softmax``."""
    p: Tensor = torch.masked.softmax(logits, -1, mask=keep)
    return p
