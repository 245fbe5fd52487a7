"""Loader classes without torch's loader: the harness learns their properties from the samples that they deliver."""

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from delivery.wrong_samples import Squares
from torch.utils.data import DataLoader

HUNDRED = 100
"""Number of samples, which a batch size of 4 divides."""


class Own:
    """Delivers slices of a tensor, including the last smaller one."""

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
    """Its length omits the last, smaller batch."""
    return _RoundsDown(batch_size)


def ranks_in_blocks(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Gives each rank a block of equal length, except the last: 34, 34 and 32 samples."""
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
    """Images have a new order in each epoch, labels do not."""
    return _LabelsOfTheFirstEpoch(batch_size)


class _DrawsLazily(Squares):
    rng: Any = None

    def __getitem__(self, i: int) -> Any:
        if self.rng is None:
            self.rng = np.random.default_rng(0)
        x, y = super().__getitem__(i)
        return x + self.rng.random(2), y


def generator_made_by_the_first_sample(batch_size: int, num_workers: int = 0) -> Any:
    """Each worker makes the same generator on demand."""
    return DataLoader(_DrawsLazily(), batch_size, num_workers=num_workers)


class _DrawsElsewhere(Squares):
    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x + next(self.numbers), y

    numbers = (os.urandom(1)[0] for _ in iter(int, 1))


def numbers_of_the_system(batch_size: int) -> Any:
    """Sound: no generator of Python, NumPy or torch."""
    return DataLoader(_DrawsElsewhere(), batch_size)


class _DropsTheRest(Own):
    def __iter__(self) -> Any:
        yield from (batch for batch in super().__iter__() if len(batch) == self.batch_size)


def rest_is_dropped(batch_size: int) -> Any:
    """Samples that do not fill a batch are never delivered, and no data set shows that they are missing."""
    return _DropsTheRest(batch_size)


class _FillsTheRest(Own):
    def __iter__(self) -> Any:
        whole = -(-len(self.rows) // self.batch_size) * self.batch_size
        rows = [self.rows[at % len(self.rows)] for at in range(whole)]
        yield from torch.tensor(rows).split(self.batch_size)


def rest_is_filled(batch_size: int) -> Any:
    """Fills the last batch with the first samples, as for static shapes."""
    return _FillsTheRest(batch_size)


def seeded_by_the_batch(batch_size: int) -> Any:
    """Draws random numbers per batch with a fixed seed: samples depend on the batch size."""
    numbers = torch.Generator().manual_seed(0)
    weight = torch.rand(batch_size, generator=numbers)
    return _Weighted(batch_size, weight)


class _Weighted(Own):
    def __init__(self, batch_size: int, weight: torch.Tensor) -> None:
        super().__init__(batch_size)
        self.weight = weight

    def __iter__(self) -> Any:
        yield from (batch * self.weight[: len(batch)] for batch in super().__iter__())


class _Noisy(Own):
    def __iter__(self) -> Any:
        yield from (batch + torch.rand(len(batch)) for batch in super().__iter__())


def noisy(batch_size: int) -> Any:
    """Sound: epochs have different samples, but the same number."""
    return _Noisy(batch_size)


class _Wrapper:
    def __init__(self, loader: Any) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        yield from map(self.changed, self.loader)

    def changed(self, batch: Any) -> Any:
        """Return the changed batch."""
        return batch


def wrapped(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Sound: a wrapper that passes batches on."""
    return _Wrapper(_Wrapper(DataLoader(Squares(), batch_size, num_workers=num_workers, shuffle=shuffle)))


class _Scales(_Wrapper):
    def changed(self, batch: Any) -> Any:
        """Return half of the images without labels."""
        return torch.stack([batch[0], batch[0]], 1) / 2


def wrapped_and_scaled(batch_size: int, shuffle: bool = False) -> Any:
    """Sound: the delivered samples differ from the data set."""
    return _Scales(DataLoader(Squares(), batch_size, shuffle=shuffle))


class _OnlyImages(Squares):
    def __getitem__(self, i: int) -> Any:
        return super().__getitem__(i)[0]


class _Divides(_Wrapper):
    def changed(self, batch: Any) -> Any:
        """Return the result of arithmetic on the batch itself."""
        return batch / 255


def wrapped_and_divided(batch_size: int, num_workers: int = 0) -> Any:
    """Sound: a batch is a tensor with which the wrapper computes."""
    return _Divides(DataLoader(_OnlyImages(), batch_size, num_workers=num_workers))


class _SkipsTheFirst(_Wrapper):
    def __iter__(self) -> Any:
        batches = iter(self.loader)
        next(batches)
        yield from batches


def wrapper_skips_a_batch(batch_size: int) -> Any:
    """Uses the first batch for warming up and does not deliver it."""
    return _SkipsTheFirst(DataLoader(Squares(), batch_size))


class _Swallows(_Wrapper):
    def __iter__(self) -> Any:
        with suppress(RuntimeError):
            yield from self.loader


def wrapper_swallows_errors(batch_size: int) -> Any:
    """Ends the epoch if a sample raises."""
    return _Swallows(DataLoader(Squares(), batch_size))


class _SwallowsAndDivides(_Divides):
    def __iter__(self) -> Any:
        with suppress(RuntimeError):
            yield from super().__iter__()


def wrapper_swallows_errors_and_divides(batch_size: int) -> Any:
    """Swallows errors, and computes with the batch."""
    return _SwallowsAndDivides(DataLoader(_OnlyImages(), batch_size))


def wrapper_of_lazy_generators(batch_size: int, num_workers: int = 0) -> Any:
    """Each worker makes the same generator, inside a wrapper."""
    return _Wrapper(generator_made_by_the_first_sample(batch_size, num_workers))


class _ItemByItem:
    def __init__(self, batch_size: int) -> None:
        self.dataset, self.batch_size = _OnlyImages(), batch_size

    def __iter__(self) -> Any:
        for rows in torch.arange(len(self.dataset)).split(self.batch_size):
            yield torch.stack(self.read(rows.tolist()))

    def read(self, rows: list[int]) -> list[Any]:
        """Read the samples of a batch."""
        return [self.dataset[row] for row in rows]


def item_by_item(batch_size: int) -> Any:
    """Sound: it reads the data set itself."""
    return _ItemByItem(batch_size)


class _Patient(_ItemByItem):
    def read(self, rows: list[int]) -> list[Any]:
        """Omit samples that raise."""
        samples = []
        for row in rows:
            with suppress(RuntimeError):
                samples.append(self.dataset[row])
        return samples


def samples_that_raise_are_left_out(batch_size: int) -> Any:
    """Reads the data set itself and ignores errors."""
    return _Patient(batch_size)


ONE_OBJECT = item_by_item(4)
"""Sound: a loader that is a single object of a module."""


SHARED = torch.arange(60.0).reshape(30, 2)


def views(batch_size: int) -> Any:
    """A list of views of data that all loaders share."""
    return list(SHARED.split(batch_size))
