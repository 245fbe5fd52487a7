"""Fashion-MNIST is found in the documented order, checked, and never replaced silently."""

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from samples.image_files import contents, lay_out

from harness.data import fashion_mnist, idx
from harness.data.idx import LAYOUT, NAMES
from harness.error import UsageError

SYSTEM = fashion_mnist.SYSTEM
pytestmark = pytest.mark.usefixtures("nowhere")
DEBIAN = pytest.mark.skipif(not SYSTEM.is_dir(), reason="Debian's package dataset-fashion-mnist is not installed")


class TestLookup:
    """The places of the data set, in their order."""

    @pytest.mark.parametrize("ending", ["", ".gz"])
    @pytest.mark.parametrize("layout", [Path(), LAYOUT])
    def test_a_named_folder_is_used_in_either_layout(
        self, tmp_path: Path, cache: Path, ending: str, layout: Path
    ) -> None:
        """The files are plain or compressed, directly in the folder or in torchvision's layout."""
        lay_out(tmp_path / "own" / layout, ending=ending)
        prepared = fashion_mnist.prepare(tmp_path / "own", cache=cache)
        assert prepared.source.origin == "folder"
        assert prepared.source.location == str(tmp_path / "own")
        for train, names in ((True, NAMES[:2]), (False, NAMES[2:])):
            for actual, name in zip(fashion_mnist.arrays(prepared.root, train=train), names, strict=True):
                np.testing.assert_array_equal(actual, contents()[name])

    def test_the_variable_names_the_folder(self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The environment variable replaces a missing argument."""
        monkeypatch.setenv("FASHION_MNIST", str(lay_out(tmp_path / "own")))
        assert fashion_mnist.prepare(cache=cache).source.location == str(tmp_path / "own")

    def test_the_argument_goes_before_the_variable(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An explicit argument takes precedence."""
        monkeypatch.setenv("FASHION_MNIST", str(tmp_path / "absent"))
        source = fashion_mnist.prepare(lay_out(tmp_path / "own"), cache=cache).source
        assert source.location == str(tmp_path / "own")

    def test_a_location_is_reported_as_it_was_named(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The report shows a folder below the home directory with `~`."""
        monkeypatch.setenv("HOME", str(tmp_path))
        lay_out(tmp_path / "own")
        assert fashion_mnist.prepare("~/own", cache=cache).source.location == "~/own"

    @pytest.mark.usefixtures("publish")
    def test_the_cache_goes_before_the_system(self, tmp_path: Path, cache: Path) -> None:
        """An unpacked data set is reused."""
        lay_out(tmp_path / "system", ending=".gz")
        assert fashion_mnist.prepare(cache=cache).source.origin == "system"
        source = fashion_mnist.prepare(cache=cache).source
        assert (source.origin, source.genuine) == ("cache", True)
        assert Path(source.location).parent == cache

    def test_another_set_in_the_cache_is_not_taken_for_the_published_one(self, tmp_path: Path, cache: Path) -> None:
        """A folder that was named once is not used by default."""
        fashion_mnist.prepare(lay_out(tmp_path / "own"), cache=cache)
        assert fashion_mnist.prepare(cache=cache).source.origin == "synthetic"

    def test_the_system_goes_before_a_download(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The network is the last resort."""
        monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda *_, **__: pytest.fail("downloaded"))
        lay_out(tmp_path / "system", ending=".gz")
        source = fashion_mnist.prepare(download=True, cache=cache).source
        assert source.origin == "system"
        assert source.location == str(tmp_path / "system")

    @pytest.mark.usefixtures("publish")
    def test_a_download_is_used_where_it_is_allowed(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Torchvision stores the files in its layout, compressed and plain."""

        def fetch(root: str, *, download: bool) -> None:
            assert download
            lay_out(Path(root) / LAYOUT)
            lay_out(Path(root) / LAYOUT, ending=".gz")

        monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fetch)
        source = fashion_mnist.prepare(download=True, cache=cache).source
        assert (source.origin, source.genuine, source.name) == ("download", True, "Fashion-MNIST")

    def test_nothing_is_downloaded_unless_it_is_allowed(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Without the option, the network is not used."""
        monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda *_, **__: pytest.fail("downloaded"))
        assert fashion_mnist.prepare(cache=cache).source.origin == "synthetic"

    def test_the_stand_in_comes_last_and_says_so(self, cache: Path) -> None:
        """The record states that the data are not Fashion-MNIST, and why."""
        source = fashion_mnist.prepare(cache=cache).source
        assert (source.name, source.origin, source.genuine) == ("synthetic stand-in", "synthetic", False)
        assert "because Fashion-MNIST was not found" in source.note

    @pytest.mark.usefixtures("publish")
    @pytest.mark.parametrize("way", ["argument", "variable"])
    def test_the_word_synthetic_forces_the_stand_in(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, way: str
    ) -> None:
        """It takes precedence over an existing data set, to reproduce its absence."""
        lay_out(tmp_path / "system")
        if way == "variable":
            monkeypatch.setenv("FASHION_MNIST", "synthetic")
        prepared = fashion_mnist.prepare("synthetic" if way == "argument" else None, cache=cache)
        assert prepared.source.origin == "synthetic"
        assert prepared.source.checksums == fashion_mnist.STAND_IN


class TestRefusal:
    """A named or found data set is used or refused, but never replaced."""

    @pytest.mark.parametrize(("make", "trouble"), [(None, "does not exist"), (Path.touch, "is a file")])
    def test_a_missing_folder_is_refused(
        self, tmp_path: Path, cache: Path, make: Callable[[Path], None] | None, trouble: str
    ) -> None:
        """The message has the folder as the user typed it."""
        own = tmp_path / "own"
        if make:
            make(own)
        with pytest.raises(UsageError, match=f"the Fashion-MNIST folder `{own}` {trouble}; name the folder"):
            fashion_mnist.prepare(own, cache=cache)

    def test_a_variable_that_names_no_folder_is_named(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The message names the variable."""
        monkeypatch.setenv("FASHION_MNIST", "absent")
        with pytest.raises(UsageError, match="the Fashion-MNIST folder `absent` does not exist in FASHION_MNIST"):
            fashion_mnist.prepare(cache=cache)

    @pytest.mark.parametrize("name", ["~nobody-of-that-name/own", "x" * 300])
    def test_an_unreadable_folder_is_refused(self, cache: Path, name: str) -> None:
        """The message contains the error of the operating system."""
        with pytest.raises(UsageError, match=r"the Fashion-MNIST folder `.*` cannot be read \("):
            fashion_mnist.prepare(name, cache=cache)

    @pytest.mark.parametrize(
        ("where", "missing"), [*(("own", [name]) for name in NAMES), ("own", NAMES), ("system", NAMES[3:])]
    )
    def test_a_folder_that_lacks_a_file_is_refused(
        self, tmp_path: Path, cache: Path, where: str, missing: list[str]
    ) -> None:
        """The message names only the missing files. A partial installation is not treated as absent."""
        folder = lay_out(tmp_path / where)
        for name in missing:
            (folder / name).unlink()
        with pytest.raises(UsageError, match=f"Fashion-MNIST are missing in `{folder}`: {', '.join(missing)}: "):
            fashion_mnist.prepare(folder if where == "own" else None, cache=cache)

    @pytest.mark.parametrize("damaged", NAMES)
    @pytest.mark.parametrize("where", ["own", "system"])
    def test_a_damaged_file_is_refused(self, tmp_path: Path, cache: Path, damaged: str, where: str) -> None:
        """The system's folder is checked too, and the cache stays empty."""
        folder = lay_out(tmp_path / where, ending=".gz")
        file = folder / f"{damaged}.gz"
        file.write_bytes(file.read_bytes()[:-9])
        with pytest.raises(UsageError, match=rf"damaged gzip file `{file}`: .*; download or unpack it again"):
            fashion_mnist.prepare(folder if where == "own" else None, cache=cache)
        assert not cache.exists()

    @pytest.mark.parametrize("shape", [(0, 28, 28), (12, 32, 32)])
    def test_images_of_another_data_set_are_refused(
        self, tmp_path: Path, cache: Path, shape: tuple[int, int, int]
    ) -> None:
        """A valid IDX file need not be Fashion-MNIST."""
        own = lay_out(tmp_path / "own")
        idx.write(own / NAMES[0], np.zeros(shape, dtype=np.uint8))
        idx.write(own / NAMES[1], np.zeros(shape[0], dtype=np.uint8))
        with pytest.raises(UsageError, match=f"28 x 28 pixels, got {shape[0]} images of {shape[1]} x"):
            fashion_mnist.prepare(own, cache=cache)

    def test_a_file_that_changed_since_it_was_seen_is_checked_again(self, tmp_path: Path, cache: Path) -> None:
        """An earlier check of the folder is not enough."""
        own = lay_out(tmp_path / "own")
        fashion_mnist.prepare(own, cache=cache)
        with (own / NAMES[0]).open("ab") as stream:
            stream.write(b"!")
        with pytest.raises(UsageError, match="got more bytes"):
            fashion_mnist.prepare(own, cache=cache)

    @pytest.mark.parametrize("error", [RuntimeError("Error downloading\nTried"), OSError("no route")])
    def test_a_failed_download_is_one_line(
        self, cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        """There is no fallback to the stand-in."""

        def fail(*_: object, **__: object) -> None:
            raise error

        monkeypatch.setattr(torchvision.datasets, "FashionMNIST", fail)
        with pytest.raises(UsageError) as caught:
            fashion_mnist.prepare(download=True, cache=cache)
        assert "cannot download Fashion-MNIST: " in str(caught.value)
        assert "\n" not in str(caught.value)
        assert list(cache.iterdir()) == []

    def test_a_download_of_other_files_is_refused(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The checksums decide, because the connection is not encrypted."""
        monkeypatch.setattr(torchvision.datasets, "FashionMNIST", lambda root, **_: lay_out(Path(root) / LAYOUT))
        with pytest.raises(
            UsageError, match=f"the checksums of downloaded files are wrong: {', '.join(NAMES)}; download them again"
        ):
            fashion_mnist.prepare(download=True, cache=cache)

    def test_a_cache_that_cannot_be_written_is_named(self, tmp_path: Path) -> None:
        """A file may be in its place, for example."""
        (tmp_path / "cache").touch()
        with pytest.raises(
            UsageError, match=rf"cannot write the data cache `{tmp_path / 'cache'}`: .*; free some space"
        ):
            fashion_mnist.prepare("synthetic", cache=tmp_path / "cache")


class TestSource:
    """The description of the data in the report."""

    def test_checksums_are_those_of_the_uncompressed_files(self, tmp_path: Path, cache: Path) -> None:
        """``sha256sum`` gives the same checksums."""
        prepared = fashion_mnist.prepare(lay_out(tmp_path / "own", ending=".gz"), cache=cache)
        for name in NAMES:
            content = (prepared.root / LAYOUT / name).read_bytes()
            assert prepared.source.checksums[name] == hashlib.sha256(content).hexdigest()

    def test_other_files_are_not_called_fashion_mnist(self, tmp_path: Path, cache: Path) -> None:
        """Only the published files have this name."""
        source = fashion_mnist.prepare(lay_out(tmp_path / "own"), cache=cache).source
        assert not source.genuine
        assert source.name == "data in Fashion-MNIST's format"
        assert "differ from the published ones" in source.note

    def test_a_copy_of_the_stand_in_is_recognised(self, tmp_path: Path, cache: Path) -> None:
        """A copy is still labeled as stand-in."""
        root = fashion_mnist.prepare("synthetic", cache=cache).root
        source = fashion_mnist.prepare(root, cache=tmp_path / "other").source
        assert (source.name, source.origin, source.genuine) == ("synthetic stand-in", "folder", False)

    def test_the_classes_are_torchvisions(self) -> None:
        """The spelling is the book's."""
        theirs = [name.lower() for name in torchvision.datasets.FashionMNIST.classes]
        assert list(fashion_mnist.CLASSES) == ["t-shirt" if name == "t-shirt/top" else name for name in theirs]


@DEBIAN
class TestPublished:
    """The published files in Debian's package."""

    def test_debians_files_are_the_published_ones(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The constants agree with the files of the package."""
        monkeypatch.setattr(fashion_mnist, "SYSTEM", SYSTEM)
        prepared = fashion_mnist.prepare(cache=cache)
        assert (prepared.source.origin, prepared.source.genuine) == ("system", True)
        assert prepared.source.checksums == fashion_mnist.PUBLISHED
        assert fashion_mnist.arrays(prepared.root, train=True)[0].shape == (60_000, 28, 28)

    @pytest.mark.parametrize(("name", "md5"), torchvision.datasets.FashionMNIST.resources)
    def test_debians_files_are_torchvisions_but_for_the_gzip_header(self, name: str, md5: str) -> None:
        """With the original name and time in the header, each .gz file has the checksum that torchvision publishes."""
        packed = (SYSTEM / name).read_bytes()
        time = 1504176606 if name.startswith("train") else 1504176627
        with_name, unix = 8, 3
        header = b"\x1f\x8b\x08" + struct.pack("<BIBB", with_name, time, 0, unix)
        original = header + name.removesuffix(".gz").encode() + b"\0" + packed[10:]
        assert packed[3] == 0, "Debian's header names no file"
        assert hashlib.md5(original, usedforsecurity=False).hexdigest() == md5
