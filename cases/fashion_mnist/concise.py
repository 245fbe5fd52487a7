"""Fashion-MNIST through torchvision and ``DataLoader``: the book's loader, and faster loaders of whole batches."""

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
"""Images with values from 0 to 1, and their labels. If a ``DataLoader`` collates, the pair is a list."""


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
        Images per batch; the last batch of an epoch may be smaller.
    workers
        Number of worker processes; 0 loads in the calling process.
    shuffle
        Whether to shuffle each epoch.

    Returns
    -------
    batches
        Images float32 ``[b, 1, 28, 28]`` and labels int64 ``[b]``; each iteration is an epoch.

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
        Equal to :func:`torchvision_loader` except for the last bit.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255 and not always the nearest float32: ``ToDtype`` multiplies by the
    rounded reciprocal of 255, and 126 of the 256 gray levels differ from ``ToTensor`` by one ulp.
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
    """Load from tensors that were converted once in advance; collated item by item.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        Bit-identical to :func:`torchvision_loader`.

    Notes
    -----
    Each value is byte / 255 correctly rounded. The float32 images of the training set take 188 MB.
    """
    images = torchvision.datasets.FashionMNIST(root, train=train)
    dataset = TensorDataset(images.data.unsqueeze(1).float() / 255, images.targets)
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


class BatchedImages(Dataset[Batch]):
    """A data set that returns whole batches, gathered from bytes in memory and converted at once.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to read the training set or the test set.

    Notes
    -----
    Bytes become float32 and are multiplied by the rounded reciprocal of 255, as in ``v2.ToDtype``: within 1.5 ulp
    of byte / 255. Division is two to three times slower; ``div_(255)`` would give the bits of ``ToTensor``.
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
        """Return a batch; ``DataLoader`` calls this method, if it exists, instead of fetching item by item."""
        return self[indices]


def unchanged(batch: Any) -> Any:
    """Return the batch unchanged: a collate function for whole batches."""
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
        Bit-identical to :func:`transforms_v2_loader`.

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
        Bit-identical to :func:`transforms_v2_loader`.

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
    """Batches of indices as tensors: indices never become Python integers.

    Parameters
    ----------
    n
        Number of samples.
    batch_size
        Indices per batch.
    shuffle
        Whether to shuffle each epoch.
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
    """Load a batch at a time with a sampler of index tensors: the fastest ``DataLoader`` in this file.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`. It is fastest without workers.

    Returns
    -------
    batches
        Bit-identical to :func:`transforms_v2_loader`.

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
    """A data set whose batches are byte arrays: a row holds the pixels of an image, followed by its label.

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
    """Batches that are unpacked and converted in the consuming process.

    Parameters
    ----------
    packed
        Loader of byte arrays from :class:`PackedImages`.
    """

    def __init__(self, packed: "DataLoader[UInt8[np.ndarray, 'b 785']]") -> None:
        self.packed = packed

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
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
    """Load with workers that send a byte array per batch, converted in the consuming process.

    Parameters
    ----------
    root, train, batch_size, workers, shuffle
        As for :func:`torchvision_loader`.

    Returns
    -------
    batches
        Bit-identical to :func:`transforms_v2_loader`.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255. Processes exchange tensors as file descriptors, which costs
    more than the tensor of a small batch; a NumPy array goes through the pipe. Bytes are a quarter of its size in
    float32. ``collate_fn`` keeps ``DataLoader`` from converting it to a tensor.
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
