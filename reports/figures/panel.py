"""A panel that is read in a wide window and in a narrow one: drawn twice, each for the width that it has.

What points tell is left to the wide one: no finger meets a point on a phone.
"""

from collections.abc import Callable

from matplotlib.axes import Axes

from reports.figure import Panel
from reports.svg import WIDE_IN, WIDTH_IN, drawn


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
    """Return a panel with both drawings.

    Parameters
    ----------
    title
        As :class:`reports.figure.Panel` has it.
    draw
        Draws on the axes it is given.
    draw_narrow
        The same where there is no room beside the lines; ``draw`` when absent.
    name, label
        As :func:`reports.svg.drawn` takes them.
    height_in, narrow_height_in
        Inches; the narrow drawing is as high as the wide one when absent.
    wide_in
        Width of the wide drawing in inches.
    """
    wide = drawn(draw, name=name, label=label, height_in=height_in, width_in=wide_in)
    narrow_in = height_in if narrow_height_in is None else narrow_height_in
    narrow = drawn(
        draw_narrow or draw, name=f"{name}-narrow", label=label, height_in=narrow_in, width_in=WIDTH_IN, tells=False
    )
    return Panel(title, wide, narrow=narrow)
