"""The cache of data sets unpacks a data set once and checks it by size and time."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from samples.image_files import contents, forbid_reading, lay_out

from harness.data import fashion_mnist, idx
from harness.data import synthetic as stand_in
from harness.data.idx import LAYOUT, NAMES
from harness.error import UsageError

pytestmark = pytest.mark.usefixtures("nowhere")


def test_torchvision_reads_the_root(tmp_path: Path, cache: Path) -> None:
    """The root is in torchvision's layout."""
    root = fashion_mnist.prepare(lay_out(tmp_path / "own", ending=".gz"), cache=cache).root
    assert root.is_absolute()
    read = torchvision.datasets.FashionMNIST(root, train=False)
    assert torch.equal(read.data, torch.from_numpy(contents()[NAMES[2]]))


def test_the_second_call_reads_no_content(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes and times suffice, for the folder and for the cache."""
    own = lay_out(tmp_path / "own", ending=".gz")
    first = fashion_mnist.prepare(own, cache=cache)
    forbid_reading(monkeypatch)
    assert fashion_mnist.prepare(own, cache=cache) == first


def test_the_same_content_is_unpacked_once(tmp_path: Path, cache: Path) -> None:
    """The name of its folder consists of the checksums."""
    plain = fashion_mnist.prepare(lay_out(tmp_path / "plain"), cache=cache)
    packed = fashion_mnist.prepare(lay_out(tmp_path / "packed", ending=".gz"), cache=cache)
    assert plain.root == packed.root


def test_the_stand_in_is_made_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache treats it like any other data set."""
    first = fashion_mnist.prepare("synthetic", cache=cache)
    monkeypatch.setattr(stand_in, "images_and_labels", lambda *_: pytest.fail("made again"))
    assert fashion_mnist.prepare("synthetic", cache=cache) == first


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\1"),
        Path.unlink,
        lambda file: shutil.rmtree(file.parent),
    ],
    ids=["truncated", "altered", "deleted", "emptied"],
)
def test_a_damaged_cache_is_repaired(tmp_path: Path, cache: Path, damage: Callable[[Path], object]) -> None:
    """The data set is unpacked again from its source."""
    own = lay_out(tmp_path / "own")
    root = fashion_mnist.prepare(own, cache=cache).root
    file = root / LAYOUT / NAMES[2]
    damage(file)
    if file.exists():
        os.utime(file, ns=(0, 0))  # the clock of a file system may be too coarse to distinguish both writes
    assert fashion_mnist.prepare(own, cache=cache).root == root
    np.testing.assert_array_equal(fashion_mnist.arrays(root, train=False)[0], contents()[NAMES[2]])


@pytest.mark.usefixtures("publish")
def test_a_damaged_cache_without_a_source_is_reported(tmp_path: Path, cache: Path) -> None:
    """The note of the stand-in has the reason."""
    system = lay_out(tmp_path / "system")
    root = fashion_mnist.prepare(cache=cache).root
    shutil.rmtree(system)
    (root / LAYOUT / NAMES[0]).write_bytes(b"damaged")
    source = fashion_mnist.prepare(cache=cache).source
    assert source.origin == "synthetic"
    assert "its copy in the cache is damaged" in source.note


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', "\x00"])
def test_an_unreadable_memory_file_is_replaced(tmp_path: Path, cache: Path, content: str) -> None:
    """The file only saves time."""
    own = lay_out(tmp_path / "own")
    first = fashion_mnist.prepare(own, cache=cache)
    (cache / "seen.json").write_text(content)
    assert fashion_mnist.prepare(own, cache=cache) == first


def test_an_interrupted_unpacking_leaves_no_set(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either all four files exist, or none."""

    def interrupt(file: Path, array: idx.Bytes) -> None:
        if file.name == NAMES[3]:
            raise KeyboardInterrupt
        file.write_bytes(array.tobytes())

    own = lay_out(tmp_path / "own")
    monkeypatch.setattr(idx, "write", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fashion_mnist.prepare(own, cache=cache)
    assert [entry.name for entry in cache.iterdir()] == ["seen.json"]


def test_a_full_disk_is_reported(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is a plain message without a traceback."""

    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device")

    own = lay_out(tmp_path / "own")
    monkeypatch.setattr(idx, "write", fill)
    with pytest.raises(UsageError, match=r"cannot write the data cache `.*`: No space left on device; free some space"):
        fashion_mnist.prepare(own, cache=cache)


def test_a_quicker_process_wins(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs that unpack the same set do not disturb each other."""
    own = lay_out(tmp_path / "own")
    rename = Path.rename

    def late(self: Path, target: Path) -> Path:
        if self.name == "set":
            shutil.copytree(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", late)
    root = fashion_mnist.prepare(own, cache=cache).root
    np.testing.assert_array_equal(fashion_mnist.arrays(root, train=True)[1], contents()[NAMES[1]])


def test_missing_arrays_are_named(tmp_path: Path) -> None:
    """For an invalid root, the message names the missing file."""
    with pytest.raises(UsageError, match=f"cannot read `.*{NAMES[2]}`: No such file or directory"):
        fashion_mnist.arrays(tmp_path, train=False)
