"""Fashion-MNIST by hand: reading the files, two loaders, labels as words, a grid of images."""

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
"""Images with values from 0 to 1, and their labels. Where a ``DataLoader`` collates, the pair is a list."""


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
    """The images one by one, each converted when it is asked for.

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
    """Load item by item: a data set of one's own, collated by ``DataLoader``.

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
    Each value is byte / 255 correctly rounded: the byte is exact in float32, and there is one division.
    """
    dataset = FashionImages(root, train=train)
    return DataLoader(dataset, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0)


class InMemory:
    """Batches cut from tensors in memory, without ``DataLoader``.

    Parameters
    ----------
    images, labels
        The whole set. The images stay bytes: that is a quarter of the memory to gather from.
    batch_size
        Images a batch.
    shuffle
        Whether each epoch has an order of its own.
    """

    def __init__(
        self, images: UInt8[Tensor, "n 1 28 28"], labels: Int64[Tensor, " n"], *, batch_size: int, shuffle: bool
    ) -> None:
        self.images = images
        self.labels = labels
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __len__(self) -> int:
        """Return how many batches an epoch has."""
        return -(-len(self.labels) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        n = len(self.labels)
        order = torch.randperm(n) if self.shuffle else torch.arange(n)
        for rows in order.split(self.batch_size):
            # index_select gathers a batch several times as fast as images[rows] does, and a processor multiplies two to
            # three times as fast as it divides
            yield self.images.index_select(0, rows).float().mul_(1 / 255), self.labels.index_select(0, rows)


def in_memory(
    root: str | Path,
    train: bool,
    batch_size: int,
    workers: int,  # noqa: ARG001 - there is nothing left for a worker to do
    shuffle: bool,
) -> Iterable[Batch]:
    """Load by gathering rows of tensors in memory: what no loader of this set can beat by much.

    Parameters
    ----------
    root
        The folder that holds ``FashionMNIST/raw``.
    train
        Whether to load the training set or the test set.
    batch_size
        Images a batch; the last batch of an epoch may be smaller.
    workers
        Ignored: handing a batch from one process to another takes longer than making it.
    shuffle
        Whether each epoch has an order of its own.

    Returns
    -------
    batches
        Images float32 ``[b, 1, 28, 28]`` and labels int64 ``[b]``, anew each time it is iterated over.

    Notes
    -----
    Each value is within 1.5 ulp of byte / 255: the byte, exact in float32, is multiplied by the rounded reciprocal of
    255. These are the bits of torchvision's ``v2.ToDtype``. ``div_(255)`` in place of the product gives those of
    ``ToTensor``, correctly rounded, and a batch takes a third longer.
    """
    images_file, labels_file = files(root, train=train)
    images, labels = read_images(images_file).unsqueeze(1), read_labels(labels_file).long()
    return InMemory(images, labels, batch_size=batch_size, shuffle=shuffle)


WORDS = ("t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
"""What the labels 0 to 9 mean."""


def text_labels(labels: Int64[Tensor, " n"] | Sequence[int]) -> list[str]:
    """Return labels as words.

    Parameters
    ----------
    labels
        Classes from 0 to 9.

    Returns
    -------
    words
        One for each label.
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
        Grey images ``[height, width]`` or ``[1, height, width]``, row by row of the grid; no more than it has places.
    num_rows, num_cols
        Places of the grid.
    titles
        One for each image.
    scale
        Side of a place in inches.

    Returns
    -------
    axes
        The matplotlib axes, row by row; places without an image are empty. ``axes[0].figure`` is the figure.
    """
    from matplotlib import pyplot as plt  # only here: every worker of a loader imports this module

    _, grid = plt.subplots(num_rows, num_cols, figsize=(num_cols * scale, num_rows * scale), squeeze=False)
    axes = list(grid.flat)
    for ax in axes:
        ax.set_axis_off()
    for i, (ax, image) in enumerate(zip(axes, images, strict=False)):
        ax.imshow(np.asarray(image).squeeze(), cmap="gray")
        if titles is not None:
            ax.set_title(titles[i])
    return axes
