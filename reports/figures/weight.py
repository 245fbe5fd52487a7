"""Learned weights as images, a tile for each class: blue speaks against the class, orange for it."""

import base64
import struct
from collections.abc import Sequence

from harness.record import LEVELS, ClassWeights, DataSource

from ..number import plain
from ..source import caveats
from .image import Grid, Tile, png

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
    return Grid(tuple(map(_make_tile, selected)), heading, caption, name="weights")


def _make_tile(weights: ClassWeights) -> Tile:
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
