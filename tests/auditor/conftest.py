"""A fixture for tests of audits: a file with steps."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def train(workplace: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Write the steps of a test module to a file, and forget its module afterwards."""
    file = workplace / "train.py"
    file.write_text(request.module.TRAIN, encoding="utf-8")
    yield file
    sys.modules.pop("train", None)
