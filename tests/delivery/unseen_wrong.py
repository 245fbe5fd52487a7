"""Wrong loaders as users write them, written before the laws were changed a second time; nothing of the harness.

:mod:`delivery.unseen_truth` shows each defect by plain execution. All of them load 47 pictures of four kinds, or 48
where ranks and workers divide them.
"""

import copy
import math
import multiprocessing
import queue
import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    Sampler,
    Subset,
    WeightedRandomSampler,
    default_collate,
    get_worker_info,
)

N = 47
PICTURES = torch.rand(N + 1, 1, 4, 4, generator=torch.Generator().manual_seed(11))
KINDS = ["cat"] * 24 + ["dog"] * 12 + ["owl"] * 8 + ["yak"] * 4
"""As in a folder for each kind: the first samples are cats."""
LABELS = [sorted(set(KINDS)).index(kind) for kind in KINDS]


class Pictures(Dataset):
    """Pictures and the numbers of their kinds."""

    def __init__(self, n: int = N) -> None:
        self.pictures, self.labels = PICTURES[:n].clone(), LABELS[:n]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < len(self):
            raise IndexError(i)
        return self.pictures[i].clone(), self.labels[i]


class Wrapper:
    """Wraps a loader."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader

    @property
    def dataset(self) -> Any:
        """The loader's data set."""
        return self.loader.dataset

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Any:
        yield from self.loader


def folder() -> Path:
    """Make a folder for files."""
    return Path(mkdtemp(prefix="harness-unseen-"))


# Ranks and workers


class _Turns(IterableDataset):
    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[Any]:
        info, pictures = get_worker_info(), Pictures(N + 1)
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        yield from (pictures[i] for i in range(self.rank + worker, N + 1, self.world_size * workers))


