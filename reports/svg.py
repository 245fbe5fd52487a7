"""A drawing as inline SVG, with reproducible bytes and the colors of the page."""

import io
import math
import re
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from html import escape
from itertools import pairwise
from typing import Any
from weakref import WeakKeyDictionary

import cloudpickle
import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.container import Container
from matplotlib.figure import Figure

from .style import GRID, INK, LINE, MUTED, PAPER, house
from .text import clean

WIDTH_IN = 3.72
"""Width of a panel in inches: 357 CSS pixels, which a phone shows without shrinking the text."""

WIDE_IN = 6.1
"""Width of a large picture in inches: half of a window of 1280 pixels; a phone shows the narrow version."""

LARGEST = 1.2
"""Maximum magnification of a drawing, at which its text has the size of the page text."""

_VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", GRID: "grid", PAPER: "paper"}
_OF = "of:"
"""Beginning of the identifier of a part that belongs to an implementation."""

_COMPACT = (
    (r' (?:d|x|y)="[^"]*"', lambda at: re.sub(r"(\d\.\d)\d+", r"\1", at[0])),
    (r' transform="rotate\(-0 [^"]*\)"', ""),
    (r'(<use [^>]*style="fill: [^;"]*); [^"]*"', r'\1"'),
    (rf'<g id="{_OF}([^"]*)">', r'<g data-of="\1">'),
    (r'<g id="[^"]*">', "<g>"),
    (r"<g(?: [^<>]*)?/>", ""),
    (r'<path d="[^"]*"( clip-path="[^"]*")? style="fill: none"/>', ""),
    (r"xlink:(?=href)", ""),
    (r" +(?=\")|(?<=\w) +(?=[LMz])|(?<=[LMCQ]) ", ""),
    (r" font-family: sans-serif;", ""),
    (r"<style[^>]*>[^<]*|<[a-z][^<>]*>", lambda at: re.sub(r"(?<=[;:]) ", "", at[0])),
    (rf' clip-path="[^"]*"( style="fill:none;stroke:{GRID}[^"]*"/>)', r"\1"),
)
"""Removed from drawings: group identifiers, empty groups, digits below a tenth of a point, and clip paths of grids."""

_IDENTIFIER = re.compile(r'(\bid="|href="#|url\(#)([^")]*)')

_SAME_STYLE = re.compile(r'<path d="[^"]*"( [^<>]*fill:none[^<>]*)/>(?:<path d="[^"]*"\1/>)+')
_MARKS = re.compile(
    r'<g( clip-path="[^"]*")?>((?:<use (?:[^<>]*? )?style="([^"]*)"/>)(?:<use [^<>]* style="\3"/>)+)</g>'
)
_D = re.compile(r'<path d="([^"]*)"')

_LINES = re.compile(r'(?<= d=")(?:M[-\d.]+ [-\d.]+(?:L[-\d.]+ [-\d.]+)+z?)+(?=")')
"""A path of straight lines only."""

_DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)
_DEFAULTS = re.compile(r'<defs><style type="text/css">(.*?)</style></defs>', re.DOTALL)
"""Default styles that matplotlib repeats in every drawing."""

_STYLED = re.compile(r'(<[a-z]+ (?:[^<>]* )?)style="([^"]*)"')


def add_tooltips(axes: Axes, points: Iterable[tuple[float, float, str]], *, case: str = "") -> None:
    """Give points of a drawing tooltips with their exact numbers.

    ``points`` has data coordinates and texts; ``case`` is the implementation that they belong to, if any.
    """
    _TOOLTIPS.setdefault(axes, []).extend((x, y, text, case) for x, y, text in points)


_TOOLTIPS: WeakKeyDictionary[Axes, list[tuple[float, float, str, str]]] = WeakKeyDictionary()


def belongs(case: str, *artists: Artist) -> None:
    """Mark parts of a drawing as an implementation's, so that the page highlights them together."""
    for artist in artists:
        artist.set_gid(f"{_OF}{case}")


