"""Sound loaders as users write them, written before the laws were changed: each law that flags one is wrong."""

import queue
import random
import threading
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch
from delivery.fresh_wrong import IMAGES, LABELS, N, Photos, table, tars
from delivery.unseen_wrong import Wrapper
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
    get_worker_info,
)


def archives(batch_size: int, num_workers: int = 0) -> Any:
    """WebDataset as its pages show it: archives and samples shuffled, batches made in the workers."""
    import webdataset

    rows = webdataset.WebDataset(tars(), shardshuffle=7, nodesplitter=webdataset.split_by_node).shuffle(30).decode()
    rows = rows.to_tuple("image.npy", "label.cls").map_tuple(torch.from_numpy, int)
    return webdataset.WebLoader(rows.batched(batch_size), batch_size=None, num_workers=num_workers)


def nodes_prefetched(batch_size: int, num_workers: int = 0) -> Any:
    """Nodes of torchdata with a prefetcher at their end."""
    from torchdata import nodes

    rows = nodes.ParallelMapper(
        nodes.SamplerWrapper(SequentialSampler(range(N))), Photos().__getitem__, max(1, num_workers), method="thread"
    )
    batches = nodes.Mapper(nodes.Batcher(rows, batch_size, drop_last=False), default_collate)
    return nodes.Loader(nodes.Prefetcher(batches, prefetch_factor=2))


