"""Deliberately wrong implementations of the squared error."""

import torch
from mutants.mutant import Mutant
from torch import Tensor


def expanded_square(a: Tensor, b: Tensor) -> Tensor:
    """a^2 - 2ab + b^2: cancels below zero."""
    return (a * a - 2 * a * b + b * b).mean()


def broadcast_square(a: Tensor, b: Tensor) -> Tensor:
    """(n,1) against (n,)."""
    return ((a.unsqueeze(1) - b) ** 2).mean()


def one_sided_square(a: Tensor, b: Tensor) -> Tensor:
    """Counts only predictions that are too large."""
    return ((a - b).clamp_min(0) ** 2).mean()


def detached_square(a: Tensor, b: Tensor) -> Tensor:
    """Half of the product rule is lost."""
    return ((a - b) * (a - b).detach()).mean()


def huber(a: Tensor, b: Tensor) -> Tensor:
    """Beyond an error of 100 it counts linearly."""
    d = (a - b).abs()
    return torch.where(d > 100, 200 * d - 10_000, d**2).mean()


def smoothed_square(a: Tensor, b: Tensor) -> Tensor:
    """An epsilon, for safety."""
    return ((a - b) ** 2 + torch.finfo(a.dtype).tiny).mean() + 1e-6


def clipped_square(a: Tensor, b: Tensor) -> Tensor:
    """Returns the largest number in place of an overflow."""
    return ((a - b) ** 2).mean().clamp_max(torch.finfo(a.dtype).max)


def equal_is_zero(a: Tensor, b: Tensor) -> Tensor:
    """Equal infinities differ by nothing."""
    return torch.where(a == b, torch.zeros_like(a), (a - b) ** 2).mean()


def narrow_mean(a: Tensor, b: Tensor) -> Tensor:
    """The sum is stored before it is divided."""
    return ((a - b) ** 2).sum() / len(a)


def count_in_the_format(a: Tensor, b: Tensor) -> Tensor:
    """The number of rows is a tensor of the dtype: infinite in float16 from 65,520."""
    return ((a - b) ** 2 / a.new_tensor(len(a))).sum()


def column_broadcast_by_rows(a: Tensor, b: Tensor) -> Tensor:
    """The same, reduced along the last axis alone: n losses, each the mean over all targets."""
    return ((a - b) ** 2).mean(-1)


def column_broadcast(a: Tensor, b: Tensor) -> Tensor:
    """Right for rows; a column of predictions meets every target."""
    return ((a - b) ** 2).mean()


MUTANTS = [
    Mutant(column_broadcast, "squared_error", "column_of_predictions"),
    Mutant(column_broadcast_by_rows, "squared_error", "column_of_predictions"),
    Mutant(huber, "squared_error", "scales_by_powers_of_two"),
    Mutant(smoothed_square, "squared_error", "scales_by_powers_of_two"),
    Mutant(clipped_square, "squared_error", "value_on_extreme_numbers"),
    Mutant(equal_is_zero, "squared_error", "infinite_errors"),
    Mutant(narrow_mean, "squared_error", "value_on_long_rows", dtype="float16"),
    Mutant(count_in_the_format, "squared_error", "gradient_on_long_rows", dtype="float16"),
    Mutant(broadcast_square, "squared_error", "value"),
    Mutant(expanded_square, "squared_error", "not_negative"),
    Mutant(one_sided_square, "squared_error", "symmetric"),
    Mutant(detached_square, "squared_error", "gradient"),
]
