"""Curves of implementations in one set of axes: each in the pen of its style, or all but one in gray."""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from ..style import LINE, dashes_of, pen
from ..svg import add_tooltips, belongs
from .axis import End

CONTEXT: dict[str, Any] = {"color": LINE, "linewidth": 0.8, "linestyle": "-", "marker": "", "zorder": 0.5}
"""Style of the other curves."""


Points = Sequence[float] | pd.Series


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
            belongs(case, *self._axes.plot(x, y, drawstyle=drawstyle, **CONTEXT))
            return
        face = {"markerfacecolor": pen(style).face} if hollow else {}
        look = {"label": name, "linestyle": next(self._dashes[style]), **pen(style)._asdict(), **face, **look}
        if bars is None:
            belongs(case, *self._axes.plot(x, y, drawstyle=drawstyle, **look))
        else:
            belongs(case, *self._axes.errorbar(x, y, yerr=bars, **look).get_children())
        add_tooltips(self._axes, tooltips, case=case)
        self.ends.append(End(float([*y][-1]), end or name, look["color"], case))
