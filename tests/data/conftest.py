"""Hides the data sets of this machine from the tests."""

from pathlib import Path

import pytest
from samples.image_files import contents

from harness.data import fashion_mnist, idx


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the environment variable and the system package."""
    monkeypatch.delenv(fashion_mnist.VARIABLE, raising=False)
    monkeypatch.setattr(fashion_mnist, "SYSTEM", tmp_path / "system")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Return a cache that does not exist yet."""
    return tmp_path / "cache"


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat the tiny set as the published one."""
    checksums = {name: idx.checksum(array) for name, array in contents().items()}
    monkeypatch.setattr(fashion_mnist, "PUBLISHED", checksums)
