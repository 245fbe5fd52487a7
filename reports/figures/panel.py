"""A panel for wide and narrow windows, drawn once for each width.

Only the wide drawing has tooltips, which a finger on a phone cannot reach.
"""

from collections.abc import Callable

from matplotlib.axes import Axes

from ..figure import Panel
from ..svg import WIDE_IN, WIDTH_IN, drawn


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
    wide = drawn(draw, name=name, label=label, height_in=height_in, width_in=wide_in)
    narrow_in = height_in if narrow_height_in is None else narrow_height_in
    narrow = drawn(
        draw_narrow or draw, name=f"{name}-narrow", label=label, height_in=narrow_in, width_in=WIDTH_IN, tells=False
    )
    return Panel(title, wide, narrow=narrow)
