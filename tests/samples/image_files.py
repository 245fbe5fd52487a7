"""A tiny set of images in the four files of Fashion-MNIST."""

from pathlib import Path

import pytest

from harness.data import idx
from harness.data import synthetic as stand_in
from harness.data.idx import NAMES


def contents() -> dict[str, idx.Bytes]:
    """Return a tiny set of four files: 12 images to train, 5 to test."""
    images, labels = stand_in.images_and_labels(17)
    return dict(zip(NAMES, (images[:12], labels[:12], images[12:], labels[12:]), strict=True))


def lay_out(folder: Path, *, ending: str = "") -> Path:
    """Write the tiny set to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in contents().items():
        idx.write(folder / f"{name}{ending}", array)
    return folder


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every further reading of a file's content fail."""
    monkeypatch.setattr(idx, "read_pair", lambda *_: pytest.fail("a file was read again"))
