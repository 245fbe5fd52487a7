"""Loaders that deliver wrong samples, as found in real code: plain torch, without the harness.

The table in :mod:`delivery.known` has their sources.
"""

import os
import tempfile
import time
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, default_collate, get_worker_info

N = 41


class Squares(Dataset):
    """Sample i is ``[i, i * i]`` with label ``2 i``."""

    def __init__(self, n: int = N) -> None:
        self.x = torch.stack([torch.arange(n), torch.arange(n) ** 2], 1).float()
        self.y = 2 * torch.arange(n)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> Any:
        if i >= len(self):
            raise IndexError(i)
        return self.x[i].clone(), int(self.y[i])


class Stream(IterableDataset):
    """The same samples as a stream, which every worker reads completely."""

    def __iter__(self) -> Any:
        yield from (Squares()[i] for i in range(N))


def not_split_among_workers(batch_size: int, num_workers: int = 0) -> Any:
    """Every worker reads all samples."""
    return DataLoader(Stream(), batch_size, num_workers=num_workers)


class FloorShards(IterableDataset):
    """Each worker has n // workers samples, and the rest is lost."""

    def __iter__(self) -> Any:
        info, squares = get_worker_info(), Squares()
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        share = N // workers
        yield from (squares[i] for i in range(worker * share, (worker + 1) * share))


def rest_of_the_shards_is_nobodys(batch_size: int, num_workers: int = 0) -> Any:
    """Loses the remainder of the division."""
    return DataLoader(FloorShards(), batch_size, num_workers=num_workers)


class NamedShards(IterableDataset):
    """Each worker has every second name of a set of names."""

    names = frozenset(f"sample {i}" for i in range(N))

    def __iter__(self) -> Any:
        info, squares = get_worker_info(), Squares()
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        yield from (squares[int(name.split()[1])] for name in list(self.names)[worker::workers])


def shards_in_the_order_of_a_set(batch_size: int, num_workers: int = 0) -> Any:
    """Spawned workers have different hashes and therefore different orders."""
    method = "spawn" if num_workers else None
    return DataLoader(NamedShards(), batch_size, num_workers=num_workers, multiprocessing_context=method)


def last_batch_dropped_unasked(batch_size: int, shuffle: bool = True) -> Any:
    """Sets ``drop_last`` without a request."""
    return DataLoader(Squares(), batch_size, shuffle=shuffle, drop_last=True)


class Once(IterableDataset):
    """Uses one generator from the beginning."""

    def __init__(self) -> None:
        self.items = (Squares()[i] for i in range(N))

    def __iter__(self) -> Any:
        return self.items


def second_epoch_is_empty(batch_size: int) -> Any:
    """A generator is exhausted after one epoch."""
    return DataLoader(Once(), batch_size)


class Corrupt(Squares):
    """Sample 7 cannot be decoded, and its reader returns ``None``."""

    def __getitem__(self, i: int) -> Any:
        return None if i == 7 else super().__getitem__(i)


def _without_none(samples: list[Any]) -> Any:
    return default_collate([sample for sample in samples if sample is not None])


def corrupt_sample_filtered_out(batch_size: int, num_workers: int = 0) -> Any:
    """The collate function drops ``None``."""
    return DataLoader(Corrupt(), batch_size, num_workers=num_workers, collate_fn=_without_none)


class NextInstead(Squares):
    """Replaces a sample that cannot be decoded by the next one."""

    def __getitem__(self, i: int) -> Any:
        return super().__getitem__(i + 1 if i == 7 else i)


def next_sample_instead(batch_size: int) -> Any:
    """Delivers sample 8 twice, and 7 never."""
    return DataLoader(NextInstead(), batch_size)


class OneShort(Squares):
    """Its length is too small by one."""

    def __len__(self) -> int:
        return len(self.x) - 1

    def __getitem__(self, i: int) -> Any:
        return self.x[i], int(self.y[i])


def last_sample_never(batch_size: int) -> Any:
    """Omits the last sample, because the length is too small."""
    return DataLoader(OneShort(), batch_size)


class Shards(IterableDataset):
    """Samples are split among workers correctly."""

    def __iter__(self) -> Any:
        info, squares = get_worker_info(), Squares()
        workers, worker = (info.num_workers, info.id) if info else (1, 0)
        yield from (squares[i] for i in range(worker, N, workers))


def each_worker_drops_its_last(batch_size: int, num_workers: int = 0, drop_last: bool = True) -> Any:
    """``drop_last`` drops the last batch of every worker."""
    return DataLoader(Shards(), batch_size, num_workers=num_workers, drop_last=drop_last)


