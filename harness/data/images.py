"""Images for timing loaders: a set that :mod:`harness.data.fashion_mnist` finds, or its first images.

It imports no torch.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.data import idx
from harness.data.fashion_mnist import arrays, prepare
from harness.data.idx import LAYOUT, PAIRS
from harness.error import UsageError

Sample = tuple[bytes, int]
"""The bytes of an image, and its label."""

SHORT_EPOCH = 512
"""Images of an epoch that is gone through again and again."""


@dataclass(frozen=True)
class ImageData:
    """A set on disk.

    Parameters
    ----------
    root
        Folder in torchvision's layout.
    name
        Name of the images: Fashion-MNIST or what stands in for it.
    samples
        Samples of an epoch, in any order.
    size
        How many images an epoch has.
    train
        Whether it is the training set.
    """

    root: Path
    name: str
    samples: AbstractSet[Sample]
    size: int
    train: bool = False

    def arrays(self) -> "tuple[NDArray[np.uint8], NDArray[np.uint8]]":
        """Return images and labels."""
        return arrays(self.root, train=self.train)


def image_data(folder: str | None, count: int | None, scratch: Path, *, train: bool = False) -> ImageData:
    """Find the set, and cut it to its first images where fewer are wanted.

    Parameters
    ----------
    folder
        As for :func:`harness.data.fashion_mnist.prepare`.
    count
        How many images are wanted; all where absent.
    scratch
        Where the cut set is written.
    train
        Whether the training set is wanted, or the test set.
    """
    prepared = prepare(folder)
    images, labels = arrays(prepared.root, train=train)
    if count is not None and count < 1:
        raise UsageError("invalid `--harness-images`", rule="must be at least 1", value=str(count))
    root = prepared.root
    if count is not None and count < len(labels):
        root, images, labels = scratch, images[:count], labels[:count]
        (root / LAYOUT).mkdir(parents=True)
        for pair in PAIRS.values():  # both splits, as torchvision looks for all four files
            for name, array in zip(pair, (images, labels), strict=True):
                idx.write(root / LAYOUT / name, array)
    samples = {(image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True)}
    return ImageData(root, prepared.source.name, samples, len(labels), train)


def short_epoch(folder: str | None, scratch: Path) -> Path:
    """Lay out the first images of the test set, as many as make a short epoch, and return the root they lie below.

    Parameters
    ----------
    folder, scratch
        As for :func:`image_data`.
    """
    return image_data(folder, SHORT_EPOCH, scratch).root.resolve()
