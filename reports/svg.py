"""A drawing as inline SVG: the same bytes every time, following the colours of the page around it."""

import io
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from reports.style import GRID, INK, LINE, MUTED, PAPER, house
from reports.text import clean

WIDTH_IN = 3.65
"""Width of a panel, inches: 350 CSS pixels, what a phone shows without shrinking the text."""

_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", GRID: "grid", PAPER: "paper"}
_NO_METADATA: dict[str, Any] = {"Date": None, "Creator": None, "Format": None, "Type": None}


def drawn(draw: Callable[[Axes], None], *, name: str, label: str, height_in: float = 2.5) -> str:
    """Draw one set of axes and return it as an ``<svg>`` element.

    Parameters
    ----------
    draw
        Draws on the axes it is given.
    name
        Distinguishes the identifiers of this drawing from those of others on the page.
    label
        The text alternative.
    height_in
        Height, inches.
    """
    stream = io.StringIO()
    with house(), matplotlib.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure = Figure(figsize=(WIDTH_IN, height_in))
        canvas: Any = FigureCanvasSVG(figure)  # its methods have no types
        draw(figure.add_subplot())
        # Not `savefig`: that draws everything once before, for the extent of pictures in pixels.
        canvas.print_svg(stream, metadata=_NO_METADATA)
    return clean(_inlined(stream.getvalue(), name=name, label=label))


def _inlined(document: str, *, name: str, label: str) -> str:
    """Cut a document down to its element and tie it to the page: text alternative, own identifiers, page colours."""
    body = document[document.index("<svg") :].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var(--{variable}, {color})")
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', document)[0]
    pixels = f'width="{float(width) * 96 / 72:.0f}" height="{float(height) * 96 / 72:.0f}"'
    opening = f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="0 0 {width} {height}" {pixels}'
    return f'{opening} role="img" aria-label="{escape(label)}">{body.strip()}'