def rest_of_the_ranks_is_nobodys(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Each rank has n // ranks samples."""
    share = N // world_size
    chunk = range(rank * share, (rank + 1) * share)
    return DataLoader(torch.utils.data.Subset(Squares(), chunk), batch_size)


def ranks_shuffle_apart(batch_size: int, seed: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """Each rank takes its part of a different order."""
    order = torch.randperm(N, generator=torch.Generator().manual_seed(seed + rank)).tolist()
    return DataLoader(Squares(), batch_size, sampler=order[rank::world_size])


def ranks_padded_to_whole_batches(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Repeats the first samples until every rank has whole batches."""
    whole = batch_size * world_size
    order = [i % N for i in range(-(-N // whole) * whole)]
    return DataLoader(Squares(), batch_size, sampler=order[rank::world_size])


class LengthOfSamples:
    """A loader whose length is the number of samples."""

    def __init__(self, batch_size: int) -> None:
        self.loader = DataLoader(Squares(), batch_size)

    def __len__(self) -> int:
        return N

    def __iter__(self) -> Any:
        return iter(self.loader)


def length_counts_samples(batch_size: int) -> Any:
    """``len`` returns the number of samples, not of batches."""
    return LengthOfSamples(batch_size)


class LengthWithTail(LengthOfSamples):
    """Counts the last batch, which is dropped."""

    def __init__(self, batch_size: int, drop_last: bool) -> None:
        self.loader = DataLoader(Squares(), batch_size, drop_last=drop_last)
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-N // self.batch_size)


def length_counts_the_dropped(batch_size: int, drop_last: bool = True) -> Any:
    """``len`` is rounded up although the last batch is dropped."""
    return LengthWithTail(batch_size, drop_last)


def batch_size_not_passed_on(batch_size: int) -> Any:
    """Ignores the requested batch size."""
    return DataLoader(Squares(), 2 * batch_size)


def drop_last_not_respected(batch_size: int, drop_last: bool = False) -> Any:
    """Delivers the last batch although it should be dropped."""
    return DataLoader(Squares(), batch_size)


class Isolated:
    """Shuffles images and labels independently."""

    def __init__(self, batch_size: int, shuffle: bool) -> None:
        self.dataset, self.batch_size, self.shuffle = Squares(), batch_size, shuffle

    def __iter__(self) -> Any:
        order = torch.randperm(N) if self.shuffle else torch.arange(N)
        for at in range(0, N, self.batch_size):
            yield self.dataset.x[order[at : at + self.batch_size]], self.dataset.y[at : at + self.batch_size]


def labels_not_shuffled(batch_size: int, shuffle: bool = False) -> Any:
    """Shuffles images but not labels."""
    return Isolated(batch_size, shuffle)


class OneFile(Dataset):
    """Reads records from a file opened before the workers are forked, so that they share its offset."""

    def __init__(self) -> None:
        self.file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - that it stays open is the mistake
        self.file.write(b"".join(i.to_bytes(8, "little") for i in range(N)))

    def __del__(self) -> None:
        self.file.close()

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if i >= N:
            raise IndexError(i)
        self.file.seek(8 * i)
        time.sleep(0.001)
        return torch.tensor(int.from_bytes(os.read(self.file.fileno(), 8), "little"))


def file_shared_by_workers(batch_size: int, num_workers: int = 0) -> Any:
    """All workers share an open file."""
    return DataLoader(OneFile(), batch_size, num_workers=num_workers)


class Halves(Dataset):
    """Targets are halves."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if i >= N:
            raise IndexError(i)
        return torch.tensor([float(i)]), i / 2


def _long_targets(samples: list[Any]) -> Any:
    return torch.stack([x for x, _ in samples]), torch.tensor([y for _, y in samples]).long()


def targets_truncated(batch_size: int) -> Any:
    """The collate function truncates the targets to integers."""
    return DataLoader(Halves(), batch_size, collate_fn=_long_targets)


class InPlace(Squares):
    """Normalizes its stored data in place at each reading."""

    def __getitem__(self, i: int) -> Any:
        if i >= len(self):
            raise IndexError(i)
        x = self.x[i]
        x -= 1.0
        return x.clone(), int(self.y[i])


def normalized_in_place(batch_size: int) -> Any:
    """The data change with every reading."""
    return DataLoader(InPlace(), batch_size)


class Buffer:
    """Fills the same buffer for each batch."""

    def __init__(self, batch_size: int) -> None:
        self.dataset, self.batch_size, self.buffer = Squares(), batch_size, torch.empty(batch_size, 2)

    def __iter__(self) -> Any:
        for at in range(0, N, self.batch_size):
            rows = self.dataset.x[at : at + self.batch_size]
            self.buffer[: len(rows)] = rows
            yield self.buffer[: len(rows)], self.dataset.y[at : at + self.batch_size].clone()


def one_buffer_for_all_batches(batch_size: int) -> Any:
    """The next batch overwrites the previous one."""
    return Buffer(batch_size)


class Views(Buffer):
    """Yields views of the data."""

    def __iter__(self) -> Any:
        for at in range(0, N, self.batch_size):
            yield self.dataset.x[at : at + self.batch_size], self.dataset.y[at : at + self.batch_size]


def batches_are_views_of_the_data(batch_size: int) -> Any:
    """Writing into a batch changes the data."""
    return Views(batch_size)
