"""Loaders with a wrong order or wrong random numbers, as found in real code, without the harness."""

import random
import time
from typing import Any

import numpy as np
import torch
from delivery.wrong_samples import N, Squares
from torch.utils.data import DataLoader, DistributedSampler, IterableDataset, get_worker_info


class ByWorker(IterableDataset):
    """A seeded order that is divided among the workers."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __iter__(self) -> Any:
        info, squares = get_worker_info(), Squares()
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        order = np.random.default_rng(self.seed).permutation(N).tolist()
        yield from (squares[i] for i in order[worker::workers])


def order_depends_on_workers(batch_size: int, num_workers: int = 0, seed: int = 0) -> Any:
    """The order depends on which worker is next."""
    return DataLoader(ByWorker(seed), batch_size, num_workers=num_workers)


def shuffled_once(batch_size: int, shuffle: bool = False) -> Any:
    """Draws the order only when the loader is made."""
    order = torch.randperm(N).tolist() if shuffle else list(range(N))
    return DataLoader(Squares(), batch_size, sampler=order)


def set_epoch_not_called(batch_size: int, shuffle: bool = True, rank: int = 0, world_size: int = 1) -> Any:
    """``DistributedSampler`` repeats its order without a call of `set_epoch`."""
    sampler = DistributedSampler(Squares(), world_size, rank, shuffle=shuffle)
    return DataLoader(Squares(), batch_size, sampler=sampler)


def epoch_ignored(batch_size: int, shuffle: bool = True, seed: int = 0, epoch: int = 0) -> Any:
    """Accepts the epoch, but does not use it."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(Squares(), batch_size, shuffle=shuffle, generator=generator)


def seed_ignored(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """Accepts a seed, but draws from the global generator."""
    return DataLoader(Squares(), batch_size, shuffle=shuffle)


def seed_constant(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """Accepts a seed, but uses a constant."""
    return DataLoader(Squares(), batch_size, shuffle=shuffle, generator=torch.Generator().manual_seed(42))


def always_shuffled(batch_size: int, shuffle: bool = False) -> Any:
    """Shuffles even if it should not."""
    return DataLoader(Squares(), batch_size, shuffle=True)


class EpochSquares(Squares):
    """Augments by epoch and index; the epoch is an attribute in the process."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch."""
        self.epoch = epoch

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x + np.random.default_rng([self.epoch, i]).random(), y


class Telling(DataLoader):
    """Passes the epoch to its data set."""

    def set_epoch(self, epoch: int) -> None:
        """Pass on the epoch."""
        self.dataset.set_epoch(epoch)


def epoch_not_heard_by_workers(batch_size: int, num_workers: int = 0) -> Any:
    """Persistent workers keep the first epoch."""
    return Telling(EpochSquares(), batch_size, num_workers=num_workers, persistent_workers=num_workers > 0)


class OwnGenerator(Squares):
    """Augments with a separate generator, which each worker inherits."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x + self.rng.random(2), y


def generator_inherited_by_workers(batch_size: int, num_workers: int = 0) -> Any:
    """All workers draw the same random numbers."""
    return DataLoader(OwnGenerator(), batch_size, num_workers=num_workers)


class NumpyNoise(Squares):
    """Augments with NumPy's global generator."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x + np.random.random(2), y


def _same(worker: int) -> None:
    np.random.seed(42)


def _by_worker(worker: int) -> None:
    np.random.seed(worker)


def workers_seeded_alike(batch_size: int, num_workers: int = 0) -> Any:
    """Each worker seeds NumPy with the same number."""
    return DataLoader(NumpyNoise(), batch_size, num_workers=num_workers, worker_init_fn=_same)


def each_epoch_seeded_alike(batch_size: int, num_workers: int = 0) -> Any:
    """Each worker seeds NumPy with its number, in every epoch."""
    return DataLoader(NumpyNoise(), batch_size, num_workers=num_workers, worker_init_fn=_by_worker)


class SeededEachTime(Squares):
    """Seeds before each augmentation, so that all samples are augmented alike."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        random.seed(42)
        torch.manual_seed(42)
        return x + torch.rand(2), y


def every_sample_seeded_alike(batch_size: int, num_workers: int = 0) -> Any:
    """All samples are augmented alike, and the global generators are set."""
    return DataLoader(SeededEachTime(), batch_size, num_workers=num_workers)


def global_generator_seeded(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """Seeds the global generators of its user."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    return DataLoader(Squares(), batch_size, shuffle=shuffle, generator=torch.Generator().manual_seed(seed))


def _by_clock(worker: int) -> None:
    np.random.seed((worker + time.time_ns()) % 2**32)


def workers_seeded_by_the_clock(batch_size: int, num_workers: int = 0, seed: int = 0) -> Any:
    """Promises a seed, but seeds its workers by the clock."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(NumpyNoise(), batch_size, num_workers=num_workers, worker_init_fn=_by_clock, generator=generator)
