"""The picture of the README shows what the report says today."""

from pathlib import Path

import pytest
from samples.readme_picture import PICTURE, page, shown, words


@pytest.fixture(scope="module")
def today(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Check and survey the textbook softmax, and return the page of its report."""
    return page(tmp_path_factory.mktemp("picture") / "work", python)


def test_the_picture_has_the_words_of_the_page(today: Path) -> None:
    """Otherwise draw it again with ``python -m samples.readme_picture`` in the folder ``tests``."""
    assert shown() == words(today)


def test_the_words_are_those_of_the_first_screen(today: Path) -> None:
    """They have the finding and the titles of the pictures, but not the machine."""
    said = words(today)
    assert "exp overflows at 88.72283935546875 in float32" in said
    assert "softmax returns NaN from t = 88.72 on" in said
    assert "no accelerator" not in said


def test_the_picture_is_small() -> None:
    """A visitor loads it with the first page."""
    assert PICTURE.stat().st_size < 200_000
