"""The evidence of the time gate: slowdowns with their bounds, and the slices behind them."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from harness.record import Comparison, Slices

from ..figure import Figure, Panel
from ..style import LINE, MUTED, PENS
from ..svg import draw_svg
from ..text import shorten
from .axis import legend_above, whiskers


class MarkerStyle(NamedTuple):
    """The marker and the color of an arm."""

    label: str
    color: str
    marker: str


MARKER_STYLES = {
    "candidate": MarkerStyle("working tree", PENS["scratch"].color, "o"),
    "null": MarkerStyle("second base", PENS["concise"].color, "s"),
    "control": MarkerStyle("10 % more work", PENS["foreign"].color, "^"),
}
"""Looks of the arms; the base is the line at zero."""

ROW_IN = 0.42
"""Height of a row, inches."""

NAME = 22
"""Characters of a line of a case's name."""


def evidence(comparisons: Sequence[Comparison], slices: Sequence[Slices]) -> Figure:
    """Return the slowdown of every case in every arm, and the slices of the case that differs most."""
    cases = list(dict.fromkeys(comparison.case for comparison in comparisons))
    candidates = [comparison for comparison in comparisons if comparison.arm == "candidate"]
    widest = max(candidates, key=lambda comparison: abs(comparison.ratio - 1.0))
    label = f"Slowdown of {len(cases)} cases with 95 % bounds: {_format_range(candidates)}."
    draw, height_in = partial(_draw_forest, comparisons=comparisons, cases=cases), 1.5 + ROW_IN * len(cases)
    forest = Panel(
        "slowdown, with one-sided 95 % bounds", draw_svg(draw, name="gate-forest", label=label, height_in=height_in)
    )
    of_widest = _build_slices_panel(widest.case, [process for process in slices if process.case == widest.case])
    title = "Time relative to the base"
    caption = (
        f"Slowdowns of the working tree: {_format_range(candidates)}. The dashed line is the margin, the dotted line "
        "the tolerance. The right panel shows the case that differs most: the fastest round of every slice relative "
        "to the fastest round of the base, with equally many slices from all processes."
    )
    return Figure("gate-figure", title, (forest, of_widest), caption, ("gate_times", "gate_slices"), columns=2)


def _build_slices_panel(case: str, slices: Sequence[Slices]) -> Panel:
    title = f"{case}, slice by slice"
    if not slices:
        return Panel(title, note="no slices in this run")
    label = f"Fastest rounds by slice of {case} over time, by arm."
    return Panel(title, draw_svg(lambda axes: _draw_course(axes, slices), name="gate-slices", label=label))


def _format_range(comparisons: Sequence[Comparison]) -> str:
    low, high = (100.0 * (pick(comparison.ratio for comparison in comparisons) - 1.0) for pick in (min, max))
    return f"{low:+.1f} % to {high:+.1f} %"


def _draw_forest(axes: Axes, *, comparisons: Sequence[Comparison], cases: Sequence[str]) -> None:
    """Draw a row for each case, with its arms slightly apart."""
    first = comparisons[0]
    axes.axvline(0.0, color=LINE, linewidth=0.9)
    axes.axvline(100.0 * first.margin, color=MUTED, linewidth=0.9, linestyle="--")
    axes.axvline(100.0 * first.tolerance, color=MUTED, linewidth=0.9, linestyle=":")
    for shift, (arm, style) in zip((-0.2, 0.0, 0.2), MARKER_STYLES.items(), strict=True):
        selected = [comparison for comparison in comparisons if comparison.arm == arm]
        middle, *ends = (
            [100.0 * (getattr(comparison, name) - 1.0) for comparison in selected] for name in ("ratio", "low", "high")
        )
        places = [cases.index(comparison.case) + shift for comparison in selected]
        look: dict[str, Any] = {
            "fmt": style.marker,
            "color": style.color,
            "label": style.label,
            "markersize": 3.6,
            "capsize": 2.0,
        }
        axes.errorbar(middle, places, xerr=whiskers(middle, *ends), **look)
    axes.set_yticks(range(len(cases)), [_split_name(case) for case in cases])
    axes.set(xlabel="slowdown (%)", ylim=(len(cases) - 0.5, -0.5))
    legend_above(axes, columns=1)


def _split_name(case: str) -> str:
    """Return the family above the rest of a case's name."""
    return "\n".join(shorten(part, limit=NAME) for part in case.split(".", 1))


def _draw_course(axes: Axes, slices: Sequence[Slices]) -> None:
    """Draw the slices of a case over time, without the control, which has another length."""
    same_length = [process for process in slices if process.iterations == slices[0].iterations]
    fastest = min(min(process.minima_s) for process in same_length if process.arm == "base") or math.nan
    styles = {"base": MarkerStyle("base", MUTED, "x")} | MARKER_STYLES
    for arm, style in styles.items():
        points = [
            (start, 100.0 * (minimum / fastest - 1.0))
            for process in same_length
            if process.arm == arm
            for start, minimum in zip(process.starts_s, process.minima_s, strict=True)
        ]
        if points:
            starts, above = zip(*points, strict=True)
            axes.scatter(starts, above, s=9, marker=style.marker, color=style.color, label=style.label)
    axes.set(xlabel="time since the measurement began (s)", ylabel="above the fastest (%)")
    legend_above(axes, columns=3)
