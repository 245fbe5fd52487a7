"""Loaders that are classes of their own, without torch's loader: what is known of them comes from what they deliver."""

from collections.abc import Iterable
from typing import Any

import torch

HUNDRED = 100
"""Samples; a batch size of 4 leaves no rest."""


class Own:
    """Delivers slices of one tensor, the rest included.

    Parameters
    ----------
    batch_size
        Samples in a batch.
    rows
        The samples.
    """

    def __init__(self, batch_size: int, rows: Iterable[int] = range(HUNDRED)) -> None:
        self.batch_size, self.rows = batch_size, list(rows)

    def __len__(self) -> int:
        return -(-len(self.rows) // self.batch_size)

    def __iter__(self) -> Any:
        yield from torch.tensor(self.rows).split(self.batch_size)


def own(batch_size: int) -> Any:
    """Sound."""
    return Own(batch_size)


class _RoundsDown(Own):
    def __len__(self) -> int:
        return len(self.rows) // self.batch_size


def length_rounds_down(batch_size: int) -> Any:
    """Its length does not count the batch that has the rest."""
    return _RoundsDown(batch_size)


def ranks_in_blocks(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Blocks of one length, but for the last: 34, 34 and 32 samples."""
    share = -(-HUNDRED // world_size)
    return Own(batch_size, range(HUNDRED)[rank * share : (rank + 1) * share])


def ranks_padded(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Sound: the last block is padded with the first samples."""
    share = -(-HUNDRED // world_size)
    return Own(batch_size, (row % HUNDRED for row in range(rank * share, (rank + 1) * share)))


class _LabelsOfTheFirstEpoch:
    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size
        self.labels: Any = None

    def __iter__(self) -> Any:
        order = torch.randperm(HUNDRED)
        if self.labels is None:
            self.labels = 2 * order
        yield from zip(order.split(self.batch_size), self.labels.split(self.batch_size), strict=True)


def labels_of_the_first_epoch(batch_size: int, shuffle: bool = True) -> Any:
    """Each epoch has an order of its own, but for the labels."""
    return _LabelsOfTheFirstEpoch(batch_size)
