"""Panels: one for wide and narrow windows, drawn once for each width, or small multiples.

Only the wide drawing has tooltips, which a finger on a phone cannot reach. Small multiples show a picture with many
curves as a panel for each curve, with the others in gray behind it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..figure import Panel
from ..style import LINE
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


# Small multiples

MAX_TOGETHER = 4
"""Most curves in one picture; readers cannot distinguish more of them."""

HEIGHT_IN = 1.9
"""Height of a panel; its heading names its curve, so it needs no legend."""

PADDING_IN = 0.07
"""Room above and below the axes."""

CONTEXT: dict[str, Any] = {"color": LINE, "linewidth": 0.8, "linestyle": "-", "marker": "", "zorder": 0.5}
"""Style of the other curves."""


class Drawing(Protocol):
    """Draws all curves on shared scales, and all except one in gray."""

    def __call__(self, axes: Axes, *, only: str) -> None:
        """Draw into the axes; ``only`` is the name of the curve with its color."""


def multiples(names: Sequence[str], draw: Drawing, *, name: str, label: str, ending: str = "") -> list[Panel]:
    """Return a panel for each curve; ``ending`` follows its name in the heading."""
    return [
        Panel(
            f"{curve}{ending}",
            drawn(_one(draw, curve), name=f"{name}-{number}", label=f"{curve}{ending}. {label}", height_in=HEIGHT_IN),
        )
        for number, curve in enumerate(names)
    ]


def _one(draw: Drawing, curve: str) -> Callable[[Axes], None]:
    return partial(_draw, draw=draw, curve=curve)


def _draw(axes: Axes, *, draw: Drawing, curve: str) -> None:
    """Draw one curve in color, with room for a label at the upper edge, whose font is larger on the page."""
    engine = axes.figure.get_layout_engine()
    if isinstance(engine, ConstrainedLayoutEngine):
        engine.set(h_pad=PADDING_IN)
    draw(axes, only=curve)
