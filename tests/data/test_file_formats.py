"""Data sets of files: real files of each format, written once from the images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from harness.data import fashion_mnist, file_formats

COUNT = 30
LOSSLESS = ("text lines", "line stream", "parquet", "mapped array")


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache with the images from which all files are written."""
    cache = tmp_path_factory.mktemp("images") / "data"
    fashion_mnist.prepare(fashion_mnist.SYNTHETIC, cache=cache)
    return cache


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stand_in: Path) -> Any:
    """Write a few images into a temporary folder, next to a cache of images, and return images and labels."""
    monkeypatch.chdir(tmp_path)
    fashion_mnist.CACHE.mkdir(parents=True)
    for there in stand_in.iterdir():
        (fashion_mnist.CACHE / there.name).symlink_to(there)
    monkeypatch.setattr(file_formats, "COUNT", COUNT)
    monkeypatch.setattr(file_formats, "WAIT_S", 1e-4)
    monkeypatch.setenv(fashion_mnist.VARIABLE, fashion_mnist.SYNTHETIC)
    images, labels = fashion_mnist.arrays(fashion_mnist.prepare().root, train=False)
    return images[:COUNT], labels[:COUNT].tolist()


@pytest.mark.parametrize("name", file_formats.SETS)
def test_samples_are_the_images_that_were_written(name: str, written: Any) -> None:
    """Every image occurs once with its label, exact if the format is, with and without workers."""
    images, labels = written
    samples = file_formats.SETS[name]()
    assert len(samples) == COUNT  # type: ignore[arg-type]
    for workers in (0, 2):
        more: dict[str, Any] = {"multiprocessing_context": "fork"} if workers else {}
        batches = list(DataLoader(samples, 8, num_workers=workers, **more))
        pixels, classes = (torch.cat(parts) for parts in zip(*batches, strict=True))
        assert sorted(classes.tolist()) == sorted(labels)
        assert 0.0 <= float(pixels.min()) < float(pixels.max()) <= 1.0
        if name in LOSSLESS:
            grey = (pixels[:, 0] * 255).round().to(torch.uint8).numpy()
            delivered = sorted((image.tobytes(), label) for image, label in zip(grey, classes.tolist(), strict=True))
            assert delivered == sorted((image.tobytes(), label) for image, label in zip(images, labels, strict=True))
        else:
            assert pixels.shape == (COUNT, 3, 64, 64)


def test_pictures_are_augmented_where_they_are_to_be(written: Any) -> None:
    """A JPEG file gives another picture each time, a PNG file the same picture."""
    jpegs, pngs = file_formats.SETS["jpeg files"](), file_formats.SETS["png files"]()
    assert not torch.equal(jpegs[3][0], jpegs[3][0])
    assert torch.equal(pngs[3][0], pngs[3][0])
    assert np.array_equal(sorted(written[1]), sorted(pngs[index][1] for index in range(COUNT)))


def test_files_are_written_once_and_whole(written: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Existing files are not written again, and an interrupted write leaves no file that looks complete."""
    assert written
    folder = file_formats.SETS["parquet"]().path.parent  # type: ignore[attr-defined]
    before = (folder / "images.parquet").stat().st_mtime_ns
    file_formats.SETS["parquet"]()
    assert (folder / "images.parquet").stat().st_mtime_ns == before

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(file_formats, "_lines", interrupted)
    with pytest.raises(KeyboardInterrupt):
        file_formats.SETS["text lines"]()
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]
