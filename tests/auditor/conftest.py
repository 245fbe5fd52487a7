"""A fixture for tests of audits: a file with steps."""

from pathlib import Path

import pytest


@pytest.fixture
def train(workplace: Path, request: pytest.FixtureRequest) -> Path:
    """Write the steps of a test module to a file."""
    file = workplace / "train.py"
    file.write_text(request.module.TRAIN, encoding="utf-8")
    return file
