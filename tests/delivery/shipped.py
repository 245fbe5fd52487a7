"""The shipped loaders as factories: 41 images are checked with the same laws as any loader."""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cases.fashion_mnist import CASES
from harness.data import idx

N = 41


@cache
def folder() -> Path:
    """Return a folder with all images in IDX files, no two the same; it is removed at exit."""
    kept = tempfile.TemporaryDirectory(prefix="harness-shipped-")
    _KEPT.append(kept)
    raw = Path(kept.name, "FashionMNIST", "raw")
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(N, 28, 28), dtype=np.uint8)
    for split in ("train", "t10k"):
        idx.write(raw / f"{split}-images-idx3-ubyte", images)
        idx.write(raw / f"{split}-labels-idx1-ubyte", np.arange(N, dtype=np.uint8) % 10)
    return Path(kept.name)


_KEPT: list[Any] = []


def _factory(function: Callable[..., Any]) -> Callable[..., Any]:
    def make(batch_size: int, num_workers: int = 0, shuffle: bool = False) -> Any:
        return function(folder(), train=True, batch_size=batch_size, workers=num_workers, shuffle=shuffle)

    make.__name__ = function.__name__
    return make


SHIPPED = [_factory(case.function) for case in CASES]