def table_in_order(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """A table of Hugging Face in torch's format."""
    return DataLoader(table(), batch_size, shuffle=shuffle, num_workers=num_workers)


def _augment(batch: Any) -> Any:
    batch["image"] = [torch.as_tensor(image) + torch.rand(1) for image in batch["image"]]
    return batch


def table_augmented(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """The same with a random transform, as its pages show it."""
    return DataLoader(table().with_transform(_augment), batch_size, shuffle=shuffle, num_workers=num_workers)


class _SetsEpoch(Wrapper):
    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on."""
        self.loader.dataset.set_epoch(epoch)


def stream_with_its_epoch(batch_size: int, num_workers: int = 0, shuffle: bool = True, seed: int = 0) -> Any:
    """A stream of Hugging Face whose wrapper sets its epoch."""
    rows = table().to_iterable_dataset(num_shards=4)
    return _SetsEpoch(
        DataLoader(rows.shuffle(seed=seed, buffer_size=20) if shuffle else rows, batch_size, num_workers=num_workers)
    )


def shuffled_in_a_buffer(batch_size: int, seed: int = 0, epoch: int = 0) -> Any:
    """A generator function with a shuffle buffer of sixteen samples."""
    draw, buffer, batch = random.Random(1000 * seed + epoch), [], []
    for i in [*range(N), *[None] * 16]:
        if i is not None:
            buffer.append(i)
        if buffer and (i is None or len(buffer) == 16):
            batch.append(buffer.pop(draw.randrange(len(buffer))))
        if len(batch) == batch_size:
            yield IMAGES[batch], LABELS[batch]
            batch = []
    if batch:
        yield IMAGES[batch], LABELS[batch]


class _ToDevice(Wrapper):
    def __iter__(self) -> Any:
        for batch in self.loader:
            yield [part.to("cpu", non_blocking=True) for part in batch]


def moved_to_the_device(batch_size: int, num_workers: int = 0, shuffle: bool = True, drop_last: bool = False) -> Any:
    """A wrapper that moves batches, as Lightning and Accelerate do."""
    options: Any = {"shuffle": shuffle, "num_workers": num_workers, "drop_last": drop_last}
    return _ToDevice(DataLoader(Photos(), batch_size, **options))


class _Background(Wrapper):
    def __iter__(self) -> Any:
        ready: Any = queue.Queue()

        def fill() -> None:
            try:
                for batch in self.loader:
                    ready.put((batch, None))
                ready.put((None, None))
            except Exception as error:  # noqa: BLE001 - it is passed on
                ready.put((None, error))

        thread = threading.Thread(target=fill)
        thread.start()
        try:
            while (item := ready.get())[0] is not None or item[1] is not None:
                if item[1] is not None:
                    raise item[1]
                yield item[0]
        finally:
            thread.join()


def in_the_background(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """A thread reads ahead, and passes errors on."""
    return _Background(DataLoader(Photos(), batch_size, shuffle=shuffle, num_workers=num_workers))


class _Lines(IterableDataset):
    """Workers and ranks take lines in turns, as `islice(lines, start, None, step)` does."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.rank, self.world_size = rank, world_size

    def __iter__(self) -> Any:
        info, photos = get_worker_info(), Photos()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        share = -(-N // self.world_size)
        rows = [i % N for i in range(self.rank * share, (self.rank + 1) * share)]
        yield from (photos[i] for i in rows[worker::workers])


def lines_in_turns(batch_size: int, num_workers: int = 0, rank: int = 0, world_size: int = 1) -> Any:
    """A stream that is divided by rank and by worker, each rank equally long."""
    return DataLoader(_Lines(rank, world_size), batch_size, num_workers=num_workers)


class _Distributed(Wrapper):
    def set_epoch(self, epoch: int) -> None:
        """Pass the epoch on."""
        self.loader.sampler.set_epoch(epoch)


def distributed_in_a_wrapper(
    batch_size: int, shuffle: bool = True, seed: int = 0, rank: int = 0, world_size: int = 1
) -> Any:
    """``DistributedSampler`` behind a wrapper that passes ``set_epoch`` on."""
    sampler = DistributedSampler(Photos(), world_size, rank, shuffle=shuffle, seed=seed)
    return _Distributed(DataLoader(Photos(), batch_size, sampler=sampler))


class _FromFile(Dataset):
    """Opens its file in each worker, at the request for the first sample."""

    def __init__(self) -> None:
        self.file = Path(mkdtemp(prefix="harness-rows-"), "rows.npy")
        np.save(self.file, IMAGES.numpy())
        self.rows: Any = None

    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        if self.rows is None:
            self.rows = np.load(self.file, mmap_mode="r")
        return torch.from_numpy(self.rows[i].copy()), int(LABELS[i])


def file_opened_by_the_worker(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
    """A file that each worker opens late, on its side."""
    return DataLoader(_FromFile(), batch_size, shuffle=shuffle, num_workers=num_workers)


class _Shift:
    """Creates its generator late, from the seed that torch gives each worker."""

    rng: Any = None

    def __call__(self, image: Any) -> Any:
        if self.rng is None:
            self.rng = np.random.default_rng(torch.initial_seed() % 2**32)
        return image + float(self.rng.random())


def generator_of_the_worker(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """A late generator with another seed in each worker and each epoch."""
    return DataLoader(Photos(_Shift()), batch_size, shuffle=shuffle, num_workers=num_workers)


class _CachesDecoded(Photos):
    def __init__(self) -> None:
        super().__init__()
        self.cache: dict[int, Any] = {}

    def __getitem__(self, i: int) -> Any:
        if i not in self.cache:
            self.cache[i] = super().__getitem__(i)
        image, label = self.cache[i]
        return image + torch.rand(1), label


def decoded_once_augmented_each_time(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """Keeps the decoded images, and augments them again in each epoch."""
    return DataLoader(_CachesDecoded(), batch_size, shuffle=shuffle, num_workers=num_workers)


def drawn_with_replacement(batch_size: int, num_workers: int = 0) -> Any:
    """A fixed number of samples, drawn with replacement."""
    sampler = RandomSampler(Photos(), replacement=True, num_samples=40)
    return DataLoader(Photos(), batch_size, sampler=sampler, num_workers=num_workers)


class _Mixup:
    """Mixes each image with another one of its batch."""

    def __call__(self, samples: list[Any]) -> Any:
        images, labels = default_collate(samples)
        share, other = float(np.random.beta(0.4, 0.4)), torch.randperm(len(images))
        return share * images + (1 - share) * images[other], labels, labels[other], torch.full((len(images),), share)


def mixed_up(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """Mixup in the collate function, as torchvision's pages show it."""
    return DataLoader(Photos(), batch_size, shuffle=shuffle, num_workers=num_workers, collate_fn=_Mixup())


class _Resizes:
    """Each batch has another size."""

    def __call__(self, samples: list[Any]) -> Any:
        images, labels = default_collate(samples)
        side = int(torch.randint(3, 7, ()))
        return torch.nn.functional.interpolate(images, size=(side, side)), labels


def several_scales(batch_size: int, num_workers: int = 0, shuffle: bool = True) -> Any:
    """Multi-scale training: images of each batch are resized at random."""
    return DataLoader(Photos(), batch_size, shuffle=shuffle, num_workers=num_workers, collate_fn=_Resizes())


class _Sentences(Dataset):
    def __len__(self) -> int:
        return N

    def __getitem__(self, i: int) -> Any:
        return {"tokens": torch.arange(i, i + 2 + i % 6), "text": f"sentence {i}"}


class _Similar:
    """Batches of sentences of similar length, in random order."""

    def __init__(self, batch_size: int, seed: int) -> None:
        self.batches = list(BatchSampler(sorted(range(N), key=lambda i: i % 6), batch_size, drop_last=False))
        self.seed, self.epoch = seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Remember the epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Any:
        yield from random.Random(1000 * self.seed + self.epoch).sample(self.batches, len(self.batches))


def _padded(samples: list[Any]) -> Any:
    tokens = torch.nn.utils.rnn.pad_sequence(
        [sample["tokens"] for sample in samples], batch_first=True, padding_value=-1
    )
    return {"tokens": tokens, "mask": tokens >= 0, "text": [sample["text"] for sample in samples]}


def sentences_of_similar_length(batch_size: int, num_workers: int = 0, seed: int = 0, epoch: int = 0) -> Any:
    """A custom batch sampler that receives the epoch."""
    sampler = _Similar(batch_size, seed)
    sampler.set_epoch(epoch)
    return DataLoader(_Sentences(), batch_sampler=sampler, num_workers=num_workers, collate_fn=_padded)
