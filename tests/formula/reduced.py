"""Losses of rows, reduced over the batch: sound ones, and wrong ones with the sentence that names the mistake."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

_SQUARES = "sum((a - b) ** 2)"


class Reduced(NamedTuple):
    """A loss with the formula of a row, the reduction of the rows, and a part of the sentence on its defect."""

    function: Callable[..., Any]
    formula: str
    over: str
    sentence: str = ""
    claims: dict[str, Any] = {}  # noqa: RUF012 - it is not changed


def mean_of_rows(a: Tensor, b: Tensor) -> Tensor:
    """The mean of the rows' distances."""
    return ((a - b) ** 2).sum(-1).mean()


def sum_of_rows(a: Tensor, b: Tensor) -> Tensor:
    """The sum of the rows' distances, in one reduction."""
    return ((a - b) ** 2).sum()


def mean_cosine(x: Tensor, y: Tensor) -> Tensor:
    """The mean of a formula that cancels."""
    return (1 - (x * y).sum(-1) / (x.norm(dim=-1) * y.norm(dim=-1))).mean()


def batch_entropy(logits: Tensor) -> Tensor:
    """A sum over everything, divided by the number of rows."""
    log_p = torch.log_softmax(logits, -1)
    return -(log_p.exp() * log_p).sum() / logits.shape[0]


def mean_of_squares(a: Tensor, b: Tensor) -> Tensor:
    """The mean over all elements of a formula without rows."""
    return ((a - b) ** 2).mean()


def mean_over_elements(a: Tensor, b: Tensor) -> Tensor:
    """The mean over the elements, for the mean over the rows."""
    return ((a - b) ** 2).mean()


def divided_by_n_minus_1(a: Tensor, b: Tensor) -> Tensor:
    """One row fewer is counted."""
    return ((a - b) ** 2).sum() / (len(a) - 1)


def without_the_last(a: Tensor, b: Tensor) -> Tensor:
    """The last row does not count."""
    return ((a - b) ** 2).sum(-1)[:-1].mean()


def without_weights(a: Tensor, b: Tensor, w: Tensor) -> Tensor:
    """The weights of the rows are ignored."""
    return ((a - b) ** 2).sum(-1).mean() + 0.0 * w.sum()


def sum_for_mean(a: Tensor, b: Tensor) -> Tensor:
    """A sum, declared as a mean."""
    return ((a - b) ** 2).sum(-1).sum()


SOUND = (
    Reduced(mean_of_rows, _SQUARES, "mean"),
    Reduced(sum_of_rows, _SQUARES, "sum"),
    Reduced(mean_cosine, "1 - dot(x, y) / (norm(x) * norm(y))", "mean"),
    Reduced(batch_entropy, "-sum(softmax(logits) * log_softmax(logits))", "mean"),
    Reduced(mean_of_squares, "(a - b) ** 2", "mean"),
)
WRONG = (
    Reduced(mean_over_elements, _SQUARES, "mean", "the mean of `(a - b) ** 2` is taken instead of the sum"),
    Reduced(divided_by_n_minus_1, _SQUARES, "mean", "the sum of the losses is divided by n - 1"),
    Reduced(without_the_last, _SQUARES, "mean", "the last row is omitted"),
    Reduced(
        without_weights, f"w * {_SQUARES}", "mean", "the factor `w` is missing", {"inputs": {"w": "per_row constant"}}
    ),
    Reduced(sum_for_mean, _SQUARES, "mean", "the losses of the rows are summed"),
)
