"""Cross-entropy: seven right kernels, and seven that look right on random numbers."""

import torch
from torch import Tensor
from torch.nn import functional


def right_of_torch(logits: Tensor, labels: Tensor) -> Tensor:
    """Torch's function."""
    return functional.cross_entropy(logits, labels)


def right_by_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """Works in two steps."""
    return functional.nll_loss(torch.log_softmax(logits, -1), labels)


def right_by_gather(logits: Tensor, labels: Tensor) -> Tensor:
    """Gathers the label's entry."""
    return -torch.log_softmax(logits, -1).gather(-1, labels[:, None]).mean()


def right_by_indices(logits: Tensor, labels: Tensor) -> Tensor:
    """Indexes the label's entry."""
    rows = torch.arange(len(labels))
    return -torch.log_softmax(logits, -1)[rows, labels].mean()


def right_by_logsumexp(logits: Tensor, labels: Tensor) -> Tensor:
    """Shifts the logits first."""
    shifted = logits - logits.amax(-1, keepdim=True).detach()
    return (shifted.logsumexp(-1) - shifted.gather(-1, labels[:, None]).squeeze(-1)).mean()


def right_in_float32(logits: Tensor, labels: Tensor) -> Tensor:
    """Converts narrow formats to float32, and rounds once."""
    wide = logits.float() if logits.dtype in {torch.float16, torch.bfloat16} else logits
    return functional.cross_entropy(wide, labels).to(logits.dtype)


class RightModel(torch.nn.Module):
    """A module like in public benchmarks."""

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss."""
        return functional.cross_entropy(logits, labels)


def wrong_by_log_of_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Infinite if the probability underflows."""
    return -torch.softmax(logits, -1).log().gather(-1, labels[:, None]).mean()


def wrong_with_an_eps(logits: Tensor, labels: Tensor) -> Tensor:
    """Never exceeds 18.4."""
    p = torch.softmax(logits, -1).gather(-1, labels[:, None])
    return -(p + 1e-8).log().mean()


def wrong_unshifted(logits: Tensor, labels: Tensor) -> Tensor:
    """Overflows from 88.7 on."""
    return (logits.exp().sum(-1).log() - logits.gather(-1, labels[:, None]).squeeze(-1)).mean()


def wrong_in_half(logits: Tensor, labels: Tensor) -> Tensor:
    """Computes in half precision."""
    return functional.cross_entropy(logits.half(), labels).to(logits.dtype)


def wrong_without_the_tail(logits: Tensor, labels: Tensor) -> Tensor:
    """Processes only whole blocks of 64 rows, if there is one."""
    whole = len(labels) - len(labels) % 64 or len(labels)
    return functional.cross_entropy(logits[:whole], labels[:whole])


def wrong_over_the_classes(logits: Tensor, labels: Tensor) -> Tensor:
    """Divides by the number of logits."""
    return functional.cross_entropy(logits, labels, reduction="sum") / logits.numel()


def wrong_without_a_gradient(logits: Tensor, labels: Tensor) -> Tensor:
    """Detaches its input."""
    return functional.cross_entropy(logits.detach(), labels) + 0.0 * logits.sum()
