"""Wrong loaders as users write them, written before the laws were changed for them; nothing of the harness.

All load 53 small photos. Packages are imported where they are used, as none of them has to be installed.
"""

import copy
import itertools
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from time import sleep
from typing import Any

import numpy as np
import torch
from delivery.unseen_wrong import Wrapper
from torch.utils.data import DataLoader, Dataset, DistributedSampler, IterableDataset, Subset, get_worker_info

N = 53
IMAGES = torch.rand(N, 1, 4, 5, generator=torch.Generator().manual_seed(7))
LABELS = torch.arange(N) % 10


class Photos(Dataset):
    """Images and labels, with a transform of the image."""

    def __init__(self, transform: Any = None) -> None:
        self.images, self.labels, self.transform = IMAGES.clone(), LABELS.tolist(), transform

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if not 0 <= i < N:
            raise IndexError(i)
        image = self.images[i].clone()
        return (self.transform(image) if self.transform else image), self.labels[i]


# WebDataset


@cache
def tars() -> str:
    """Write the photos into archives of eight; return the pattern of their names."""
    import webdataset

    place = Path(mkdtemp(prefix="harness-photos-"))
    with webdataset.ShardWriter(str(place / "%02d.tar"), maxcount=8, verbose=0) as writer:
        for i in range(N):
            writer.write({"__key__": f"{i:04d}", "image.npy": IMAGES[i].numpy(), "label.cls": int(LABELS[i])})
    return str(place / "{00..06}.tar")


def archives_not_split_among_workers(batch_size: int, num_workers: int = 0) -> Any:
    """Every worker reads every archive."""
    import webdataset

    rows = webdataset.WebDataset(tars(), shardshuffle=False, workersplitter=None).decode()
    return webdataset.WebLoader(
        rows.to_tuple("image.npy", "label.cls").batched(batch_size), None, num_workers=num_workers
    )


def last_batch_of_the_archives_is_dropped(batch_size: int, num_workers: int = 0) -> Any:
    """``partial=False`` drops a rest in each worker."""
    import webdataset

    rows = webdataset.WebDataset(tars(), shardshuffle=False).decode().to_tuple("image.npy", "label.cls")
    return webdataset.WebLoader(rows.batched(batch_size, partial=False), None, num_workers=num_workers)


# Hugging Face datasets


@cache
def table() -> Any:
    """The photos as a table in memory."""
    import datasets

    datasets.disable_progress_bars()
    return datasets.Dataset.from_dict({"image": IMAGES.tolist(), "label": LABELS.tolist()}).with_format("torch")


