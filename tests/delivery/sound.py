"""Sound loaders of unusual kinds. Any failure on them is a false alarm."""

import queue
import threading
from collections import namedtuple
from multiprocessing import Value
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from delivery.wrong_ends import Resuming
from delivery.wrong_samples import N, Shards, Squares
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    WeightedRandomSampler,
    get_worker_info,
)


class Slices:
    """Tensors in memory, gathered batch by batch, without torch's loader."""

    def __init__(self, batch_size: int, shuffle: bool, drop_last: bool) -> None:
        self.dataset, self.batch_size, self.shuffle, self.drop_last = Squares(), batch_size, shuffle, drop_last

    def __len__(self) -> int:
        return N // self.batch_size if self.drop_last else -(-N // self.batch_size)

    def __iter__(self) -> Any:
        order = torch.randperm(N) if self.shuffle else torch.arange(N)
        for rows in order.split(self.batch_size)[: len(self)]:
            yield self.dataset.x[rows], self.dataset.y[rows]


def slices(batch_size: int, shuffle: bool = False, drop_last: bool = False) -> Any:
    """Returns a loader that is no ``DataLoader``."""
    return Slices(batch_size, shuffle, drop_last)


def generator(batch_size: int, shuffle: bool = False) -> Any:
    """A generator function: each call is an epoch."""
    yield from Slices(batch_size, shuffle, drop_last=False)


def generator_of_an_epoch(batch_size: int, epoch: int = 0) -> Any:
    """A generator function with the epoch as argument: each call is the next epoch."""
    order = torch.randperm(N, generator=torch.Generator().manual_seed(epoch))
    return _gathered(order, batch_size)


def _gathered(order: torch.Tensor, batch_size: int) -> Any:
    squares = Squares()
    for rows in order.split(batch_size):
        yield squares.x[rows], squares.y[rows]


class StreamOfBatches(IterableDataset):
    """Yields finished batches, like ``.batched`` of WebDataset; its workers share them."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Any:
        info = get_worker_info()
        rows = torch.arange(N)
        yield from _gathered(rows if info is None else rows[info.id :: info.num_workers], self.batch_size)


def stream_of_batches(batch_size: int, num_workers: int = 0) -> Any:
    """A stream of batches, and a loader without collation."""
    return DataLoader(StreamOfBatches(batch_size), batch_size=None, num_workers=num_workers)


def sharded(batch_size: int, num_workers: int = 0) -> Any:
    """An iterable data set that its workers share, so that each worker has a last small batch."""
    return DataLoader(Shards(), batch_size, num_workers=num_workers)


class Sentences(Dataset):
    """Rows of different lengths."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if i >= N:
            raise IndexError(i)
        return torch.arange(1 + i % 7) + 1 + i


def _padded(rows: list[Any]) -> Any:
    padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return {"tokens": padded, "mask": padded != 0, "lengths": torch.tensor([len(row) for row in rows])}


