"""User code whose check is timed with the judge in the same process and in a separate one."""

import torch
from torch import Tensor


def softmax(x: Tensor) -> Tensor:
    """Softmax with a shift."""
    e = torch.exp(x - x.amax(-1, keepdim=True))
    return e / e.sum(-1, keepdim=True)


def layer_norm(x: Tensor) -> Tensor:
    """Layer norm that subtracts the mean twice."""
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Logsumexp minus the label's logit."""
    return (torch.logsumexp(logits, -1) - logits.gather(-1, labels[:, None]).squeeze(-1)).mean()