def draw_svg(
    draw: Callable[[Axes], object],
    *,
    name: str,
    label: str,
    height_in: float = 2.5,
    width_in: float = WIDTH_IN,
    tells: bool = True,
) -> str:
    """Draw one set of axes as an ``<svg>`` element, and cache it, because the layers of a page share drawings."""
    return _draw(cloudpickle.dumps((draw, name, label, height_in, width_in, tells)))


@lru_cache(512)  # a page of the chapter has 60 to 100 drawings, with 10 to 60 kB each
def _draw(request: bytes) -> str:
    """Return the drawing that the arguments of :func:`draw_svg` ask for: equal bytes mean equal arguments."""
    draw, name, label, height_in, width_in, tells = cloudpickle.loads(request)
    stream = io.StringIO()
    with house(), matplotlib.rc_context({"svg.hashsalt": name}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # Names that are longer than the drawing leave no room for it: it is drawn as it comes.
        warnings.filterwarnings("ignore", message="constrained_layout not applied", category=UserWarning)
        figure = Figure(figsize=(width_in, height_in), dpi=72)
        canvas: Any = FigureCanvasSVG(figure)  # its methods have no types
        draw(figure.add_subplot())
        for axes in figure.axes:
            _mark_legend(axes)
        # Not `savefig`: that draws everything once before, for the extent of pictures in pixels.
        canvas.print_svg(stream, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    marks = "".join(_draw_marks(axes, height=72 * height_in) for axes in figure.axes) if tells else ""
    return clean(_reduce(stream.getvalue(), name=name, label=label).replace("</svg>", f"{marks}</svg>"))


def _mark_legend(axes: Axes) -> None:
    """Mark the entries of a legend as the curves that they name, each by its first part."""
    if (legend := axes.get_legend()) is not None:
        handles, _ = axes.get_legend_handles_labels()
        for handle, *entry in zip(handles, legend.legend_handles, legend.get_texts(), strict=True):
            parts = handle.get_children() if isinstance(handle, Container) else [handle]
            for artist in filter(None, entry if parts else ()):
                artist.set_gid(parts[0].get_gid())


def _draw_marks(axes: Axes, *, height: float) -> str:
    """Return invisible circles with tooltips."""
    points = [point for point in _TOOLTIPS.get(axes, ()) if math.isfinite(point[1])]
    labels = [(axes.transData.transform((x, y)), text, case) for x, y, text, case in points]
    seen = [mark for mark in labels if 0.0 <= mark[0][1] <= height]  # a curve may leave what is drawn
    circles = []
    for (x, y), text, case in seen:
        owner = f' data-of="{escape(case)}"' if case else ""
        circles.append(f'<circle cx="{x:.1f}" cy="{height - y:.1f}"{owner}><title>{escape(text)}</title></circle>')
    return f'<g class="told">{"".join(circles)}</g>' if circles else ""


def _remove_groups(body: str) -> str:
    """Omit groups without an attribute, which have no effect."""
    pieces, bare = [], []
    for piece in re.split(r"(<g>|<g [^>]*[^/]>|</g>)", body):
        if piece.startswith("<g"):
            bare.append(piece == "<g>")
        if not (piece == "<g>" or (piece == "</g>" and bare[-1])):
            pieces.append(piece)
        if piece == "</g>":
            bare.pop()
    return "".join(pieces)


def _move_style(group: re.Match[str]) -> str:
    """Move the common style of the marks of a curve to their group."""
    clip, marks, style = group.groups(default="")
    return f'<g{clip} style="{style}">' + marks.replace(f' style="{style}"', "") + "</g>"


def _shorten_lines(path: str) -> str:
    """Write the points of straight lines relative to their predecessors, in tenths, so that no rounding adds up."""
    pieces = []
    for line in path.split("M")[1:]:
        points = [[round(10 * float(number)) for number in point.split()] for point in line.rstrip("z").split("L")]
        steps = [end - begin for point, after in pairwise(points) for begin, end in zip(point, after, strict=True)]
        pieces += ["M", _join_tenths(points[0]), "l", _join_tenths(steps), "z" * line.endswith("z")]
    return "".join(pieces)


def _join_tenths(numbers: Sequence[int]) -> str:
    """Return numbers in the shortest form of a path: a minus also separates them, and no zero comes before a point."""
    texts = (f"{number / 10:g}".replace("0.", ".", 1) if abs(number) < 10 else f"{number / 10:g}" for number in numbers)
    return " ".join(texts).replace(" -", "-")


def unique_ids(svg: str, name: str) -> str:
    """Return a drawing with identifiers that depend on a name, since a page may contain it twice."""
    return _IDENTIFIER.sub(lambda at: f"{at[1]}i{zlib.crc32(f'{name}/{at[2]}'.encode(errors='replace')):x}", svg)


def _reduce(document: str, *, name: str, label: str) -> str:
    """Reduce a document to its element for a page, with text alternative, unique identifiers and page colors."""
    body = document[document.index("<svg") :].partition(">")[2]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->|\n\s*", lambda gap: "" if gap[0].startswith("<!") else " ", body, flags=re.DOTALL)
    # The page sets its fonts.
    body = re.sub(r"> <", "><", re.sub(r"'DejaVu Sans'(?:, [^;\"]*)?", "sans-serif", body))
    for pattern, short in _COMPACT:
        body = re.sub(pattern, short, body)
    # Consecutive lines of one style, such as the bars of a curve, are joined, and marks of one style share it.
    body = _SAME_STYLE.sub(lambda lines: f'<path d="{"".join(_D.findall(lines[0]))}"{lines[1]}/>', _remove_groups(body))
    body = _LINES.sub(lambda path: _shorten_lines(path[0]), _MARKS.sub(_move_style, body))
    body = unique_ids(body, name)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, f"var(--{variable})")
    width, height = re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', document)[0]
    pixels = f'width="{float(width) * 96 / 72:.0f}" height="{float(height) * 96 / 72:.0f}"'
    pixels += f' style="max-width:{LARGEST * float(width) * 96 / 72:.0f}px"'
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {pixels}'
    return f'{opening} font-family="sans-serif" role="img" aria-label="{escape(label)}">{body.strip()}'


def merge_styles(page: str) -> str:
    """Return a page in which styles that several elements share are classes in its ``<style>``."""
    drawings = _DRAWING.findall(page)
    times = Counter(style for drawing in drawings for _, style in _STYLED.findall(drawing))
    classes = {style: f"d{number}" for number, style in enumerate(style for style in times if times[style] > 1)}

    def replace_style(element: re.Match[str]) -> str:
        return f'{element[1]}class="{classes[element[2]]}"' if element[2] in classes else element[0]

    rules = dict.fromkeys(rule for drawing in drawings for rule in _DEFAULTS.findall(drawing))
    sheet = "\n".join([*rules, *(f".{name}{{{style}}}" for style, name in classes.items())])
    page = _DRAWING.sub(lambda drawing: _STYLED.sub(replace_style, _DEFAULTS.sub("", drawing[0])), page)
    return page.replace("</style>", f"{sheet}\n</style>", 1)


def shorten_ids(page: str) -> str:
    """Return a page with short identifiers in its drawings and for implementations, numbered in order of appearance."""
    names: dict[str, str] = {}

    def shorten(identifier: re.Match[str]) -> str:
        return f"{identifier[1]}_{names.setdefault(identifier[2], f'{len(names):x}')}"

    owners: dict[str, int] = {}
    page = _OWNER.sub(lambda of: f' data-of="{owners.setdefault(of[1], len(owners))}"', page)
    return _DRAWING.sub(lambda drawing: _IDENTIFIER.sub(shorten, drawing[0]), page)


_OWNER = re.compile(r' data-of="([^"]*)"')
"""The implementation that a part of the page belongs to."""
