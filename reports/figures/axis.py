"""Axes that figures share: logarithmic ticks with units, measured sizes, names of cases, and legends."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from ..svg import belongs
from ..text import shorten, tick

SMALLEST, LARGEST = 1e-300, 1e300
"""Beyond these a scale has no room for the next power of ten."""

MAX_TICKS = 6
"""More ticks than these, and a coarser set is taken."""


_GRIDS = [((1, 1.5, 2, 3, 4, 5, 7), 1), ((1, 2, 5), 1), ((1, 3), 1), ((1,), 1), ((1,), 2), ((1,), 3)]
"""Ticks to choose from, fine to coarse: mantissas, and every how many decades."""

LEGEND_CHARACTERS, SAMPLE_CHARACTERS = 34, 4
"""Number of characters that fit in a row above the axes, and the width of a line sample in characters."""


def logarithmic(axis: Axis, values: Sequence[float], *, text: Callable[[float], str]) -> None:
    """Scale an axis logarithmically around the positive ``values``, with ticks at 1, 2, 5 or at powers of ten."""
    seen = [value for value in values if value > 0 and math.isfinite(value)] or [1.0]
    low, high = max(min(seen) / 1.25, SMALLEST), min(max(seen) * 1.25, LARGEST)
    low, high = min(low, LARGEST / 10.0), max(high, SMALLEST * 10.0)
    if axis is axis.axes.xaxis:
        axis.axes.set(xscale="log", xlim=(low, high))
    else:
        axis.axes.set(yscale="log", ylim=(low, high))
    axis.set_major_locator(FixedLocator(ticks(low, high)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: tick(text(value))))


def ticks(low: float, high: float) -> list[float]:
    """Return at most :data:`MAX_TICKS` round numbers between two positive ones, as many as possible."""
    decades = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1)
    between: list[float] = []
    for mantissas, step in _GRIDS:
        exponents = [exponent for exponent in decades if exponent % step == 0]
        candidates = [float(f"{mantissa}e{exponent}") for exponent in exponents for mantissa in mantissas]
        between = [tick for tick in candidates if low <= tick <= high]
        if len(between) <= MAX_TICKS:
            break
    return between


def categories(axes: Axes, sizes: Sequence[int]) -> dict[int, int]:
    """Put each measured size at a separate place along x, label as many as fit, and return the places."""
    places = {size: position for position, size in enumerate(sizes)}
    shown = sizes[:: 1 + len(sizes) // 8]
    axes.set_xticks([places[size] for size in shown], [_format_size(size) for size in shown])
    axes.set_xlim(-0.4, len(sizes) - 0.6)
    return places


def legend_above(axes: Axes, *, columns: int = 2) -> None:
    """Put the legend above the axes, where it hides no data, in as many columns as fit, ``columns`` at most."""
    handles, labels = axes.get_legend_handles_labels()
    names = [_truncate(label) for label in labels]
    axes.legend(handles, names, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=_count_columns(names, columns))


class End(NamedTuple):
    """The right end of a line: its last value, name and color, and the implementation that it belongs to."""

    value: float
    name: str
    color: str
    case: str = ""


def label_lines(axes: Axes, lines: Sequence[End], *, height_in: float) -> None:
    """Name lines at their right ends, in their color and without overlaps; an infinite end has no place."""
    named = [line for line in lines if math.isfinite(line.value)]
    right = axes.get_xlim()[1]
    share = axes.transScale + axes.transLimits
    heights = [float(share.transform((right, line.value))[1]) for line in named]
    gap = 1.3 * LABEL_PT / (72 * 0.78 * height_in)
    for height, line in zip(_move_apart(heights, gap), named, strict=True):
        place: dict[str, Any] = {"xycoords": "axes fraction", "xytext": (6, 0), "textcoords": "offset points"}
        text = axes.annotate(line.name, (1, height), color=line.color, fontsize=LABEL_PT, va="center", **place)
        if line.case:
            belongs(line.case, text)


def whiskers(middle: Iterable[float], low: Iterable[float], high: Iterable[float]) -> list[list[float]]:
    """Return the lengths of the bars below and above points; an end on the wrong side of its point has no length."""
    triples = [*zip(middle, low, high, strict=True)]
    return [
        [max(point - least, 0.0) for point, least, _ in triples],
        [max(most - point, 0.0) for point, _, most in triples],
    ]


LABEL_PT = 9.4


def _move_apart(heights: Sequence[float], gap: float) -> list[float]:
    """Move heights until their distances are at least ``gap``, in their order, first down and then up."""
    order = sorted(range(len(heights)), key=lambda position: -heights[position])
    moved = list(heights)
    for above, below in pairwise(order):
        moved[below] = min(moved[below], moved[above] - gap)
    if order and moved[order[-1]] < 0.0:
        moved[order[-1]] = 0.0
        for above, below in reversed(list(pairwise(order))):
            moved[above] = max(moved[above], moved[below] + gap)
    return moved


def legend_rows(labels: Sequence[str], *, columns: int = 2) -> int:
    """Return the number of rows of such a legend, for which a drawing needs room."""
    return math.ceil(len(labels) / _count_columns([_truncate(label) for label in labels], columns))


def _truncate(label: str) -> str:
    return shorten(label, limit=LEGEND_CHARACTERS - SAMPLE_CHARACTERS)


def _count_columns(names: Sequence[str], columns: int) -> int:
    """Return the number of columns in which names fit."""
    return next((number for number in range(columns, 1, -1) if _has_room(names, number)), 1)


def _has_room(names: Sequence[str], columns: int) -> bool:
    """Whether names, filled column by column, fit next to each other with the samples of their lines."""
    rows = math.ceil(len(names) / columns)
    widths = [max(map(len, names[start : start + rows])) for start in range(0, len(names), rows)]
    return sum(widths) + SAMPLE_CHARACTERS * len(widths) <= LEGEND_CHARACTERS


def _format_size(size: int) -> str:
    """Return a size in at most four characters if it is a power of two or ten."""
    for factor, unit in [(2**20, "Mi"), (10**6, "M"), (10**3, "k")]:
        if size >= 10_000 and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def names_of(frame: pd.DataFrame) -> dict[str, str]:
    """Return the shortest unique name of every case: its style, its name without family, or its whole name.

    User code has its whole name, since its style does not describe it.
    """
    names: dict[str, tuple[str, ...]] = {}
    for case, style in frame.drop_duplicates("case")[["case", "style"]].astype(str).itertuples(index=False):
        names[case] = (case,) * 3 if style == "foreign" else (style, remove_family(case), case)
    shared = [Counter(level) for level in zip(*names.values(), strict=True)]
    return {
        case: next(name for name, counts in zip(levels, shared, strict=True) if counts[name] == 1)
        for case, levels in names.items()
    }


def remove_family(case: str) -> str:
    """Return a case without its family, if it has one."""
    return case.partition(".")[2] or case
