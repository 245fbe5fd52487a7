"""The image grid: samples of the data set with their class, and the predicted class if the run has a model."""

import base64
import binascii
import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image as Picture

from harness.error import UsageError
from harness.record import DataSource, Image

from ..page_part import Part
from ..source import caveats
from ..text import count

LARGEST = 512
"""Largest height and width of an image that a page takes in."""


@dataclass(frozen=True)
class Tile:
    """One picture as a data address, its class, its prediction in words, and its text alternative."""

    address: str
    label: str
    prediction: str
    wrong: bool
    alternative: str = ""

    def __post_init__(self) -> None:
        """Return a description for a picture without one."""
        text = f"{self.label}, {self.prediction}" if self.prediction else self.label
        object.__setattr__(self, "alternative", self.alternative or text)


@dataclass(frozen=True)
class Grid(Part):
    """Samples with a caption; the heading has the caveat of the data."""

    kind = "images"

    tiles: tuple[Tile, ...]
    heading: str
    caption: str
    name: str = "image-grid"


def grid(images: Sequence[Image], source: DataSource | None) -> Grid:
    """Return the samples of a run.

    Raises
    ------
    UsageError
        If the number of pixels of an image does not match its height and width.
    """
    caveat = caveats([image.data for image in images], source)
    names = ", ".join(dict.fromkeys(image.data for image in images))
    heading = f"Samples of {names}" + (f" ({caveat})" if caveat else "")
    return Grid(tuple(map(_make_tile, images)), heading, _count_correct(images))


def _make_tile(image: Image) -> Tile:
    """Return one sample; a wrong prediction is marked in words."""
    wrong = image.predicted is not None and image.predicted != image.label
    prediction = "" if image.predicted is None else f"{'wrong: ' if wrong else ''}predicted {image.predicted}"
    encoded = base64.b64encode(png(_read_pixels(image), height=image.height, width=image.width)).decode()
    return Tile(f"data:image/png;base64,{encoded}", image.label, prediction, wrong)


def _read_pixels(image: Image) -> bytes:
    """Return the gray levels of an image, and check their number."""
    try:
        pixels = base64.b64decode(image.pixels, validate=True)
    except (binascii.Error, ValueError):
        pixels = b""
    within = 0 < image.height <= LARGEST and 0 < image.width <= LARGEST
    if not within or len(pixels) != image.height * image.width:
        raise UsageError(
            "cannot draw an image",
            rule=f"it needs `height * width` gray levels in base64, with sides of at most {LARGEST}",
            value=f"{len(pixels)} bytes for {image.height} x {image.width}",
            place=f"the image of class {image.label!r:.40}",
        )
    return pixels


def png(pixels: bytes, *, height: int, width: int, palette: tuple[bytes, bytes] | None = None) -> bytes:
    """Return a PNG file of gray levels, one byte each and row-major, or of indices into a palette.

    A palette has three bytes for each color, and an opacity.
    """
    image = Picture.frombytes("L" if palette is None else "P", (width, height), pixels)
    options = {}
    if palette is not None:
        image.putpalette(palette[0])
        options["transparency"] = palette[1]
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True, **options)
    return stream.getvalue()


def _count_correct(images: Sequence[Image]) -> str:
    """Return the number of samples and the number of correct classifications."""
    predicted = [image for image in images if image.predicted is not None]
    right = sum(image.predicted == image.label for image in predicted)
    samples = count(len(images), "sample")
    if not predicted:
        return f"{samples}; no trained model is available to classify them."
    rightly = f"{right} of {len(predicted)} classified correctly"
    return f"{samples}; {rightly}. Each image shows its class first and the prediction below."
