"""A loader of an image data set in IDX files: every sample once per epoch, with the pixels of the files.

The laws write a small data set of random bytes in torchvision's folder layout and read it back through the loader.
Benchmarks measure its speed and the effect of workers.
"""

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from harness.data import idx
from harness.floats import Format, Measurement, compare, dd
from harness.laws import CaseError, Contract, Example, Subject, law
from harness.laws.strategies import SEEDS

SIDE = 28
_FILES = {True: "train", False: "t10k"}

Batches = list[tuple[Tensor, Tensor]]


class Request(NamedTuple):
    """The parameters of a request to the loader."""

    train: bool
    batch_size: int
    shuffle: bool


@contextmanager
def data_folder(images: Tensor, labels: Tensor) -> Iterator[Path]:
    """Write both splits with the same samples, and remove them afterwards."""
    with tempfile.TemporaryDirectory(prefix="data-") as folder:
        raw = Path(folder, "FashionMNIST", "raw")
        raw.mkdir(parents=True)
        for split in _FILES.values():
            idx.write(raw / f"{split}-images-idx3-ubyte", images.numpy())
            idx.write(raw / f"{split}-labels-idx1-ubyte", labels.numpy())
        yield Path(folder)


def _epochs(loader: Subject, images: Tensor, labels: Tensor, request: Request, *, count: int = 1) -> list[Batches]:
    """Read epochs through the loader, and raise an error if a batch does not consist of images and labels."""
    with data_folder(images, labels) as root:
        epochs: list[Batches] = loader.run(
            str(root), request.train, request.batch_size, 0, request.shuffle, count, sequence="read"
        )
    for images_batch, labels_batch in (batch for epoch in epochs for batch in epoch):
        if images_batch.dtype != torch.float32 or labels_batch.dtype != torch.int64:
            raise CaseError(f"{loader.case.name} yields {images_batch.dtype} and {labels_batch.dtype}")
        if tuple(images_batch.shape) != (len(labels_batch), 1, SIDE, SIDE):
            raise CaseError(f"{loader.case.name} yields images of shape {tuple(images_batch.shape)}")
    return epochs


def _counted(deviation: float, actual: float, expected: float) -> Measurement:
    unit = np.ones(1)
    return Measurement(deviation * unit, 0.0 * unit, actual * unit, expected * unit)


def _fingerprints(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Counter[tuple[bytes, int]]:
    return Counter((image.tobytes(), int(label)) for image, label in zip(images, labels, strict=True))


def _delivered(epoch: Batches) -> Counter[tuple[bytes, int]]:
    total: Counter[tuple[bytes, int]] = Counter()
    for images, labels in epoch:
        grey = (images.double() * 255.0).round().clamp(0, 255).to(torch.uint8)
        total += _fingerprints(grey.squeeze(1).numpy(), labels.numpy())
    return total


@law(
    "Every epoch delivers each sample once, with its label.",
    source="definition of an epoch",
    cause="the last incomplete batch is dropped, an index is off by one, or images and labels are shuffled "
    "separately: use one index for both, and cover all samples",
    group="data",
    unit="samples",
)
def each_sample_once(
    loader: Subject, images: Tensor, labels: Tensor, train: bool, batch_size: int, shuffle: bool
) -> Measurement:
    """Count samples that are missing or superfluous, in any order."""
    (epoch,) = _epochs(loader, images, labels, Request(train, batch_size, shuffle))
    written, delivered = _fingerprints(images.numpy(), labels.numpy()), _delivered(epoch)
    differences = (written - delivered).total() + (delivered - written).total()
    return _counted(float(differences), float(delivered.total()), float(written.total()))


@law(
    "All batches have the requested size; the last one has the remainder.",
    source="contract",
    cause="drop_last is set, or the batch size is not passed on: pass the batch size, and keep the last batch",
    group="data",
    unit="samples",
)
def batches_have_the_size_asked_for(
    loader: Subject, images: Tensor, labels: Tensor, train: bool, batch_size: int, shuffle: bool
) -> Measurement:
    """Compare the sequence of batch sizes."""
    (epoch,) = _epochs(loader, images, labels, Request(train, batch_size, shuffle))
    whole, remainder = divmod(len(labels), batch_size)
    expected = [batch_size] * whole + [remainder] * bool(remainder)
    actual = [len(batch) for _, batch in epoch]
    differing = sum(a != b for a, b in zip(actual, expected, strict=False)) + abs(len(actual) - len(expected))
    return _counted(float(differing), float(len(actual)), float(len(expected)))


@law(
    "A pixel is its byte divided by 255.",
    source="torchvision.transforms.ToTensor; one division, or one rounded reciprocal and one product",
    bound="1.5 ulp",
    cause="a division by 256, an additional normalization, or a conversion through a narrower dtype: divide the "
    "byte by 255 in float32",
    group="value",
)
def pixels_are_bytes_over_255(
    loader: Subject, images: Tensor, labels: Tensor, train: bool, batch_size: int
) -> Measurement:
    """Compare in the order of the files."""
    (epoch,) = _epochs(loader, images, labels, Request(train, batch_size, shuffle=False))
    delivered = torch.cat([batch for batch, _ in epoch])
    return compare(delivered, dd.lift(images.double().numpy()[:, None]) / 255.0, 1.5, loader.format)


@law(
    "With shuffling each epoch has a new order; without it each epoch has the order of the files.",
    source="contract",
    cause="the order is drawn once when the loader is created, or shuffling is not passed on: draw a new order in "
    "each epoch",
    group="data",
    unit="epochs",
)
def shuffles_when_asked(
    loader: Subject, images: Tensor, labels: Tensor, train: bool, batch_size: int, shuffle: bool
) -> Measurement:
    """Compare two epochs of distinct images; two equal random orders of 32 have probability 1 / 32!."""
    distinct = images[:1].expand(32, -1, -1).clone()
    distinct[:, 0, 0] = torch.arange(32, dtype=torch.uint8)
    marks = labels[:1].expand(32).clone()
    first, second = (
        torch.cat([batch[:, 0, 0, 0] for batch, _ in epoch])
        for epoch in _epochs(loader, distinct, marks, Request(train, batch_size, shuffle), count=2)
    )
    repeats = torch.equal(first, second)
    return _counted(float(repeats == shuffle), float(not repeats), float(shuffle))


def _data_sets(_: Format) -> st.SearchStrategy[Example]:
    def expand(n: int, seed: int, request: Request) -> Example:
        rng = np.random.default_rng(seed)
        images = torch.from_numpy(rng.integers(0, 256, size=(n, SIDE, SIDE), dtype=np.uint8))
        labels = torch.from_numpy(rng.integers(0, 10, size=n, dtype=np.uint8))
        return {"images": images, "labels": labels, **request._asdict()}

    requests = st.builds(Request, train=st.booleans(), batch_size=st.integers(1, 16), shuffle=st.booleans())
    return st.builds(expand, st.integers(1, 40), SEEDS, requests)


LOADER = Contract(
    "loader",
    signature="(root, train, batch_size, workers, shuffle) -> iterable of (images[b,1,28,28], labels[b])",
    summary="batches of an image data set in IDX files below root/FashionMNIST/raw",
    domain="1 to 40 images of random bytes, batches of 1 to 16, no workers",
    inputs=_data_sets,
    laws=(each_sample_once, batches_have_the_size_asked_for, pixels_are_bytes_over_255, shuffles_when_asked),
    dtypes=("float32",),
    examples=12,
    form="loader",
)
