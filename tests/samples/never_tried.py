"""Implementations that are wrong on one kind of input alone: lengths.

Each is torch's own operation elsewhere, so that only the law that draws this kind of input can see it.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

Implementation = Callable[..., Any]


class Wrong(NamedTuple):
    """A wrong implementation, and the law that sees it."""

    name: str
    contract: str
    function: Implementation
    law: str
    dtype: str = "float32"


# Lengths


def wrong_at(length: Callable[[int], bool]) -> Implementation:
    """A softmax whose last entry is dropped at some row lengths, as by the edge of a block."""

    def softmax(x: Tensor) -> Tensor:
        p = x.softmax(-1)
        return p * (torch.arange(x.shape[-1]) != x.shape[-1] - 1) if length(x.shape[-1]) else p

    return softmax


def divides_the_error_by_one_more(a: Tensor, b: Tensor) -> Tensor:
    """The divisor of the mean is n + 1 from 64 rows on."""
    n = len(a)
    return ((a - b) ** 2).sum() / (n + 1 if n >= 64 else n)


LENGTH = "value_on_long_rows"

WRONG = [
    *(Wrong(f"at length {n}", "softmax", wrong_at(lambda k, n=n: k == n), LENGTH) for n in (33, 63, 100, 129, 257)),
    *(Wrong(f"at length {n}", "softmax", wrong_at(lambda k, n=n: k == n), LENGTH) for n in (511, 1000, 1025)),
    Wrong("at lengths 65 to 96 modulo 128", "softmax", wrong_at(lambda k: 65 <= k % 128 <= 96), LENGTH),
    Wrong("n + 1 from 64 rows on", "squared_error", divides_the_error_by_one_more, LENGTH),
]
"""Which law sees which."""
