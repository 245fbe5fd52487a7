"""Fashion-MNIST through torchvision and ``DataLoader``: the book's way, and ways to fetch a batch at once."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torchvision
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SequentialSampler, TensorDataset
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
    """

    def __init__(self, root: str | Path, *, train: bool) -> None:
        images = torchvision.datasets.FashionMNIST(root, train=train)
        self.images = images.data.unsqueeze(1)
        self.labels = images.targets

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Sequence[int]) -> Batch:
        rows = torch.tensor(indices)
        return self.images.index_select(0, rows).float().div_(255), self.labels.index_select(0, rows)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return a batch: what ``DataLoader`` asks for, where it exists, in place of one item after another."""
        return self[indices]


def unchanged(batch: Sequence[Tensor]) -> Sequence[Tensor]:
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
        As those of :func:`torchvision_loader`, bit for bit.

    Notes
    -----
    Each value is byte / 255 correctly rounded.
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
        As those of :func:`torchvision_loader`, bit for bit.

    Notes
    -----
    Each value is byte / 255 correctly rounded.
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