def rank_plus_worker(batch_size: int, num_workers: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """The number of a shard is rank + worker, where it should be rank * workers + worker."""
    return DataLoader(_Turns(rank, world_size), batch_size, num_workers=num_workers)


class _ShufflesItsList(IterableDataset):
    def __init__(self, shuffle: bool) -> None:
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[Any]:
        info, pictures = get_worker_info(), Pictures()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        order = torch.randperm(N) if self.shuffle else torch.arange(N)
        yield from (pictures[int(i)] for i in order[worker::workers])


def worker_shuffles_its_own_list(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """Each worker shuffles all rows with its own seed, and takes every second of them."""
    return DataLoader(_ShufflesItsList(shuffle), batch_size, num_workers=num_workers)


class _Bright(Pictures):
    def __init__(self, seed: Any) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, i: int) -> Any:
        picture, label = super().__getitem__(i)
        return picture + float(self.rng.random()), label


def ranks_augment_alike(batch_size: int, seed: int = 0, epoch: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """The generator of the augmentation is seeded by seed and epoch, and so is the same in every rank."""
    pictures = _Bright([seed, epoch])
    return DataLoader(pictures, batch_size, sampler=DistributedSampler(pictures, world_size, rank, shuffle=False))


def split_in_each_process(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Every process draws its own training set, since NumPy's generator is not seeded."""
    rows = Subset(Pictures(), np.sort(np.random.permutation(N)[:40]).tolist())
    return DataLoader(rows, batch_size, sampler=DistributedSampler(rows, world_size, rank, shuffle=False))


class _Kinds(Pictures):
    def __init__(self) -> None:
        super().__init__()
        number = {kind: i for i, kind in enumerate(set(KINDS))}
        self.labels = [number[kind] for kind in KINDS[:N]]


def classes_from_a_set(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """The numbers of the kinds depend on the order of a set, which each process has another."""
    return DataLoader(_Kinds(), batch_size, shuffle=shuffle, num_workers=num_workers)


# Weights


def _weights() -> list[float]:
    labels = LABELS[:N]
    return [1 / labels.count(label) for label in labels]


def weights_lost_in_ranks(batch_size: int, seed: int = 0, epoch: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """One process balances the kinds; several processes have a sampler without weights."""
    pictures = Pictures()
    if world_size == 1:
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        sampler: Any = WeightedRandomSampler(_weights(), N, generator=generator)
    else:
        sampler = DistributedSampler(pictures, world_size, rank, seed=seed)
        sampler.set_epoch(epoch)
    return DataLoader(pictures, batch_size, sampler=sampler)


def class_weights_for_samples(batch_size: int, num_workers: int = 0) -> Any:
    """Gives a weight for each kind, where the sampler takes one for each sample: only the first four arrive."""
    counts = torch.bincount(torch.tensor(LABELS[:N]))
    return DataLoader(
        Pictures(), batch_size, sampler=WeightedRandomSampler(1 / counts, num_samples=N), num_workers=num_workers
    )


def weights_without_effect(batch_size: int, num_workers: int = 0) -> Any:
    """Draws all samples without replacement, so that weights change the order only."""
    sampler = WeightedRandomSampler(_weights(), N, replacement=False)
    return DataLoader(Pictures(), batch_size, sampler=sampler, num_workers=num_workers)


# Epochs that are left early


class _ReadsAhead(Wrapper):
    def __iter__(self) -> Any:
        ready: Any = queue.Queue(2)

        def fill() -> None:
            try:
                for batch in self.loader:
                    ready.put(batch)
                ready.put(None)
            except Exception as error:  # noqa: BLE001 - it is passed on
                ready.put(error)

        threading.Thread(target=fill, daemon=True).start()
        for batch in iter(ready.get, None):
            if isinstance(batch, Exception):
                raise batch
            yield batch


def thread_left_after_break(batch_size: int, shuffle: bool = False) -> Any:
    """The thread that reads ahead waits forever for a place in the queue."""
    return _ReadsAhead(DataLoader(Pictures(), batch_size, shuffle=shuffle))


def _send(loader: Any, ready: Any) -> None:
    try:
        for pictures, labels in loader:
            ready.put((pictures.numpy(), labels.numpy()))
        ready.put(None)
    except Exception as error:  # noqa: BLE001 - it is passed on
        ready.put(error)


class _ReadsElsewhere(Wrapper):
    def __iter__(self) -> Any:
        fork = multiprocessing.get_context("fork")
        ready = fork.Queue(2)
        process = fork.Process(target=_send, args=(self.loader, ready), daemon=True)
        process.start()
        for item in iter(ready.get, None):
            if isinstance(item, Exception):
                raise item
            yield tuple(map(torch.from_numpy, item))
        process.join()


def process_left_after_break(batch_size: int) -> Any:
    """The process that reads ahead waits forever for a place in the queue."""
    return _ReadsElsewhere(DataLoader(Pictures(), batch_size))


class _Lines(IterableDataset):
    def __init__(self) -> None:
        path = folder() / "rows.txt"
        path.write_text("".join(f"{i} {i * i}\n" for i in range(N)))
        self.file = path.open()

    def __iter__(self) -> Iterator[Any]:
        for line in self.file:
            yield torch.tensor([float(word) for word in line.split()])
        self.file.seek(0)


def file_read_on_after_break(batch_size: int) -> Any:
    """The next epoch reads from where the last one was left."""
    return DataLoader(_Lines(), batch_size)


class _Live:
    """Keeps its place in a dictionary."""

    def __init__(self, batch_size: int, seed: int) -> None:
        self.batch_size, self.seed, self.state = batch_size, seed, {"epoch": 0, "batch": 0}

    def __len__(self) -> int:
        return -(-N // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(1000 * self.seed + self.state["epoch"])
        batches = torch.randperm(N, generator=generator).split(self.batch_size)
        while self.state["batch"] < len(self):
            self.state["batch"] += 1
            rows = batches[self.state["batch"] - 1]
            yield PICTURES[rows], torch.tensor(LABELS)[rows]
        self.state["epoch"] += 1
        self.state["batch"] = 0

    def state_dict(self) -> Any:
        """Return its place."""
        return self.state

    def load_state_dict(self, state: Any) -> None:
        """Go to a place."""
        self.state = copy.deepcopy(state)


def state_is_live(batch_size: int, seed: int = 0) -> Any:
    """The state that was saved goes on with the loader."""
    return _Live(batch_size, seed)


# Lengths and orders


class _Slices:
    def __init__(self, batch_size: int, shuffle: bool) -> None:
        self.batch_size, self.shuffle = batch_size, shuffle

    def __len__(self) -> int:
        if self.shuffle:
            return math.ceil(N / self.batch_size)
        return N // self.batch_size

    def __iter__(self) -> Iterator[Any]:
        rows = torch.randperm(N) if self.shuffle else torch.arange(N)
        for part in rows.split(self.batch_size):
            yield PICTURES[part], torch.tensor(LABELS)[part]


def length_rounded_down_in_order(batch_size: int, shuffle: bool = False) -> Any:
    """Counts the last, smaller batch only if it shuffles."""
    return _Slices(batch_size, shuffle)


class _Swaps(Sampler):
    def __len__(self) -> int:
        return N

    def __iter__(self) -> Iterator[int]:
        rows = list(range(N))
        for i in range(N - 1):
            j = random.randrange(i, N - 1)
            rows[i], rows[j] = rows[j], rows[i]
        return iter(rows)


def last_is_always_last(batch_size: int, shuffle: bool = True) -> Any:
    """A shuffle by swaps that is one short: the last sample stays where it is."""
    return DataLoader(Pictures(), batch_size, sampler=_Swaps() if shuffle else None)


class Sentences(Dataset):
    """Rows of different lengths."""

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        return torch.arange(i + 1, i + 3 + i % 6), i


class _Buckets(Sampler):
    """Batches of sentences that are equally long."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Iterator[list[int]]:
        buckets = defaultdict(list)
        for i in torch.randperm(N).tolist():
            bucket = buckets[i % 6]
            bucket.append(i)
            if len(bucket) == self.batch_size:
                yield bucket.copy()
                bucket.clear()


def rest_of_the_buckets_is_lost(batch_size: int, num_workers: int = 0) -> Any:
    """Buckets that are not full at the end are not delivered."""
    return DataLoader(Sentences(), batch_sampler=_Buckets(batch_size), num_workers=num_workers)


class _Workers(Pictures):
    """Augments by epoch and index; each worker has a place for its epoch."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.epochs = torch.zeros(max(1, workers), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch."""
        self.epochs[0] = epoch

    def __getitem__(self, i: int) -> Any:
        picture, label = super().__getitem__(i)
        info = get_worker_info()
        epoch = int(self.epochs[info.id if info else 0])
        return picture + float(np.random.default_rng([epoch, i]).random()), label


class _PassesEpoch(Wrapper):
    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on."""
        self.loader.dataset.set_epoch(epoch)


def epoch_for_the_first_worker(batch_size: int, num_workers: int = 0) -> Any:
    """The second worker, which stays alive, augments as in the first epoch."""
    pictures = _Workers(num_workers)
    return _PassesEpoch(DataLoader(pictures, batch_size, num_workers=num_workers, persistent_workers=bool(num_workers)))


# Stored data


class _InPlace(Pictures):
    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        picture = self.pictures[i]
        picture += 0.1 * torch.randn_like(picture)
        return picture, self.labels[i]


def noise_added_in_place(batch_size: int, shuffle: bool = True) -> Any:
    """Noise gathers in the stored pictures, epoch by epoch."""
    return DataLoader(_InPlace(), batch_size, shuffle=shuffle)


class _Mapped(Pictures):
    def __init__(self) -> None:
        super().__init__()
        self.path = folder() / "pictures.bin"
        self.path.write_bytes(PICTURES[:N].numpy().tobytes())
        self.rows: Any = None

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        if self.rows is None:
            self.rows = np.memmap(self.path, np.float32, "r+", shape=(N, 1, 4, 4))
        picture = torch.from_numpy(self.rows[i])
        return picture.mul_(1 + 0.1 * torch.rand(1)), self.labels[i]


def mapped_file_is_augmented(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Workers write their augmentation into the mapped file."""
    return DataLoader(_Mapped(), batch_size, shuffle=shuffle, num_workers=num_workers)


class _TwoFolders(Dataset):
    """Files of two cameras, which number their pictures alike."""

    def __init__(self) -> None:
        place = folder()
        self.paths, self.cache = [place / "left" / f"{i}.npy" for i in range(24)], {}
        self.paths += [place / "right" / f"{i}.npy" for i in range(N - 24)]
        for path, picture in zip(self.paths, PICTURES, strict=False):
            path.parent.mkdir(exist_ok=True)
            np.save(path, picture.numpy())

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        path = self.paths[i]
        if path.name not in self.cache:
            self.cache[path.name] = torch.from_numpy(np.load(path))
        return self.cache[path.name].clone(), LABELS[i]


def cache_by_name(batch_size: int, shuffle: bool = False) -> Any:
    """A cache by the name of the file, which two folders have."""
    return DataLoader(_TwoFolders(), batch_size, shuffle=shuffle)


# Files


class _Records(Dataset):
    """Records of 4 KiB after a header; the file is opened for the length, and by that before workers are forked."""

    def __init__(self) -> None:
        self.path, self.file = folder() / "records.bin", None
        rows = np.arange(N, dtype=np.float32).repeat(1024)
        self.path.write_bytes(np.array([N], np.int64).tobytes() + rows.tobytes())

    def _at(self, offset: int, size: int) -> Any:
        if self.file is None:
            self.file = self.path.open("rb")
        self.file.seek(offset)
        return bytearray(self.file.read(size))

    def __len__(self) -> int:
        return int(np.frombuffer(self._at(0, 8), np.int64)[0])

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        return torch.frombuffer(self._at(8 + 4096 * i, 4096), dtype=torch.float32)


def offset_shared_since_the_length(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Workers share the place in a file that `len` has opened."""
    return DataLoader(_Records(), batch_size, shuffle=shuffle, num_workers=num_workers)


class _Maps(Dataset):
    def __init__(self) -> None:
        place = folder()
        self.paths, self.maps = [place / f"{i}.npy" for i in range(N)], []
        for path, picture in zip(self.paths, PICTURES, strict=False):
            np.save(path, picture.numpy())

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        self.maps.append(np.load(self.paths[i], mmap_mode="r"))
        return torch.from_numpy(self.maps[-1].copy()), LABELS[i]


def maps_kept_open(batch_size: int, shuffle: bool = False) -> Any:
    """Each reading maps its file again, and keeps it open."""
    return DataLoader(_Maps(), batch_size, shuffle=shuffle)


class _Shared(Wrapper):
    """Copies each epoch into a block of shared memory."""

    def __iter__(self) -> Any:
        block = SharedMemory(create=True, size=PICTURES.nbytes)
        pictures = np.ndarray(PICTURES.shape, np.float32, block.buf)
        pictures[:] = PICTURES.numpy()
        for rows in torch.arange(N).split(self.loader.batch_size):
            yield torch.from_numpy(pictures[rows]), torch.tensor(LABELS)[rows]
        del pictures
        block.close()


def shared_block_not_unlinked(batch_size: int) -> Any:
    """A block of shared memory stays behind after each epoch."""
    return _Shared(DataLoader(Pictures(), batch_size))


# Collating


def _sorted_by_length(samples: list[Any]) -> Any:
    tokens = sorted((tokens for tokens, _ in samples), key=len, reverse=True)
    lengths = torch.tensor([len(row) for row in tokens])
    padded = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)
    return padded, lengths, torch.tensor([label for _, label in samples])


def sorted_without_the_labels(batch_size: int, num_workers: int = 0) -> Any:
    """Sorts the sentences of a batch by length, and leaves the labels where they were."""
    return DataLoader(Sentences(), batch_size, num_workers=num_workers, collate_fn=_sorted_by_length)


def _as_long_as_the_first(samples: list[Any]) -> Any:
    width = len(samples[0][0])
    rows = [(tokens.tolist() + [0] * width)[:width] for tokens, _ in samples]
    return torch.tensor(rows), torch.tensor([label for _, label in samples])


def cut_to_the_first(batch_size: int, num_workers: int = 0) -> Any:
    """Pads and cuts all sentences of a batch to the length of the first."""
    return DataLoader(Sentences(), batch_size, num_workers=num_workers, collate_fn=_as_long_as_the_first)


class _Ring:
    """Collates into three buffers in turns."""

    def __init__(self, batch_size: int) -> None:
        self.buffers, self.turn = torch.empty(3, batch_size, 1, 4, 4), 0

    def __call__(self, samples: list[Any]) -> Any:
        self.turn = (self.turn + 1) % 3
        out = self.buffers[self.turn, : len(samples)]
        torch.stack([picture for picture, _ in samples], out=out)
        return out, default_collate([label for _, label in samples])


def ring_of_buffers(batch_size: int, shuffle: bool = False) -> Any:
    """A batch is overwritten by the third one after it."""
    return DataLoader(Pictures(), batch_size, shuffle=shuffle, collate_fn=_Ring(batch_size))
