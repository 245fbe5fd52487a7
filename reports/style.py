"""The house style of figures: a color per style of case, the Okabe-Ito palette, and the style sheet of the figures.

Vermilion, blue and green have a contrast of at least 3 to 1 on the light and on the dark page. They remain distinct for
the common kinds of color blindness. Markers and line widths also differ, so no figure relies on colors alone.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import matplotlib.style
import pandas as pd

INK, MUTED, LINE, GRID, PAPER = "#1f2328", "#59636e", "#8c959f", "#e3e7eb", "#fefefe"
"""Greys of the sheet; the page replaces each by its own (see :mod:`reports.svg`)."""

BROKEN = "#b3261e"
"""Of what breaks."""


class Pen(NamedTuple):
    """Line and marker for one style of case.

    Scratch is broad with open circles and lies below. Concise is narrow with small squares and lies on top. Both are
    visible if they coincide.
    """

    color: str
    marker: str
    linewidth: float
    markersize: float
    zorder: float

    @property
    def face(self) -> str:
        """Color inside of a marker, so that circles do not hide other marks."""
        return "none" if self.marker == "o" else self.color


PENS = {
    "scratch": Pen("#d55e00", "o", 2.2, 5.4, 2.0),
    "concise": Pen("#0072b2", "s", 1.2, 3.0, 3.0),
    "foreign": Pen("#009e73", "^", 1.6, 4.6, 2.5),
}
"""Pens by style, identical in every figure."""

DASHES = ("-", "--", ":", "-.")
"""Line styles for several cases with the same style."""


def pen(style: str) -> Pen:
    """Return the pen of a style; an unknown style is drawn as foreign."""
    return PENS.get(style, PENS["foreign"])


def dashes_of(frame: pd.DataFrame) -> dict[str, Iterator[str]]:
    """Return the line styles of the cases for each style in a frame, in order."""
    return {str(style): cycle(DASHES) for style in frame["style"].unique()}


@contextmanager
def house() -> Iterator[None]:
    """Draw under the house style, with the defaults of matplotlib and without the user's configuration."""
    with matplotlib.style.context(["default", str(Path(__file__).with_name("house.mplstyle"))]):
        yield
