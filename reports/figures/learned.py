"""Results of training: the fitted line, samples with their predicted class, and weights as images."""

import base64
import binascii
import io
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes
from PIL import Image as Picture

from harness.error import UsageError
from harness.record import LEVELS, ClassWeights, DataSource, FitData, Image
from harness.wording.number import plain

from ..page_part import Figure, Panel, Part
from ..source import caveats
from ..style import PENS
from ..svg import add_tooltips
from ..text import count
from .chart import draw_panel


def fit(data: FitData, estimates: pd.DataFrame) -> Figure | None:
    """Return a panel for each input of the model that was trained first; ``None`` if its parameters are unknown.

    Notes
    -----
    The vertical axis is the partial residual: the target without the contributions of the other inputs and the bias.
    The learned line then has the slope of the weight.
    """
    number = len(data.inputs[0]) if data.inputs else 0
    names = [*(f"w[{index}]" for index in range(number)), "b"]
    for case, group in estimates.groupby("case", sort=False):
        learned = dict(zip(group["parameter"], group["learned"], strict=True))
        if number and set(names) <= set(learned):
            return _build_figure(str(case), data, [float(learned[name]) for name in names])
    return None


def _build_figure(case: str, data: FitData, parameters: Sequence[float]) -> Figure | None:
    *weights, bias = parameters
    pairs = zip(data.inputs, data.targets, strict=True)
    rows = [(x, y) for x, y in pairs if all(abs(number) < 1e100 for number in (*x, y, *parameters))]
    if not rows:
        return None
    data = data.model_copy(update={"inputs": tuple(x for x, _ in rows), "targets": tuple(y for _, y in rows)})
    panels = [_build_panel(data, weights, bias, index) for index in range(len(weights))]
    errors = [target - bias - _dot(weights, row) for row, target in zip(data.inputs, data.targets, strict=True)]
    spread = (sum(error * error for error in errors) / len(errors)) ** 0.5
    slopes = " and ".join(plain(weight, digits=5) for weight in weights)
    caption = (
        f"{case} on {data.data}: {count(len(errors), 'sample')}, minus the contribution of the other inputs and of the "
        f"bias {plain(bias, digits=5)}. The line has the learned slope ({slopes}). The root mean square distance of "
        f"the samples from it is {plain(spread)}."
    )
    return Figure("fit", "Samples and fitted line", tuple(panels), caption, ("estimates",), columns=2)


def _build_panel(data: FitData, weights: Sequence[float], bias: float, at: int) -> Panel:
    samples = zip(data.inputs, data.targets, strict=True)
    pairs = [(row[at], target - bias - _dot(weights, row) + weights[at] * row[at]) for row, target in samples]
    title = f"input {at + 1}: slope {plain(weights[at], digits=5)}"

    def draw(axes: Axes) -> None:
        xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
        axes.plot(xs, ys, "o", color=PENS["concise"].color, markersize=3.4, alpha=0.7)
        ends = [min(xs), max(xs)]
        axes.plot(ends, [weights[at] * x for x in ends], color=PENS["scratch"].color, linewidth=1.6)
        add_tooltips(axes, [(x, y, f"x = {x!r}: {y!r}; fitted line: {weights[at] * x!r}") for x, y in pairs[::3]])
        axes.set(xlabel=f"input {at + 1}", ylabel="partial residual of y")

    return draw_panel(title, draw, name=f"fit-{at}", label=f"Samples and the learned line of {title}.", height_in=2.6)


def _dot(weights: Sequence[float], row: Sequence[float]) -> float:
    return sum(weight * x for weight, x in zip(weights, row, strict=True))


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


FOR, AGAINST = (0xD5, 0x5E, 0x00), (0x00, 0x72, 0xB2)
"""Colors of the largest weights; smaller ones are the more transparent, so that the paper is zero."""

STEPS = 15
"""Number of colors on either side; more would be indistinguishable and larger."""


def weight_grid(weights: Sequence[ClassWeights], source: DataSource | None) -> Grid:
    """Return the weights of the first trained model.

    ``weights`` has every model and class, and at least one.
    """
    first = weights[0]
    selected = [row for row in weights if row.case == first.case]
    caveat = caveats([first.data], source)
    heading = f"Weights learned by {first.case}" + (f" ({caveat})" if caveat else "")
    largest = plain(first.largest)
    caption = f"One weight per pixel: orange supports the class, blue opposes it; full colors are {largest}."
    return Grid(tuple(map(_make_weight_tile, selected)), heading, caption, name="weights")


def _make_weight_tile(weights: ClassWeights) -> Tile:
    steps = bytes(STEPS + round(STEPS * level / LEVELS) for level in weights.integer_levels)
    file = png(steps, height=weights.height, width=weights.width, palette=_make_palette())
    strongest = max(weights.weights, key=abs)
    alternative = f"weights of {weights.label}, the strongest {plain(strongest)}"
    address = f"data:image/png;base64,{base64.b64encode(file).decode()}"
    return Tile(address, weights.label, "", wrong=False, alternative=alternative)


def _make_palette() -> tuple[bytes, bytes]:
    """Return the colors and their opacities."""
    places = range(-STEPS, STEPS + 1)
    colors = b"".join(struct.pack("BBB", *(FOR if position > 0 else AGAINST)) for position in places)
    return colors, bytes(round(255 * abs(position) / STEPS) for position in places)