def padded(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Pads each sample to the longest of its batch."""
    return DataLoader(Sentences(), batch_size, num_workers=num_workers, shuffle=shuffle, collate_fn=_padded)


class ByLength(RandomSampler):
    """Batches of samples with equal lengths, in random order and of different sizes."""

    def __iter__(self) -> Any:
        groups = [[i for i in range(N) if i % 7 == length] for length in range(7)]
        yield from (groups[k] for k in torch.randperm(7).tolist())

    def __len__(self) -> int:
        return 7


BUCKETS = DataLoader(Sentences(), batch_sampler=ByLength(Sentences()), num_workers=2, collate_fn=_padded)
"""A loader object of a module, with batches of several sizes."""


class Batched(Squares):
    """Fetches whole batches."""

    def __getitems__(self, indices: list[int]) -> Any:
        """Return the finished batch."""
        return self.x[indices], self.y[indices]


def fetched_at_once(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """``__getitems__`` returns the finished batch, and no function collates it."""
    return DataLoader(Batched(), batch_size, num_workers=num_workers, shuffle=shuffle, collate_fn=lambda batch: batch)


def sampler_of_batches(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Uses a batch sampler as sampler, without batching."""
    data = torch.utils.data.TensorDataset(Squares().x, Squares().y)
    order = RandomSampler(data) if shuffle else SequentialSampler(data)
    sampler = BatchSampler(order, batch_size, drop_last=False)
    return DataLoader(data, batch_size=None, sampler=sampler, num_workers=num_workers)


class Named(Squares):
    """Samples with a name."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return {"image": x, "name": f"sample {i}", "more": {"label": y, "weight": i / 4}}


def dictionaries_with_words(batch_size: int, num_workers: int = 0) -> Any:
    """Nested dictionaries that contain text."""
    return DataLoader(Named(), batch_size, num_workers=num_workers)


class ByEpochAndIndex(Squares):
    """Augments by seed, epoch and index, independent of the worker."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed, self.epoch = seed, Value("q", 0)

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x + np.random.default_rng([self.seed, self.epoch.value, i]).random(2), y


class EpochLoader(DataLoader):
    """Passes the epoch to workers through shared memory."""

    def set_epoch(self, epoch: int) -> None:
        """Store the epoch in shared memory."""
        self.dataset.epoch.value = epoch
        self.generator.manual_seed(self.dataset.seed * 1000 + epoch)


def epoch_in_shared_memory(batch_size: int, num_workers: int = 0, shuffle: bool = True, seed: int = 0) -> Any:
    """Persistent workers see the next epoch."""
    return EpochLoader(
        ByEpochAndIndex(seed),
        batch_size,
        shuffle=shuffle,
        num_workers=num_workers,
        persistent_workers=num_workers > 0,
        generator=torch.Generator().manual_seed(seed),
    )


class Noise(Squares):
    """Augments with torch's global generator, which torch seeds in each worker."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x + torch.rand(2), y


def ordinary_augmentation(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """Augments as in tutorials."""
    return DataLoader(Noise(), batch_size, shuffle=shuffle, num_workers=num_workers)


WEIGHTED = DataLoader(Squares(), 8, sampler=WeightedRandomSampler(torch.arange(1.0, N + 1), N))
"""Draws with replacement, as declared."""


def distributed(
    batch_size: int,
    num_workers: int = 0,
    shuffle: bool = True,
    seed: int = 0,
    epoch: int = 0,
    rank: int = 0,
    world_size: int = 1,
) -> Any:
    """``DistributedSampler`` as documented."""
    sampler = DistributedSampler(Squares(), world_size, rank, shuffle=shuffle, seed=seed)
    sampler.set_epoch(epoch)
    return DataLoader(Squares(), batch_size, sampler=sampler, num_workers=num_workers)


class Exact(Resuming):
    """Has the state of its random numbers."""

    noise = True

    def state_dict(self) -> Any:
        """Return the position and the state of the random generator."""
        return {**super().state_dict(), "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: Any) -> None:
        """Restore position and random numbers."""
        super().load_state_dict(state)
        self.rng.bit_generator.state = state["rng"]


def resumes_exactly(batch_size: int, seed: int = 0) -> Any:
    """The state has order, position and random numbers."""
    return Exact(batch_size, seed)


def _few(i: int) -> Any:
    return torch.tensor(i // 5), i % 2


class Twins(Squares):
    """Many samples are the same."""

    def __getitem__(self, i: int) -> Any:
        if i >= len(self):
            raise IndexError(i)
        return _few(i)


def equal_samples(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Delivers samples with equal content."""
    return DataLoader(Twins(), batch_size, shuffle=shuffle, num_workers=num_workers)


class Cached(Squares):
    """Keeps the samples of the first epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[int, Any] = {}

    def __getitem__(self, i: int) -> Any:
        if i not in self.cache:
            self.cache[i] = (super().__getitem__(i), torch.ones(2**14))
        x, y = self.cache[i][0]
        return x.clone(), y


def cached(batch_size: int, num_workers: int = 0) -> Any:
    """Memory grows in the first epoch only."""
    return DataLoader(Cached(), batch_size, num_workers=num_workers)


class Mapped(Dataset):
    """A read-only memory-mapped array."""

    def __init__(self) -> None:
        self.file = Path(gettempdir(), "harness-mapped.npy")
        np.save(self.file, np.arange(3.0 * N, dtype=np.float32).reshape(N, 3))
        self.rows = np.load(self.file, mmap_mode="r")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


def memory_mapped(batch_size: int, num_workers: int = 0) -> Any:
    """Delivers rows of a file."""
    return DataLoader(Mapped(), batch_size, num_workers=num_workers)


def one_sample(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Has fewer samples than workers."""
    return DataLoader(Squares(1), batch_size, shuffle=shuffle, num_workers=num_workers)


Pair = namedtuple("Pair", ["x", "y"])


def _listed(samples: list[Any]) -> Any:
    return Pair([x for x, _ in samples], torch.tensor([y for _, y in samples]))


class Boxes(Squares):
    """Samples have different numbers of rows."""

    def __getitem__(self, i: int) -> Any:
        x, y = super().__getitem__(i)
        return x.expand(i % 4, 2).clone(), y


def lists_of_tensors(batch_size: int, num_workers: int = 0) -> Any:
    """Delivers a named tuple with a list of tensors of different shapes, as in detection."""
    return DataLoader(Boxes(), batch_size, num_workers=num_workers, collate_fn=_listed)


class Endless(IterableDataset):
    """Never ends."""

    def __iter__(self) -> Any:
        i = 0
        while True:
            yield torch.tensor([i, i + 1])
            i += 1


def endless(batch_size: int) -> Any:
    """A stream without an epoch."""
    return DataLoader(Endless(), batch_size)


class InThread:
    """Prefetches in a thread, in order, and passes on exceptions."""

    def __init__(self, batch_size: int, shuffle: bool) -> None:
        self.loader = DataLoader(Squares(), batch_size, shuffle=shuffle)

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        ready: Any = queue.Queue(2)
        stop = threading.Event()

        def put(item: Any) -> None:
            while not stop.is_set():
                try:
                    return ready.put(item, timeout=0.05)
                except queue.Full:
                    pass
            return None

        def fill() -> None:
            try:
                for batch in self.loader:
                    put((batch, None))
                put((None, None))
            except BaseException as error:  # noqa: BLE001 - it is passed on
                put((None, error))

        thread = threading.Thread(target=fill)
        thread.start()
        try:
            while (came := ready.get()) != (None, None):
                if came[1] is not None:
                    raise came[1]
                yield came[0]
        finally:
            stop.set()
            thread.join()


def in_a_thread(batch_size: int, shuffle: bool = False) -> Any:
    """A thread prepares batches."""
    return InThread(batch_size, shuffle)


def spawned(batch_size: int, num_workers: int = 0) -> Any:
    """Spawns its workers."""
    method = "spawn" if num_workers else None
    return DataLoader(Squares(), batch_size, num_workers=num_workers, multiprocessing_context=method)


def nothing_collated(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """A batch is a list of its samples."""
    return DataLoader(Squares(), batch_size, num_workers=num_workers, shuffle=shuffle, collate_fn=list)


def talkative(batch_size: int) -> Any:
    """Prints messages."""
    print("reading")  # noqa: T201 - people do
    return DataLoader(Squares(), batch_size)


DATA_SET = Squares()
"""A data set without a loader."""

STREAM = Shards()
"""An iterable data set without a loader."""
