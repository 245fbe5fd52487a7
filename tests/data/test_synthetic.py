"""The stand-in is reproducible, has Fashion-MNIST's format, and is about as hard to learn."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.data import fashion_mnist
from harness.data import synthetic as stand_in


def test_its_bytes_are_the_same_everywhere(tmp_path: Path) -> None:
    """The checksums are constants."""
    prepared = fashion_mnist.prepare("synthetic", cache=tmp_path)
    assert prepared.source.checksums == fashion_mnist.STAND_IN
    images, labels = fashion_mnist.arrays(prepared.root, train=True)
    assert (images.shape, labels.shape) == ((12_000, 28, 28), (12_000,))
    assert fashion_mnist.arrays(prepared.root, train=False)[0].shape == (2_000, 28, 28)


@pytest.mark.parametrize("count", [1, 9, 10, 1003])
def test_the_classes_occur_equally_often(count: int) -> None:
    """Counts differ by at most one."""
    images, labels = stand_in.images_and_labels(count)
    assert images.shape == (count, 28, 28)
    assert np.ptp(np.bincount(labels, minlength=10)) <= 1


def test_another_seed_gives_other_images() -> None:
    """The seed is used."""
    one, two = (stand_in.images_and_labels(10, seed=seed)[0] for seed in (1, 2))
    assert (one != two).mean() > 0.9


def test_no_two_images_are_equal() -> None:
    """No training image is in the test set."""
    images, _ = stand_in.images_and_labels(2_000)
    assert len(np.unique(images.reshape(len(images), -1), axis=0)) == len(images)


def test_a_linear_model_learns_it_well_but_not_perfectly() -> None:
    """The accuracy is about the same as for Fashion-MNIST, after ten epochs with batches of 256 and rate 0.1."""
    images, labels = stand_in.images_and_labels(stand_in.TRAIN_COUNT + stand_in.TEST_COUNT)
    X, y = torch.from_numpy(images).flatten(1).float() / 255, torch.from_numpy(labels).long()
    train, held_out = slice(stand_in.TRAIN_COUNT), slice(stand_in.TRAIN_COUNT, None)
    W, b = torch.zeros(784, 10), torch.zeros(10)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        for rows in torch.randperm(stand_in.TRAIN_COUNT, generator=generator).split(256):
            gradient = torch.softmax(X[rows] @ W + b, dim=1)
            gradient[torch.arange(len(rows)), y[rows]] -= 1
            W -= 0.1 * X[rows].T @ gradient / len(rows)
            b -= 0.1 * gradient.mean(dim=0)
    accuracy = ((X @ W + b).argmax(dim=1) == y).float()
    assert 0.80 < accuracy[held_out].mean() < 0.90
    assert accuracy[train].mean() > accuracy[held_out].mean()
