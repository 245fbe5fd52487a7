"""Kinds of charts: curves and bars of implementations, for wide and narrow windows, and small multiples.

Only a wide drawing has tooltips, which a finger on a phone cannot reach. Small multiples show a picture with many
curves as a panel for each curve, with the others in gray behind it.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..page_part import Panel
from ..style import LINE, dashes_of, pen
from ..svg import WIDE_IN, WIDTH_IN, add_tooltips, belongs, draw_svg
from .axis import End, label_lines, legend_above

MAX_TOGETHER = 4
"""Most curves in one picture; readers cannot distinguish more of them."""

Points = Sequence[float] | pd.Series

Drawing = Callable[..., Sequence[End]]
"""Draws curves into axes and returns their ends; with ``only``, all except the curve of this name are gray."""


class Curves:
    """Draws the curves of a frame; ``only`` is the name of the curve that is not gray, or empty.

    Attributes
    ----------
    ends
        The right ends of the curves with color.
    """

    def __init__(self, axes: Axes, frame: pd.DataFrame, *, only: str = "") -> None:
        self._axes, self._only, self._dashes = axes, only, dashes_of(frame)
        self.ends: list[End] = []

    def add(
        self,
        name: str,
        rows: pd.DataFrame,
        x: Points,
        y: Points,
        *,
        tooltips: Iterable[tuple[float, float, str]] = (),
        end: str = "",
        bars: Sequence[Sequence[float]] | None = None,
        drawstyle: str = "default",
        hollow: bool = False,
        **look: Any,
    ) -> None:
        """Draw the curve of the implementation that ``rows`` are about; ``end`` is a shorter name for its end."""
        case, style = str(rows["case"].iloc[0]), str(rows["style"].iloc[0])
        if self._only not in {"", name}:
            gray = self._axes.plot(x, y, "-", drawstyle=drawstyle, color=LINE, linewidth=0.8, zorder=0.5)
            belongs(case, *gray)
            return
        face = {"markerfacecolor": pen(style).face} if hollow else {}
        look = {"label": name, "linestyle": next(self._dashes[style]), **pen(style)._asdict(), **face, **look}
        if bars is None:
            belongs(case, *self._axes.plot(x, y, drawstyle=drawstyle, **look))
        else:
            belongs(case, *self._axes.errorbar(x, y, yerr=bars, **look).get_children())
        add_tooltips(self._axes, tooltips, case=case)
        self.ends.append(End(float([*y][-1]), end or name, look["color"], case))


def name_rows(axes: Axes, names: Sequence[str], *, cases: Sequence[str] = (), **settings: Any) -> None:
    """Name the rows of a drawing from top to bottom, after the implementations in ``cases`` if given."""
    axes.set_yticks(range(len(names)), names)
    for case, text in zip(cases, axes.get_yticklabels(), strict=False):
        belongs(case, text)
    axes.set(**{"ylim": (len(names) - 0.4, -0.6)} | settings)
    axes.grid(visible=False, axis="y")


def stack_bars(axes: Axes, frame: pd.DataFrame, part: str, values: pd.Series, *, colors: dict[str, str]) -> list[str]:
    """Draw a bar for each case, with its parts end to end in the order of their colors; return the cases."""
    table = frame.assign(length=values).pivot_table("length", "case", part, aggfunc="first", sort=False)
    start = pd.Series(0.0, index=list(dict.fromkeys(frame["case"])))
    for name in filter(table.columns.__contains__, colors):
        lengths = table[name].reindex(start.index).fillna(0.0)
        places = [position for position, length in enumerate(lengths) if length > 0]
        left, widths = start.iloc[places], lengths.iloc[places]
        axes.barh(places, widths, left=left, color=colors[name], height=0.62, label=name)
        start = start + lengths
    return list(start.index)


def draw_panel(title: str, draw: Callable[[Axes], object], **options: Any) -> Panel:
    """Return a panel with a single drawing, for the options of :func:`reports.svg.draw_svg`."""
    return Panel(title, draw_svg(draw, **options))


def wide_and_narrow(
    title: str,
    draw: Callable[[Axes], object],
    *,
    draw_narrow: Callable[[Axes], object] | None = None,
    name: str,
    label: str,
    height_in: float,
    narrow_height_in: float | None = None,
    wide_in: float = WIDE_IN,
) -> Panel:
    """Return a panel with a wide and a narrow drawing, which has no room next to the lines; sizes are in inches."""
    wide = draw_svg(draw, name=name, label=label, height_in=height_in, width_in=wide_in)
    narrow: dict[str, Any] = {"height_in": narrow_height_in or height_in, "width_in": WIDTH_IN, "tells": False}
    return Panel(title, wide, narrow=draw_svg(draw_narrow or draw, name=f"{name}-narrow", label=label, **narrow))


def panels_by(
    frame: pd.DataFrame, by: str | list[str], panels: Callable[[Any, pd.DataFrame, int], Sequence[Panel]]
) -> tuple[Panel, ...]:
    """Return the panels for each group of rows, made from the key, the rows and the number of the group."""
    groups = enumerate(frame.groupby(by, sort=False))
    return tuple(panel for number, (key, group) in groups for panel in panels(key, group, number))


def curve_panels(
    title: str,
    draw: Drawing,
    *,
    name: str,
    label: str,
    height_in: float,
    narrow_height_in: float | None = None,
    legend_columns: int = 2,
    separate: Sequence[str] = (),
    ending: str = "",
) -> list[Panel]:
    """Return a panel whose curves have names at their ends, or above the axes in a narrow window.

    The curves named in ``separate`` have a panel each if there are many of them; ``ending`` follows their names.
    """
    if len(separate) > MAX_TOGETHER:
        panels = []
        for number, curve in enumerate(separate):
            draw_one, text = partial(_draw_one, draw=draw, curve=curve), f"{curve}{ending}. {label}"
            panels.append(draw_panel(f"{curve}{ending}", draw_one, name=f"{name}-{number}", label=text, height_in=1.9))
        return panels
    return [
        wide_and_narrow(
            title,
            lambda axes: label_lines(axes, draw(axes), height_in=height_in),
            draw_narrow=partial(_draw_with_legend, draw=draw, columns=legend_columns),
            name=name,
            label=label,
            height_in=height_in,
            narrow_height_in=narrow_height_in,
        )
    ]


def _draw_with_legend(axes: Axes, *, draw: Drawing, columns: int) -> None:
    draw(axes)
    legend_above(axes, columns=columns)


def _draw_one(axes: Axes, *, draw: Drawing, curve: str) -> None:
    """Draw one curve in color, with room for a label at the upper edge, whose font is larger on the page."""
    engine = axes.figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(h_pad=0.07)
    draw(axes, only=curve)
