"""Sound counterparts of the loaders in :mod:`delivery.unseen_wrong`."""

import os
import queue
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import torch
from delivery.unseen_wrong import KINDS, LABELS, PICTURES, N, Pictures, Sentences, Wrapper, folder
from torch.utils.data import (
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    Sampler,
    WeightedRandomSampler,
    get_worker_info,
)


class _Turns(IterableDataset):
    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Iterator[Any]:
        info, pictures = get_worker_info(), Pictures(N + 1)
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        start, step = self.rank * workers + worker, self.world_size * workers
        yield from (pictures[i] for i in range(start, N + 1, step))


def ranks_and_workers(batch_size: int, num_workers: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """Shards by rank and worker together."""
    return DataLoader(_Turns(rank, world_size), batch_size, num_workers=num_workers)


class _Bright(Pictures):
    def __init__(self, seed: Any) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, i: int) -> Any:
        picture, label = super().__getitem__(i)
        return picture + float(self.rng.random()), label


def ranks_augment_apart(batch_size: int, seed: int = 0, epoch: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """The generator of the augmentation is seeded by seed, epoch and rank."""
    pictures = _Bright([seed, epoch, rank])
    return DataLoader(pictures, batch_size, sampler=DistributedSampler(pictures, world_size, rank, shuffle=False))


class _Kinds(Pictures):
    def __init__(self) -> None:
        super().__init__()
        number = {kind: i for i, kind in enumerate(sorted(set(KINDS)))}
        self.labels = [number[kind] for kind in KINDS[:N]]


def classes_from_a_sorted_set(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """The kinds are sorted before they are numbered."""
    return DataLoader(_Kinds(), batch_size, shuffle=shuffle, num_workers=num_workers)


class _WeightedShare(Sampler):
    """All ranks draw one weighted sample with one seed, and each takes its part."""

    def __init__(self, seed: int, epoch: int, rank: int, world_size: int) -> None:
        self.seed, self.rank, self.world_size = 1000 * seed + epoch, rank, world_size

    def __len__(self) -> int:
        return -(-N // self.world_size)

    def __iter__(self) -> Iterator[int]:
        generator, labels = torch.Generator().manual_seed(self.seed), LABELS[:N]
        weights = torch.tensor([1 / labels.count(label) for label in labels])
        rows = torch.multinomial(weights, len(self) * self.world_size, replacement=True, generator=generator)
        return iter(rows[self.rank :: self.world_size].tolist())


def weights_in_ranks(batch_size: int, seed: int = 0, epoch: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """Balances the kinds in every rank."""
    return DataLoader(Pictures(), batch_size, sampler=_WeightedShare(seed, epoch, rank, world_size))


def weighted_part_without_replacement(batch_size: int, num_workers: int = 0) -> Any:
    """Draws fewer samples than there are, none twice, more of them with large weights."""
    sampler = WeightedRandomSampler([1.0 + (i % 4) for i in range(N)], 30, replacement=False)
    return DataLoader(Pictures(), batch_size, sampler=sampler, num_workers=num_workers)


class _ReadsAhead(Wrapper):
    """A thread that ends with its consumer."""

    def __iter__(self) -> Any:
        ready: Any = queue.Queue(2)
        left = threading.Event()

        def put(item: Any) -> None:
            while not left.is_set():
                try:
                    ready.put(item, timeout=0.01)
                except queue.Full:
                    continue
                break

        def fill() -> None:
            try:
                for batch in self.loader:
                    put(batch)
                    if left.is_set():
                        return
                put(None)
            except Exception as error:  # noqa: BLE001 - it is passed on
                put(error)

        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        try:
            for batch in iter(ready.get, None):
                if isinstance(batch, Exception):
                    raise batch
                yield batch
        finally:
            left.set()
            thread.join()


def thread_ends_with_its_epoch(batch_size: int, shuffle: bool = False) -> Any:
    """The thread that reads ahead ends when the epoch is left."""
    return _ReadsAhead(DataLoader(Pictures(), batch_size, shuffle=shuffle))


_POOL = ThreadPoolExecutor(2)


class _Pooled(Wrapper):
    """Threads of the module, which stay for the next epoch, collect the samples of a batch."""

    def __iter__(self) -> Any:
        for rows in self.loader.batch_sampler:
            samples = list(_POOL.map(self.dataset.__getitem__, rows))
            yield torch.stack([picture for picture, _ in samples]), torch.tensor([label for _, label in samples])


def pool_of_threads(batch_size: int, shuffle: bool = False) -> Any:
    """Two threads stay, however many epochs there are."""
    return _Pooled(DataLoader(Pictures(), batch_size, shuffle=shuffle))


class _Lines(IterableDataset):
    def __init__(self) -> None:
        self.path = folder() / "rows.txt"
        self.path.write_text("".join(f"{i} {i * i}\n" for i in range(N)))

    def __iter__(self) -> Iterator[Any]:
        with self.path.open() as file:
            for line in file:
                yield torch.tensor([float(word) for word in line.split()])


def file_opened_for_each_epoch(batch_size: int) -> Any:
    """Each epoch opens the file, and closes it when it is left."""
    return DataLoader(_Lines(), batch_size)


class _Slices:
    def __init__(self, batch_size: int, shuffle: bool, drop_last: bool) -> None:
        self.batch_size, self.shuffle, self.drop_last = batch_size, shuffle, drop_last

    def __len__(self) -> int:
        return (N if self.drop_last else N + self.batch_size - 1) // self.batch_size

    def __iter__(self) -> Iterator[Any]:
        rows = torch.randperm(N) if self.shuffle else torch.arange(N)
        for part in rows.split(self.batch_size)[: len(self)]:
            yield PICTURES[part], torch.tensor(LABELS)[part]


def length_in_every_order(batch_size: int, shuffle: bool = False, drop_last: bool = False) -> Any:
    """Counts its batches rightly, with and without the last one."""
    return _Slices(batch_size, shuffle, drop_last)


class _Counted(Pictures):
    """Counts the readings of each sample in an array, keeps the last sample, and adds noise to a copy."""

    def __init__(self) -> None:
        super().__init__()
        self.readings, self.last = np.zeros(N, dtype=int), torch.empty(1, 4, 4)

    def __getitem__(self, i: int) -> Any:
        picture, label = super().__getitem__(i)
        self.readings[i] += 1
        self.last.copy_(picture)
        picture += 0.1 * torch.randn_like(picture)
        return picture, label


def readings_are_counted(batch_size: int, shuffle: bool = True) -> Any:
    """The data set changes its counters, but not its samples."""
    return DataLoader(_Counted(), batch_size, shuffle=shuffle)


class _OfEpoch(Pictures):
    epoch = 0

    def __getitem__(self, i: int) -> Any:
        picture, label = super().__getitem__(i)
        return picture + float(np.random.default_rng([self.epoch, i]).random()), label


class _PassesEpoch(Wrapper):
    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on."""
        self.loader.dataset.epoch = epoch


def epoch_for_new_workers(batch_size: int, num_workers: int = 0) -> Any:
    """Each epoch starts new workers, which receive its number."""
    return _PassesEpoch(DataLoader(_OfEpoch(), batch_size, num_workers=num_workers))


class _Records(Dataset):
    """The file is opened once; a reading names its place."""

    def __init__(self) -> None:
        path = folder() / "records.bin"
        path.write_bytes(np.arange(N, dtype=np.float32).repeat(1024).tobytes())
        self.file = path.open("rb")

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        return torch.frombuffer(bytearray(os.pread(self.file.fileno(), 4096, 4096 * i)), dtype=torch.float32)


def file_shared_without_an_offset(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Workers share an open file, but no place in it."""
    return DataLoader(_Records(), batch_size, shuffle=shuffle, num_workers=num_workers)


class _Maps(Dataset):
    """Keeps the four files that were read last."""

    def __init__(self) -> None:
        place = folder()
        self.paths, self.maps = [place / f"{i}.npy" for i in range(N)], OrderedDict[int, Any]()
        for path, picture in zip(self.paths, PICTURES, strict=False):
            np.save(path, picture.numpy())

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if i not in self.maps:
            self.maps[i] = np.load(self.paths[i], mmap_mode="r")
        self.maps.move_to_end(i)
        if len(self.maps) > 4:
            self.maps.popitem(last=False)
        return torch.from_numpy(self.maps[i].copy()), LABELS[i]


def four_maps_kept_open(batch_size: int, shuffle: bool = False) -> Any:
    """The number of open files has a limit."""
    return DataLoader(_Maps(), batch_size, shuffle=shuffle)


class _Buckets(Sampler):
    """Batches of sentences that are equally long; smaller ones at the end."""

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
        yield from filter(None, buckets.values())


def buckets_with_their_rests(batch_size: int, num_workers: int = 0) -> Any:
    """Buckets that are not full are delivered at the end."""
    return DataLoader(Sentences(), batch_sampler=_Buckets(batch_size), num_workers=num_workers)


class _Shared(Wrapper):
    """Copies each epoch into a block of shared memory, and delivers copies."""

    def __iter__(self) -> Any:
        block = SharedMemory(create=True, size=PICTURES.nbytes)
        pictures = np.ndarray(PICTURES.shape, np.float32, block.buf)
        pictures[:] = PICTURES.numpy()
        try:
            for rows in torch.arange(N).split(self.loader.batch_size):
                yield torch.from_numpy(pictures[rows]), torch.tensor(LABELS)[rows]
        finally:
            del pictures
            block.close()
            block.unlink()


def shared_block_unlinked(batch_size: int) -> Any:
    """The block of shared memory goes with its epoch."""
    return _Shared(DataLoader(Pictures(), batch_size))
