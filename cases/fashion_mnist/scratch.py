"""Fashion-MNIST from scratch: reading the files, two loaders, labels as words, a grid of images."""

import struct
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

Batch = tuple[Float32[Tensor, "b 1 28 28"], Int64[Tensor, " b"]]
"""Images with values from 0 to 1, and their labels. If a ``DataLoader`` collates, the pair is a list."""


def files(root: str | Path, *, train: bool) -> tuple[Path, Path]:
    """Return the file of the images and the file of the labels."""
    raw = Path(root) / "FashionMNIST" / "raw"
    split = "train" if train else "t10k"
    return raw / f"{split}-images-idx3-ubyte", raw / f"{split}-labels-idx1-ubyte"


def read_images(file: Path) -> UInt8[Tensor, "n 28 28"]:
    """Read a file of images: four big-endian integers (magic number, count, height, width), then the pixels."""
    with file.open("rb") as stream:
        _, n, height, width = struct.unpack(">4I", stream.read(16))
        pixels = np.fromfile(stream, dtype=np.uint8)
    return torch.from_numpy(pixels).reshape(n, height, width)


def read_labels(file: Path) -> UInt8[Tensor, " n"]:
    """Read a file of labels: two big-endian integers (magic number, count), then the labels."""
    with file.open("rb") as stream:
        _, n = struct.unpack(">2I", stream.read(8))
        labels = np.fromfile(stream, dtype=np.uint8)
    return torch.from_numpy(labels).reshape(n)


class FashionImages(Dataset[tuple[Tensor, int]]):
    """The images one by one, converted on access.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to read the training set or the test set.
    """

    def __init__(self, root: str | Path, *, train: bool) -> None:
        images_file, labels_file = files(root, train=train)
        self.images = read_images(images_file)
        self.labels = read_labels(labels_file)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Float32[Tensor, "1 28 28"], int]:
        return self.images[index].unsqueeze(0).float() / 255, int(self.labels[index])


def item_by_item(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,
    shuffle: bool,
) -> Iterable[Batch]:
    """Load item by item: a custom data set, collated by ``DataLoader``.

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
    Each value is byte / 255 correctly rounded: the byte is exact in float32, and there is a single division.
    """
    dataset = FashionImages(root, train=train)
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


class InMemory:
    """Batches cut from tensors in memory, without ``DataLoader``.

    Parameters
    ----------
    images, labels
        The whole set. The images stay bytes, which take a quarter of the memory.
    batch_size
        Images per batch.
    shuffle
        Whether to shuffle each epoch.
    """

    def __init__(
        self, images: UInt8[Tensor, "n 1 28 28"], labels: Int64[Tensor, " n"], *, batch_size: int, shuffle: bool
    ) -> None:
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        """Return the number of batches per epoch."""
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.labels)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for rows in order.split(self.batch_size):
            # index_select gathers a batch several times as fast as images[rows], and multiplication is two to
            # three times as fast as division
            yield self.images.index_select(0, rows).float().mul_(1 / 255), self.labels.index_select(0, rows)


def in_memory(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,  # noqa: ARG001 - workers have nothing to do
    shuffle: bool,
) -> Iterable[Batch]:
    """Load by gathering rows of tensors in memory, which is close to the fastest possible loader.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to load the training set or the test set.
    batch_size
        Images per batch; the last batch of an epoch may be smaller.
    workers
        Ignored: sending a batch between processes takes longer than creating it.
    shuffle
        Whether to shuffle each epoch.

    Returns
    -------
    batches
        Images float32 ``[b, 1, 28, 28]`` and labels int64 ``[b]``; each iteration is an epoch.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255: the byte, exact in float32, is multiplied by the rounded reciprocal of
    255. The bits agree with torchvision's ``v2.ToDtype``. ``div_(255)`` instead of the product would agree with
    ``ToTensor``, which rounds correctly, but a batch takes a third longer.
    """
    images_file, labels_file = files(root, train=train)
    images, labels = read_images(images_file).unsqueeze(1), read_labels(labels_file).long()
    return InMemory(images, labels, batch_size=batch_size, shuffle=shuffle)


WORDS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
"""The meaning of the labels 0 to 9."""


def text_labels(labels: Int64[Tensor, " n"] | Sequence[int]) -> list[str]:
    """Return labels as words.

    Parameters
    ----------
    labels
        Classes from 0 to 9.

    Returns
    -------
    words
        The words, in the order of the labels.
    """
    return [WORDS[int(label)] for label in labels]


def show_images(
    images: Iterable[Any],
    num_rows: int,
    num_cols: int,
    *,
    titles: Sequence[str] | None = None,
    scale: float = 1.5,
) -> list[Any]:
    """Draw a grid of images.

    Parameters
    ----------
    images
        Gray images ``[height, width]`` or ``[1, height, width]``, row by row; at most as many as the grid has cells.
    num_rows, num_cols
        Size of the grid.
    titles
        Titles of the images.
    scale
        Side of a cell in inches.

    Returns
    -------
    axes
        The matplotlib axes, row by row; cells without an image are empty. ``axes[0].figure`` is the figure.
    """
    from matplotlib import pyplot as plt  # imported here because every worker of a loader imports this module

    _, grid = plt.subplots(num_rows, num_cols, figsize=(num_cols * scale, num_rows * scale), squeeze=False)
    axes = list(grid.flat)
    for ax in axes:
        ax.set_axis_off()
    for i, (ax, image) in enumerate(zip(axes, images, strict=False)):
        ax.imshow(np.asarray(image).squeeze(), cmap="gray")
        if titles is not None:
            ax.set_title(titles[i])
    return axes