def table_shuffled_when_made(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """``Dataset.shuffle`` draws one order, which is the order of all epochs."""
    rows = table().shuffle(seed=seed) if shuffle else table()
    return DataLoader(rows, batch_size)


def stream_shuffled_without_its_epoch(batch_size: int, shuffle: bool = True, seed: int = 0) -> Any:
    """A shuffled ``IterableDataset`` has the same order until the program calls ``set_epoch``."""
    rows = table().to_iterable_dataset(num_shards=4)
    return DataLoader(rows.shuffle(seed=seed, buffer_size=20) if shuffle else rows, batch_size)


def table_sharded_by_rank(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """``Dataset.shard`` gives ranks of 18, 18 and 17 samples."""
    return DataLoader(table().shard(world_size, rank), batch_size)


# torchdata


def batcher_with_its_defaults(batch_size: int, num_workers: int = 0) -> Any:
    """``Batcher`` drops the last batch by default."""
    from torch.utils.data import SequentialSampler, default_collate
    from torchdata import nodes

    rows = nodes.ParallelMapper(
        nodes.SamplerWrapper(SequentialSampler(range(N))), Photos().__getitem__, max(1, num_workers)
    )
    return nodes.Loader(nodes.Mapper(nodes.Batcher(rows, batch_size), default_collate))


class _Numbered(IterableDataset):
    """Keeps its place as the sample after the one that comes next."""

    def __init__(self) -> None:
        self.at = 0

    def __iter__(self) -> Any:
        photos = Photos()
        while self.at < N:
            self.at += 1
            yield photos[self.at - 1]
        self.at = 0

    def state_dict(self) -> Any:
        """Say where it is."""
        return {"at": self.at}

    def load_state_dict(self, state: Any) -> None:
        """Go there, and beyond."""
        self.at = state["at"] + 1


def stream_resumes_one_too_late(batch_size: int) -> Any:
    """After resuming, a sample is missing."""
    from torchdata.stateful_dataloader import StatefulDataLoader

    return StatefulDataLoader(_Numbered(), batch_size)


# Wrappers


class _Trainer(Wrapper):
    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Remember the epoch, for the progress bar."""
        self.epoch = epoch


def epoch_stays_in_the_wrapper(
    batch_size: int, shuffle: bool = True, seed: int = 0, rank: int = 0, world_size: int = 1
) -> Any:
    """A ``DistributedSampler`` behind a wrapper that does not pass ``set_epoch`` on."""
    sampler = DistributedSampler(Photos(), world_size, rank, shuffle=shuffle, seed=seed)
    return _Trainer(DataLoader(Photos(), batch_size, sampler=sampler))


def every_third_sample(batch_size: int, rank: int = 0, world_size: int = 1) -> Any:
    """Strides of the indices: ranks of 18, 18 and 17 samples."""
    return Wrapper(DataLoader(Subset(Photos(), range(rank, N, world_size)), batch_size))


class _Looped:
    def __init__(self, loader: Any) -> None:
        self.loader, self.batches = loader, iter(loader)

    def __iter__(self) -> Any:
        return self

    def __len__(self) -> int:
        return len(self.loader)

    def __next__(self) -> Any:
        try:
            return next(self.batches)
        except StopIteration:
            self.batches = iter(self.loader)
            next(self.batches)  # "warm up" the workers for the next epoch
            raise


def first_batch_lost_on_reiteration(batch_size: int) -> Any:
    """The next epoch begins with its second batch."""
    looped = _Looped(DataLoader(Photos(), batch_size))
    return Wrapper(looped)


class _Forever:
    def __init__(self, loader: Any, steps: int) -> None:
        self.batches, self.steps = itertools.cycle(loader), steps

    def __iter__(self) -> Any:
        return itertools.islice(self.batches, self.steps)


def cycled(batch_size: int, shuffle: bool = True) -> Any:
    """``itertools.cycle`` keeps the batches of the first epoch."""
    loader = DataLoader(Photos(), batch_size, shuffle=shuffle)
    return _Forever(loader, len(loader))


class _StaleLabels(Wrapper):
    def __iter__(self) -> Any:
        before = None
        for images, labels in self.loader:
            yield images, labels if before is None or len(before) != len(labels) else before
            before = labels


def labels_of_the_batch_before(batch_size: int, shuffle: bool = False) -> Any:
    """Images come with the labels of the batch before."""
    return _StaleLabels(DataLoader(Photos(), batch_size, shuffle=shuffle))


class _Rotated(Photos):
    def __getitem__(self, i: int) -> Any:
        return super().__getitem__(i)[0], self.labels[i - 1]


def labels_shifted(batch_size: int, num_workers: int = 0) -> Any:
    """Each image has the label of the one before."""
    return DataLoader(_Rotated(), batch_size, num_workers=num_workers)


class _SwapsEachThirdEpoch:
    """Shuffles images and labels together, and from the third epoch on the images once more."""

    def __init__(self, batch_size: int) -> None:
        self.images, self.labels, self.batch_size, self.epoch = IMAGES.clone(), torch.arange(N), batch_size, 0

    def __iter__(self) -> Any:
        self.epoch += 1
        order = torch.randperm(N)
        self.images, self.labels = self.images[order], self.labels[order]
        if self.epoch % 3 == 0:
            self.images = self.images[torch.randperm(N)]
        yield from zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True)


def images_shuffled_again_in_the_third_epoch(batch_size: int, shuffle: bool = True) -> Any:
    """Pairs part in the third epoch."""
    return _SwapsEachThirdEpoch(batch_size)


# Prefetching


class _Prefetches(Wrapper):
    def __iter__(self) -> Any:
        batches = iter(self.loader)
        following = next(batches)
        for batch in batches:
            yield following
            following = batch


def prefetcher_keeps_the_last_batch(batch_size: int, num_workers: int = 0) -> Any:
    """Prefetched samples are not delivered at the end."""
    return _Prefetches(DataLoader(Photos(), batch_size, num_workers=num_workers))


class _Repeats(Wrapper):
    def __iter__(self) -> Any:
        batch = None
        for batch in self.loader:
            yield batch
        if batch is not None and len(batch[1]) < self.loader.batch_size:
            yield batch


def last_batch_twice(batch_size: int, shuffle: bool = False) -> Any:
    """A generator yields its last batch again."""
    return _Repeats(DataLoader(Photos(), batch_size, shuffle=shuffle))


class _InThread(Wrapper):
    def __iter__(self) -> Any:
        ready: Any = queue.Queue(4)

        def fill() -> None:
            try:
                for batch in self.loader:
                    ready.put(batch)
            finally:
                ready.put(None)

        hook, threading.excepthook = threading.excepthook, lambda _: None
        thread = threading.Thread(target=fill, daemon=True)
        thread.start()
        yield from iter(ready.get, None)
        thread.join()
        threading.excepthook = hook


def thread_dies_quietly(batch_size: int, shuffle: bool = False) -> Any:
    """An error in the thread ends the epoch."""
    return _InThread(DataLoader(Photos(), batch_size, shuffle=shuffle))


class _AsCompleted:
    def __init__(self, batch_size: int, num_workers: int, seed: int) -> None:
        self.dataset, self.batch_size, self.threads, self.seed = Photos(), batch_size, num_workers, seed

    def __iter__(self) -> Any:
        order = torch.randperm(N, generator=torch.Generator().manual_seed(self.seed))
        parts = order.split(self.batch_size)
        if not self.threads:
            yield from map(self._read, parts)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for done in as_completed([pool.submit(self._read, part) for part in parts]):
                yield done.result()

    def _read(self, rows: Any) -> Any:
        sleep(0.002 * float(IMAGES[rows[0], 0, 0, 0]))
        samples = [self.dataset[int(row)] for row in rows]
        return torch.stack([image for image, _ in samples]), torch.tensor([label for _, label in samples])


def batches_as_they_are_completed(batch_size: int, num_workers: int = 0, seed: int = 0) -> Any:
    """Threads deliver in the order in which they finish."""
    return _AsCompleted(batch_size, num_workers, seed)


# Random numbers


def _shift_with_own_generator() -> Any:
    kept: dict[str, Any] = {}

    def shift(image: Any) -> Any:
        if "rng" not in kept:
            kept["rng"] = np.random.default_rng(0)
        return image + float(kept["rng"].random())

    return shift


def generator_in_a_closure(batch_size: int, num_workers: int = 0) -> Any:
    """A transform creates its generator at the first sample, in each worker the same."""
    return DataLoader(Photos(_shift_with_own_generator()), batch_size, num_workers=num_workers)


_RNG: Any = None


def _rng() -> Any:
    global _RNG
    if _RNG is None:
        _RNG = np.random.default_rng(1234)
    return _RNG


class _FromModule(Photos):
    def __getitem__(self, i: int) -> Any:
        image, label = super().__getitem__(i)
        return image + float(_rng().random()), label


def generator_of_the_module(batch_size: int, num_workers: int = 0) -> Any:
    """A function of the module creates one generator when it is first asked."""
    return Wrapper(DataLoader(_FromModule(), batch_size, num_workers=num_workers))


def _seed_worker(_: int) -> None:
    np.random.seed(42)


def _noisy(image: Any) -> Any:
    return image + float(np.random.rand())


def workers_seeded_with_42(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """``worker_init_fn`` gives all workers one seed, behind a wrapper."""
    loader = DataLoader(
        Photos(_noisy), batch_size, shuffle=shuffle, num_workers=num_workers, worker_init_fn=_seed_worker
    )
    return Wrapper(loader)


class _CachesAugmented(Photos):
    def __init__(self) -> None:
        super().__init__(lambda image: image + torch.rand(1))
        self.cache: dict[int, Any] = {}

    def __getitem__(self, i: int) -> Any:
        if i not in self.cache:
            self.cache[i] = super().__getitem__(i)
        return copy.deepcopy(self.cache[i])


def augmented_samples_are_cached(batch_size: int, shuffle: bool = False) -> Any:
    """Each sample is augmented once, and the same in every epoch."""
    return DataLoader(_CachesAugmented(), batch_size, shuffle=shuffle)


# Batches


class _Grows(Dataset):
    def __init__(self) -> None:
        self.sentences = [[1 + i, *range(i % 5)] for i in range(N)]

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        return self.sentences[i]


def _with_end(sentences: list[Any]) -> Any:
    for sentence in sentences:
        sentence.append(99)
    longest = max(map(len, sentences))
    return torch.tensor([sentence + [0] * (longest - len(sentence)) for sentence in sentences])


def collate_appends_to_the_data(batch_size: int) -> Any:
    """Each epoch appends one more end-of-sentence token to the stored lists."""
    return DataLoader(_Grows(), batch_size, collate_fn=_with_end)


class _Pinned:
    """Copies into one buffer, which every batch is a view of."""

    def __init__(self, batch_size: int) -> None:
        self.buffer = torch.empty(batch_size, 1, 4, 5)

    def __call__(self, samples: list[Any]) -> Any:
        images = torch.stack([image for image, _ in samples], out=self.buffer[: len(samples)])
        return images, torch.tensor([label for _, label in samples])


def one_pinned_buffer(batch_size: int, shuffle: bool = False) -> Any:
    """``torch.stack(out=...)`` writes each batch over the one before."""
    return Wrapper(DataLoader(Photos(), batch_size, shuffle=shuffle, collate_fn=_Pinned(batch_size)))


def _standardized(samples: list[Any]) -> Any:
    images = torch.stack([image for image, _ in samples])
    return (images - images.mean()) / images.std(), torch.tensor([label for _, label in samples])


def standardized_by_the_batch(batch_size: int) -> Any:
    """Uses the mean and deviation of the batch instead of the data set."""
    return DataLoader(Photos(), batch_size, collate_fn=_standardized)


# Epochs of workers


class _ByEpoch(Photos):
    epoch = 0

    def __getitem__(self, i: int) -> Any:
        image, label = super().__getitem__(i)
        return image + np.random.default_rng([self.epoch, i]).random(), label


class _TellsTheDataSet(Wrapper):
    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch to the data set of this process."""
        self.loader.dataset.epoch = epoch


def persistent_workers_with_a_stale_epoch(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """Workers that stay alive keep the data set of the first epoch."""
    loader = DataLoader(
        _ByEpoch(), batch_size, shuffle=shuffle, num_workers=num_workers, persistent_workers=num_workers > 0
    )
    return _TellsTheDataSet(loader)


class _Shards(IterableDataset):
    """Workers take turns; the length is that of one worker's part."""

    def __len__(self) -> int:
        return N

    def __iter__(self) -> Iterator[Any]:
        info, photos = get_worker_info(), Photos()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        yield from (photos[i] for i in range(worker, N - N % workers, workers))


def whole_turns_only(batch_size: int, num_workers: int = 0) -> Any:
    """Samples after the last whole turn of all workers never arrive."""
    return DataLoader(_Shards(), batch_size, num_workers=num_workers)


def shuffle_is_lost(batch_size: int, shuffle: bool = True, drop_last: bool = False) -> Any:
    """The wrapper's own arguments swallow ``shuffle``."""
    options = {"shuffle": shuffle, "drop_last": drop_last}
    return Wrapper(DataLoader(Photos(), batch_size, drop_last=options.pop("drop_last")))
