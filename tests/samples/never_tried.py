"""Implementations that are wrong on one kind of input alone: lengths, sizes, axes, modes.

Each is torch's own operation elsewhere, so that only the law that draws this kind of input can see it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Implementation = Callable[..., Any]


class Wrong(NamedTuple):
    """A wrong implementation, and the law that sees it."""

    name: str
    contract: str
    function: Implementation
    law: str
    dtype: str = "float32"


# Lengths and sizes


def wrong_at(length: Callable[[int], bool]) -> Implementation:
    """A softmax whose last entry is dropped at some row lengths, as by the edge of a block."""

    def softmax(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return p * (torch.arange(x.shape[-1]) != x.shape[-1] - 1) if length(x.shape[-1]) else p

    return softmax


def rows_beyond(n: int) -> Implementation:
    """A softmax whose rows beyond a number are the first ones again, as where a grid of blocks ends."""

    def softmax(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return torch.cat([p[:n], p[: len(p) - n]]) if n < len(p) <= 2 * n else p

    return softmax


def elements_beyond(n: int, function: Callable[[Tensor], Tensor]) -> Implementation:
    """What is beyond a number of elements stays zero."""

    def mutant(x: Tensor) -> Tensor:
        y = function(x)
        keep = torch.arange(y.numel()).reshape(y.shape) < n
        return torch.where(keep, y, torch.zeros_like(y)) if y.numel() > n else y

    return mutant


def divides_by_one_more(x: Tensor, labels: Tensor) -> Tensor:
    """The divisor of the mean is n + 1 from 64 rows on."""
    loss = F.cross_entropy(x, labels)
    n = len(x)
    return loss * (n / (n + 1)) if n >= 64 else loss


def divides_the_error_by_one_more(a: Tensor, b: Tensor) -> Tensor:
    """The same of the squared error."""
    n = len(a)
    return ((a - b) ** 2).sum() / (n + 1 if n >= 64 else n)


def softmax(x: Tensor) -> Tensor:
    """Torch's."""
    return x.softmax(-1)


# Modes


def with_gradients(x: Tensor) -> Tensor:
    """A dropout that is left on where gradients are wanted."""
    p = x.softmax(-1)
    return p * 0.9 if x.requires_grad else p


def without_gradients(x: Tensor) -> Tensor:
    """A faster form where none are recorded."""
    return (x.softmax(-1) * 0.9) if not torch.is_grad_enabled() else x.softmax(-1)


def in_inference(x: Tensor) -> Tensor:
    """Another one in inference mode."""
    return (x.softmax(-1) * 0.9) if torch.is_inference_mode_enabled() else x.softmax(-1)


def under_autocast(x: Tensor) -> Tensor:
    """The sum is a product with ones, which autocast takes in bfloat16."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    if torch.is_autocast_enabled("cpu"):
        return e / (e.bfloat16().cumsum(-1)[..., -1:] + 1)
    return e / e.sum(-1, keepdim=True)


LENGTH, ROWS, RANK, MODE = "value_on_long_rows", "value_on_many_rows", "any_rank", "any_mode"

WRONG = [
    *(Wrong(f"at length {n}", "softmax", wrong_at(lambda k, n=n: k == n), LENGTH) for n in (33, 63, 100, 129, 257)),
    *(Wrong(f"at length {n}", "softmax", wrong_at(lambda k, n=n: k == n), LENGTH) for n in (511, 1000, 1025)),
    Wrong("at lengths 65 to 96 modulo 128", "softmax", wrong_at(lambda k: 65 <= k % 128 <= 96), LENGTH),
    Wrong("beyond 4,096 rows", "softmax", rows_beyond(4_096), ROWS),
    Wrong("beyond 65,535 rows", "softmax", rows_beyond(65_535), ROWS),
    Wrong("beyond 2^20 elements", "softmax", elements_beyond(2**20, softmax), ROWS),
    Wrong("beyond 1,000 elements", "sigmoid", elements_beyond(1_000, torch.sigmoid), ROWS),
    Wrong("beyond 2^20 elements", "sigmoid", elements_beyond(2**20, torch.sigmoid), ROWS),
    Wrong("n + 1 from 64 rows on", "cross_entropy", divides_by_one_more, ROWS),
    Wrong("n + 1 from 64 rows on", "squared_error", divides_the_error_by_one_more, LENGTH),
    Wrong("over the second axis", "softmax", lambda x: x.softmax(1), RANK),
    Wrong("flattened from the left", "layer_norm", lambda x: F.layer_norm(x, x.shape[1:], eps=1e-5), RANK),
    Wrong("with gradients", "softmax", with_gradients, MODE),
    Wrong("without gradients", "softmax", without_gradients, MODE),
    Wrong("in inference", "softmax", in_inference, MODE),
    Wrong("under autocast", "softmax", under_autocast, MODE),
]
"""Which law sees which."""
