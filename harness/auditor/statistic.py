"""Running statistics of batch normalization, compared with exact ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.exact.operator import UNIT

NORMALIZATIONS = {"native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_native_batch_norm_legit"}
"""Batch normalizations with the same order of arguments."""

SLOW = 10
"""Momentum, in unit roundoffs, above which running statistics come close to the statistics of the batch."""

_MEAN, _VARIANCE, _TRAINING, _MOMENTUM = 3, 4, 5, 6


@dataclass(frozen=True, slots=True)
class Statistic:
    """A running mean or variance.

    Parameters
    ----------
    now
        The buffer after the update.
    before, exact
        Its old value and its exact new value, in float64.
    gap, share
        Relative distance from the statistic of the batch, and the share of it that a step covers.
    """

    now: Tensor
    before: Tensor
    exact: Tensor
    gap: float
    share: float


def running(args: Any) -> list[Tensor]:
    """Return float64 copies of the running statistics, if the momentum is small enough to matter."""
    if len(args) <= _MOMENTUM or not args[_TRAINING] or not isinstance(args[_MEAN], Tensor):
        return []
    if not isinstance(args[_VARIANCE], Tensor) or not 0.0 < args[_MOMENTUM] <= SLOW * UNIT[args[_MEAN].dtype]:
        return []
    return [args[_MEAN].to(torch.float64, copy=True), args[_VARIANCE].to(torch.float64, copy=True)]


def moved(args: Any, before: list[Tensor]) -> Iterator[Statistic]:
    """Yield the running statistics with their exact values."""
    x = args[0].detach().to(torch.float64).transpose(0, 1).flatten(1)
    if x.shape[1] < 2:
        return
    deviation, momentum = x.std(1), float(args[_MOMENTUM])
    for index, then, of_batch in zip((_MEAN, _VARIANCE), before, (x.mean(1), deviation.square()), strict=True):
        scale = torch.maximum(then.abs(), deviation) if index == _MEAN else then.abs()
        gap = float(torch.linalg.vector_norm(of_batch - then)) / max(float(torch.linalg.vector_norm(scale)), 1e-300)
        yield Statistic(args[index], then, then + momentum * (of_batch - then), gap, momentum)
