"""Panels: one for wide and narrow windows, drawn once for each width, or small multiples.

Only the wide drawing has tooltips, which a finger on a phone cannot reach. Small multiples show a picture with many
curves as a panel for each curve, with the others in gray behind it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..figure import Panel
from ..svg import WIDE_IN, WIDTH_IN, draw_svg
from .axis import End, label_lines, legend_above


def wide_and_narrow(
    title: str,
    draw: Callable[[Axes], None],
    *,
    draw_narrow: Callable[[Axes], None] | None = None,
    name: str,
    label: str,
    height_in: float,
    narrow_height_in: float | None = None,
    wide_in: float = WIDE_IN,
) -> Panel:
    """Return a panel with a wide and a narrow drawing, which has no room next to the lines; sizes are in inches."""
    wide = draw_svg(draw, name=name, label=label, height_in=height_in, width_in=wide_in)
    narrow_in = height_in if narrow_height_in is None else narrow_height_in
    narrow = draw_svg(
        draw_narrow or draw, name=f"{name}-narrow", label=label, height_in=narrow_in, width_in=WIDTH_IN, tells=False
    )
    return Panel(title, wide, narrow=narrow)


def panels_by(
    frame: pd.DataFrame, by: str | list[str], panels: Callable[[Any, pd.DataFrame, int], Sequence[Panel]]
) -> tuple[Panel, ...]:
    """Return the panels for each group of rows, made from the key, the rows and the number of the group."""
    groups = enumerate(frame.groupby(by, sort=False))
    return tuple(panel for number, (key, group) in groups for panel in panels(key, group, number))


MAX_TOGETHER = 4
"""Most curves in one picture; readers cannot distinguish more of them."""

HEIGHT_IN = 1.9
"""Height of a panel; its heading names its curve, so it needs no legend."""

PADDING_IN = 0.07
"""Room above and below the axes."""


Drawing = Callable[..., Sequence[End]]
"""Draws curves into axes and returns their ends; with ``only``, all except the curve of this name are gray."""


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
        return [
            Panel(
                f"{curve}{ending}",
                draw_svg(
                    partial(_draw_one, draw=draw, curve=curve),
                    name=f"{name}-{number}",
                    label=f"{curve}{ending}. {label}",
                    height_in=HEIGHT_IN,
                ),
            )
            for number, curve in enumerate(separate)
        ]
    panel = wide_and_narrow(
        title,
        partial(_draw_with_ends, draw=draw, height_in=height_in),
        draw_narrow=partial(_draw_with_legend, draw=draw, columns=legend_columns),
        name=name,
        label=label,
        height_in=height_in,
        narrow_height_in=narrow_height_in,
    )
    return [panel]


def _draw_with_ends(axes: Axes, *, draw: Drawing, height_in: float) -> None:
    label_lines(axes, draw(axes), height_in=height_in)


def _draw_with_legend(axes: Axes, *, draw: Drawing, columns: int) -> None:
    draw(axes)
    legend_above(axes, columns=columns)


def _draw_one(axes: Axes, *, draw: Drawing, curve: str) -> None:
    """Draw one curve in color, with room for a label at the upper edge, whose font is larger on the page."""
    engine = axes.figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(h_pad=PADDING_IN)
    draw(axes, only=curve)
