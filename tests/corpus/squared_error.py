"""Deliberately wrong implementations of the squared error."""

import torch
from corpus.specimen import loses, mutant, reported
from torch import Tensor


@mutant("squared_error", "not_negative")
@loses(
    "squared_error",
    "value",
    "cancellation add",
    float32={"prediction": [[1000.3]], "target": [[1001.1]]},
    float64={"prediction": [[1e8 + 0.3]], "target": [[1e8 + 1.1]]},
)
@reported("squared_error", "value", "cancels")
def expanded_square(y_hat: Tensor, y: Tensor) -> Tensor:
    """a^2 - 2ab + b^2: cancels below zero."""
    return ((y_hat * y_hat - 2 * y_hat * y) + y * y).mean()  # here


@mutant("squared_error", "value")
@reported("squared_error", "value", "broadcasts")
def broadcast_square(a: Tensor, b: Tensor) -> Tensor:
    """(n,1) against (n,)."""
    return ((a.unsqueeze(1) - b) ** 2).mean()


@mutant("squared_error", "symmetric")
def one_sided_square(a: Tensor, b: Tensor) -> Tensor:
    """Counts only predictions that are too large."""
    return ((a - b).clamp_min(0) ** 2).mean()


@mutant("squared_error", "gradient")
def detached_square(a: Tensor, b: Tensor) -> Tensor:
    """Half of the product rule is lost."""
    return ((a - b) * (a - b).detach()).mean()


@mutant("squared_error", "scales_by_powers_of_two")
def huber(a: Tensor, b: Tensor) -> Tensor:
    """Beyond an error of 100 it counts linearly."""
    d = (a - b).abs()
    return torch.where(d > 100, 200 * d - 10_000, d**2).mean()


@mutant("squared_error", "scales_by_powers_of_two")
def smoothed_square(a: Tensor, b: Tensor) -> Tensor:
    """An epsilon, for safety."""
    return ((a - b) ** 2 + torch.finfo(a.dtype).tiny).mean() + 1e-6


@mutant("squared_error", "value_on_extreme_numbers")
def clipped_square(a: Tensor, b: Tensor) -> Tensor:
    """Returns the largest number in place of an overflow."""
    return ((a - b) ** 2).mean().clamp_max(torch.finfo(a.dtype).max)


@mutant("squared_error", "infinite_errors")
def equal_is_zero(a: Tensor, b: Tensor) -> Tensor:
    """Equal infinities differ by nothing."""
    return torch.where(a == b, torch.zeros_like(a), (a - b) ** 2).mean()


@mutant("squared_error", "value_on_long_rows", dtype="float16")
@loses(
    "squared_error",
    "value",
    "overflow sum",
    float16={"prediction": [[200.0, 200.0, 200.0]], "target": [[0.0, 0.0, 0.0]]},
)
def narrow_mean(y_hat: Tensor, y: Tensor) -> Tensor:
    """The sum is stored before it is divided."""
    squares = (y_hat - y) ** 2
    return squares.sum() / len(y)  # here


@mutant("squared_error", "gradient_on_long_rows", dtype="float16")
def count_in_the_format(a: Tensor, b: Tensor) -> Tensor:
    """The number of rows is a tensor of the dtype: infinite in float16 from 65,520."""
    return ((a - b) ** 2 / a.new_tensor(len(a))).sum()


@mutant("squared_error", "column_of_predictions")
def column_broadcast_by_rows(a: Tensor, b: Tensor) -> Tensor:
    """The same, reduced along the last axis alone: n losses, each the mean over all targets."""
    return ((a - b) ** 2).mean(-1)


@mutant("squared_error", "column_of_predictions")
def column_broadcast(a: Tensor, b: Tensor) -> Tensor:
    """Right for rows; a column of predictions meets every target."""
    return ((a - b) ** 2).mean()
