"""The loaders deliver each image once, whole batches and the tail, and the right values."""

import inspect
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
from harness.data import dataset, idx
from harness.data import synthetic as stand_in
from harness.data.layout import LAYOUT, NAMES

N = 43
BATCH = 8

DIVIDING = (concise.torchvision_loader, concise.tensor_dataset_loader, scratch.item_by_item)
"""The loaders whose values are byte / 255 correctly rounded."""

every_loader = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
with_and_without_workers = pytest.mark.parametrize("workers", [0, 2])
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
@with_and_without_workers
def test_each_image_is_delivered_once_an_epoch(case: Case, root: Path, workers: int) -> None:
    """Two epochs have different orders."""
    torch.manual_seed(0)
    loader = load(case, root, workers=workers)
    first, second = order_of(loader), order_of(loader)
    assert Counter(first) == Counter(range(N))
    assert Counter(second) == Counter(range(N))
    assert first != list(range(N))
    assert first != second


@every_loader
@with_and_without_workers
def test_the_order_is_that_of_the_file_unless_shuffled(case: Case, root: Path, workers: int) -> None:
    """It is the same in each epoch."""
    loader = load(case, root, workers=workers, shuffle=False)
    assert order_of(loader) == list(range(N))
    assert order_of(loader) == list(range(N))


@every_loader
def test_the_seed_of_torch_decides_the_order(case: Case, root: Path) -> None:
    """A shuffled epoch can be repeated."""
    orders = []
    for _ in range(2):
        torch.manual_seed(3)
        orders.append(order_of(load(case, root)))
    assert orders[0] == orders[1]


@every_loader
@with_and_without_workers
def test_batches_are_whole_but_for_the_tail(case: Case, root: Path, workers: int) -> None:
    """Shapes and dtypes are as declared. The last, smaller batch is delivered and counted."""
    loader = load(case, root, workers=workers)
    batches = list(loader)
    assert [len(y) for _, y in batches] == [BATCH] * 5 + [3]
    assert len(loader) == len(batches)
    for X, y in batches:
        assert type(X) is Tensor
        assert (X.dtype, X.shape[1:]) == (torch.float32, (1, 28, 28))
        assert (y.dtype, y.shape) == (torch.int64, X.shape[:1])


@every_loader
def test_the_test_set_is_another_set(case: Case, root: Path) -> None:
    """The argument ``train`` chooses it."""
    assert len(order_of(load(case, root, train=False))) == N - 6


@every_loader
def test_a_folder_may_be_named_by_a_string(case: Case, root: Path) -> None:
    """Torchvision allows it too."""
    assert order_of(load(case, str(root), shuffle=False)) == list(range(N))


@every_loader
def test_values_are_the_byte_over_255(case: Case, root: Path) -> None:
    """The error is at most 1.5 ulp.

    Loaders that divide are correctly rounded; the others have the bits of torchvision's ``ToDtype``.
    """
    X, _ = next(iter(load(case, root, shuffle=False)))
    bytes_ = np.arange(784) % 256
    bytes_[0] = 5
    exact = bytes_ / 255
    nearest = exact.astype(np.float32)
    actual = X[5].flatten().numpy()
    assert (np.abs(actual.astype(np.float64) - exact) <= 1.5 * np.spacing(nearest)).all()
    assert actual.min() == 0
    assert actual.max() == 1
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
def test_one_batch_may_hold_everything(case: Case, root: Path) -> None:
    """A batch size beyond the count gives one batch."""
    assert [len(y) for _, y in load(case, root, batch_size=1000)] == [N]


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


@every_loader
def test_every_loader_has_the_same_signature(case: Case) -> None:
    """One loader can therefore replace another."""
    names = list(inspect.signature(case.function).parameters)
    assert names == ["root", "train", "batch_size", "workers", "shuffle"]
    assert (case.contract, case.family) == ("loader", "fashion_mnist")


def test_a_loader_in_a_fresh_process_delivers_the_same(root: Path) -> None:
    """Data set and collate function reach a spawned worker unchanged."""
    loader = DataLoader(
        concise.BatchedImages(root, train=True),
        BATCH,
        collate_fn=concise.unchanged,
        num_workers=1,
        multiprocessing_context="spawn",
    )
    assert order_of(loader) == list(range(N))


def test_all_loaders_read_the_stand_in(tmp_path: Path) -> None:
    """They read the folder that the harness prepares."""
    root = dataset.prepare("synthetic", cache=tmp_path).root
    expected = dataset.arrays(root, train=False)
    for case in CASES:
        X, y = next(iter(load(case, root, train=False, batch_size=stand_in.TEST_COUNT, shuffle=False)))
        np.testing.assert_array_equal((X.squeeze(1) * 255).round().byte().numpy(), expected[0])
        np.testing.assert_array_equal(y.numpy(), expected[1])


def test_labels_are_told_as_words() -> None:
    """They come from a tensor or a list, in the spelling of the harness."""
    assert scratch.text_labels(torch.tensor([9, 0, 0])) == ["ankle boot", "t-shirt", "t-shirt"]
    assert scratch.text_labels([1]) == ["trouser"]
    assert scratch.WORDS == dataset.CLASSES


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
