"""The pictures of the course pages show what the exercises compute today."""

from pathlib import Path
from typing import Any

import pytest
from samples.course_pictures import FOLDER, PICTURES, data_of, draw, draw_images, short

from harness.data.fashion_mnist import SYSTEM


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_shows_the_result_of_its_code(name: str) -> None:
    """``python -m samples.course_pictures`` in the folder ``tests`` draws it again."""
    run, _ = PICTURES[name]
    assert alike(data_of(FOLDER / f"{name}.svg"), short(run()))


def alike(one: Any, other: Any) -> bool:
    """Return whether data is equal but for rounding, which depends on the processor."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == other or one == pytest.approx(other, rel=2e-3, abs=1e-6))


def test_a_drawing_contains_its_data(tmp_path: Path) -> None:
    """The file is small and has text as text."""
    file = tmp_path / "formats.svg"
    draw("formats", file)
    assert data_of(file)["float16"] == [-17.33, 11.09]
    assert "exp(50)" in file.read_text(encoding="utf-8")


def test_all_pictures_are_drawn_by_the_program() -> None:
    """There is none without a program, except the page with the slider."""
    assert {file.name for file in FOLDER.iterdir()} == {
        *(f"{name}.svg" for name in PICTURES),
        "images.png",
        "likelihood.html",
    }


@pytest.mark.skipif(not SYSTEM.is_dir(), reason="the package dataset-fashion-mnist is not installed")
def test_the_images_are_those_of_the_training_set(tmp_path: Path) -> None:
    """The first image of each class."""
    from PIL import Image

    draw_images(tmp_path / "images.png")
    with Image.open(tmp_path / "images.png") as drawn, Image.open(FOLDER / "images.png") as kept:
        assert drawn.tobytes() == kept.tobytes()
