"""The loaders deliver each image once, whole batches and the tail, and the right values."""

import pickle
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from cases.fashion_mnist import CASES, concise, scratch
from harness.case import Case
from harness.data import fashion_mnist, idx
from harness.data import synthetic as stand_in
from harness.data.idx import LAYOUT, NAMES

N = 43
BATCH = 8

DIVIDING = (concise.torchvision_loader, concise.tensor_dataset_loader, scratch.item_by_item)
"""The loaders whose values are byte / 255 correctly rounded."""

every_loader = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # a machine with one core
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),  # fork, Python >= 3.12
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a tiny data set whose images encode their index and contain all gray levels."""
    root = tmp_path_factory.mktemp("root")
    raw = root / LAYOUT
    raw.mkdir(parents=True)
    for names, count in ((NAMES[:2], N), (NAMES[2:], N - 6)):
        images = np.tile(np.arange(784) % 256, (count, 1)).astype(np.uint8).reshape(count, 28, 28)
        images[:, 0, 0] = np.arange(count)
        idx.write(raw / names[0], images)
        idx.write(raw / names[1], (np.arange(count) % 10).astype(np.uint8))
    return root


def load(
    case: Case, root: Path | str, *, train: bool = True, batch_size: int = BATCH, workers: int = 0, shuffle: bool = True
) -> Any:
    """Call a loader with the arguments all loaders share."""
    return case.function(root, train, batch_size, workers, shuffle)


def order_of(loader: Iterable[tuple[Tensor, Tensor]]) -> list[int]:
    """Return the indices of an epoch, decoded from the images, and check the labels."""
    order = []
    for X, y in loader:
        indices = (X[:, 0, 0, 0] * 255).round().long()
        assert torch.equal(y, indices % 10)
        order += indices.tolist()
    return order


@every_loader
def test_workers_change_no_epoch(case: Case, root: Path) -> None:
    """The laws of the contract are decided without workers; here two load the same."""
    torch.manual_seed(0)
    loader, in_order = (load(case, root, workers=2, shuffle=shuffle) for shuffle in (True, False))
    first, second = order_of(loader), order_of(loader)
    assert Counter(first) == Counter(second) == Counter(range(N))
    assert first != list(range(N)) != second != first
    assert order_of(in_order) == order_of(in_order) == list(range(N))
    assert [len(y) for _, y in loader] == [BATCH] * 5 + [3]
    assert len(loader) == 6
    assert all(type(X) is Tensor for X, _ in loader)


@every_loader
def test_the_seed_of_torch_decides_the_order(case: Case, root: Path) -> None:
    """A shuffled epoch can be repeated."""
    orders = []
    for _ in range(2):
        torch.manual_seed(3)
        orders.append(order_of(load(case, root)))
    assert orders[0] == orders[1]


@every_loader
def test_the_test_set_is_another_set(case: Case, root: Path) -> None:
    """The argument ``train`` chooses it."""
    assert len(order_of(load(case, root, train=False))) == N - 6


@every_loader
def test_values_are_rounded_once_or_those_of_torchvision(case: Case, root: Path) -> None:
    """Loaders that divide are correctly rounded; the others have the bits of torchvision's ``ToDtype``."""
    X, _ = next(iter(load(case, root, shuffle=False)))
    bytes_ = np.arange(784) % 256
    bytes_[0] = 5
    nearest = (bytes_ / 255).astype(np.float32)
    actual = X[5].flatten().numpy()
    converted = v2.ToDtype(torch.float32, scale=True)(torch.from_numpy(bytes_.astype(np.uint8)))
    np.testing.assert_array_equal(actual, nearest if case.function in DIVIDING else converted.numpy())


def test_the_v2_transforms_differ_in_126_grey_levels() -> None:
    """The figure that the docstring states."""
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    assert int((transform(image) != image.float() / 255).sum()) == 126


@every_loader
def test_a_batch_can_be_written_to_without_harm(case: Case, root: Path) -> None:
    """A training loop that normalizes in place does not spoil the next epoch."""
    loader = load(case, root, shuffle=False)
    for X, y in loader:
        X.zero_()
        y.zero_()
    assert order_of(loader) == list(range(N))


@every_loader
def test_what_a_worker_needs_can_be_sent_to_it(case: Case, root: Path) -> None:
    """Spawned workers receive the data set by pickle."""
    loader = load(case, root, workers=2)
    loader = loader.packed if isinstance(loader, concise.Unpacked) else loader
    if isinstance(loader, DataLoader):
        assert loader.persistent_workers
        pickle.dumps((loader.dataset, loader.collate_fn))
    else:
        assert case.function is scratch.in_memory


def test_all_loaders_read_the_stand_in(tmp_path: Path) -> None:
    """They read the folder that the harness prepares."""
    root = fashion_mnist.prepare("synthetic", cache=tmp_path).root
    expected = fashion_mnist.arrays(root, train=False)
    for case in CASES:
        X, y = next(iter(load(case, root, train=False, batch_size=stand_in.TEST_COUNT, shuffle=False)))
        np.testing.assert_array_equal((X.squeeze(1) * 255).round().byte().numpy(), expected[0])
        np.testing.assert_array_equal(y.numpy(), expected[1])


def test_labels_are_told_as_words() -> None:
    """They come from a tensor or a list, in the spelling of the harness."""
    assert scratch.text_labels(torch.tensor([9, 0, 0])) == ["ankle boot", "t-shirt", "t-shirt"]
    assert scratch.text_labels([1]) == ["trouser"]
    assert scratch.WORDS == fashion_mnist.CLASSES


@pytest.mark.parametrize("shape", [(5, 28, 28), (5, 1, 28, 28)])
def test_images_are_drawn_in_a_grid(shape: tuple[int, ...]) -> None:
    """Each image has its title, and unused places are empty; arrays and tensors both work."""
    images = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    with mpl.rc_context():
        plt.switch_backend("agg")
        axes = scratch.show_images(images, 2, 3, titles=list("abcde"))
    assert [ax.get_title() for ax in axes] == [*"abcde", ""]
    assert [len(ax.images) for ax in axes] == [1, 1, 1, 1, 1, 0]
    assert not any(ax.axison for ax in axes)
    np.testing.assert_array_equal(axes[4].images[0].get_array(), images[4].squeeze().numpy())
    assert tuple(axes[0].figure.get_size_inches()) == (4.5, 3)
    plt.close(axes[0].figure)


def test_a_grid_needs_no_titles() -> None:
    """A single image is a grid too."""
    with mpl.rc_context():
        plt.switch_backend("agg")
        (ax,) = scratch.show_images(np.zeros((1, 28, 28)), 1, 1)
    assert ax.get_title() == ""
    plt.close(ax.figure)
