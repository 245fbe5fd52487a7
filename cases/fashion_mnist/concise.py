"""Fashion-MNIST through torchvision and ``DataLoader``: the book's way, and ways to fetch a batch at once."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    TensorDataset,
)
from torchvision import transforms
from torchvision.transforms import v2

Batch = tuple[Float32[Tensor, "b 1 28 28"], Int64[Tensor, " b"]]
"""Images with values from 0 to 1, and their labels. Where a ``DataLoader`` collates, the pair is a list."""


def torchvision_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load as the book does: torchvision's data set, ``ToTensor`` item by item.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to load the training set or the test set.
    batch_size
        Images a batch; the last batch of an epoch may be smaller.
    workers
        Processes that load; 0 loads in the process that asks.
    shuffle
        Whether each epoch has an order of its own.

    Returns
    -------
    batches
        Images float32 ``[b, 1, 28, 28]`` and labels int64 ``[b]``, anew each time it is iterated over.

    Notes
    -----
    Each value is byte / 255 correctly rounded: ``ToTensor`` divides.
    """
    dataset = torchvision.datasets.FashionMNIST(root, train=train, transform=transforms.ToTensor())
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


def transforms_v2_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load item by item with the transforms that replace ``ToTensor``.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        As those of :func:`torchvision_loader`, but for the last bit.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255 and not always the nearest float32: ``ToDtype`` multiplies by the
    rounded reciprocal of 255, and 126 of the 256 grey levels come out one ulp beside ``ToTensor``'s.
    """
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    dataset = torchvision.datasets.FashionMNIST(root, train=train, transform=transform)
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


def tensor_dataset_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load from tensors that were converted once, beforehand; collated item by item.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        As those of :func:`torchvision_loader`, bit for bit.

    Notes
    -----
    Each value is byte / 255 correctly rounded. The float32 images of the training set take 188 MB.
    """
    images = torchvision.datasets.FashionMNIST(root, train=train)
    dataset = TensorDataset(images.data.unsqueeze(1).float() / 255, images.targets)
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


class BatchedImages(Dataset[Batch]):
    """A data set that hands out whole batches, gathered from bytes in memory and converted at once.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to read the training set or the test set.

    Notes
    -----
    Bytes become float32 and are multiplied by the rounded reciprocal of 255, as ``v2.ToDtype`` does it: within 1.5 ulp
    of byte / 255. A processor divides at half to a third of that speed; ``div_(255)`` would give ``ToTensor``'s bits.
    """

    def __init__(self, root: str | Path, *, train: bool) -> None:
        images = torchvision.datasets.FashionMNIST(root, train=train)
        self.images = images.data.unsqueeze(1)
        self.labels = images.targets

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Sequence[int] | Tensor) -> Batch:
        rows = torch.as_tensor(indices)
        return self.images.index_select(0, rows).float().mul_(1 / 255), self.labels.index_select(0, rows)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a batch: what ``DataLoader`` asks for, where it exists, in place of one item after another."""
        return self[indices]


def unchanged(batch: Any) -> Any:
    """Collate what is a batch already."""
    return batch


def batched_fetch_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load a batch at a time through ``__getitems__``.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        As those of :func:`transforms_v2_loader`, bit for bit.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255.
    """
    return DataLoader(
        BatchedImages(root, train=train),
        batch_size,
        shuffle=shuffle,
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=unchanged,
    )


def batch_sampler_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load a batch at a time: the sampler's items are batches of indices, and ``DataLoader`` collates nothing.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        As those of :func:`transforms_v2_loader`, bit for bit.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255.
    """
    dataset = BatchedImages(root, train=train)
    order = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=BatchSampler(order, batch_size, drop_last=False),
        num_workers=workers,
        persistent_workers=workers > 0,
    )


class IndexBatches(Sampler[Tensor]):
    """Batches of indices that stay tensors: not one index becomes a Python integer.

    Parameters
    ----------
    n
        How many samples there are.
    batch_size
        Indices a batch.
    shuffle
        Whether each epoch has an order of its own.
    """

    def __init__(self, n: int, batch_size: int, *, shuffle: bool) -> None:
        self.n = n
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __iter__(self) -> Iterator[Int64[Tensor, " b"]]:
        order = torch.randperm(self.n) if self.shuffle else torch.arange(self.n)
        return iter(order.split(self.batch_size))


def index_tensor_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load a batch at a time for a sampler of index tensors: the fastest loader here that is a ``DataLoader``.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`. Without workers it is fastest.

    Returns
    -------
    batches
        As those of :func:`transforms_v2_loader`, bit for bit.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255.
    """
    dataset = BatchedImages(root, train=train)
    return DataLoader(
        dataset,
        batch_size=None,
        sampler=IndexBatches(len(dataset), batch_size, shuffle=shuffle),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=unchanged,
    )


class PackedImages(Dataset[UInt8[np.ndarray, "b 785"]]):
    """A data set whose batches are one array of bytes: the pixels of an image in a row, its label behind them.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to read the training set or the test set.
    """

    def __init__(self, root: str | Path, *, train: bool) -> None:
        images = torchvision.datasets.FashionMNIST(root, train=train)
        rows = [images.data.flatten(1), images.targets.to(torch.uint8).unsqueeze(1)]
        self.rows = torch.cat(rows, dim=1).numpy()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, indices: Sequence[int]) -> UInt8[np.ndarray, "b 785"]:
        return self.rows[indices]


class Unpacked:
    """Batches unpacked and converted where they are used.

    Parameters
    ----------
    packed
        Yields arrays of bytes, as :class:`PackedImages` makes them.
    """

    def __init__(self, packed: "DataLoader[UInt8[np.ndarray, 'b 785']]") -> None:
        self.packed = packed

    def __len__(self) -> int:
        """Return how many batches an epoch has."""
        return len(self.packed)

    def __iter__(self) -> Iterator[Batch]:
        for array in self.packed:
            rows = torch.from_numpy(array)
            yield rows[:, :-1].float().mul_(1 / 255).view(-1, 1, 28, 28), rows[:, -1].long()


def packed_loader(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load with workers that send one array of bytes a batch, converted in the process that asks.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        As those of :func:`transforms_v2_loader`, bit for bit.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255. A tensor goes from process to process as a file descriptor, which costs
    more than the tensor of a small batch; a NumPy array goes through the pipe. Bytes are a quarter of its size in
    float32. ``collate_fn`` keeps ``DataLoader`` from making a tensor of it.
    """
    dataset = PackedImages(root, train=train)
    order = RandomSampler(dataset) if shuffle else SequentialSampler(dataset)
    packed = DataLoader(
        dataset,
        batch_size=None,
        sampler=BatchSampler(order, batch_size, drop_last=False),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=unchanged,
    )
    return Unpacked(packed)
