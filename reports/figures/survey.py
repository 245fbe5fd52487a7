"""A survey in pictures: deviation against the magnitude of the inputs, and its distribution in ulp."""

import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from reports.figure import Figure, Panel
from reports.figures.axis import legend_above, legend_rows, logarithmic
from reports.figures.name import without_family
from reports.number import percent, plain
from reports.style import LINE, MUTED, dashes_of, pen
from reports.svg import drawn
from reports.text import count

DTYPE = "float32"
"""What is drawn; the tables and the data have the others."""

TOP = 1e10
"""Deviations at and beyond this are drawn at the edge, which says so: infinite ones among them."""

LEAST = 0.1
"""Deviations below a tenth of an ulp are drawn there."""


def magnitudes(profiles: pd.DataFrame, breakings: pd.DataFrame) -> Figure:
    """Return the worst deviation against the magnitude of the inputs, a panel for each contract."""
    own = profiles[profiles["dtype"] == DTYPE]
    panels = [
        _panel(str(contract), group, breakings, number=number)
        for number, (contract, group) in enumerate(own.groupby("contract", sort=False))
    ]
    return Figure(
        name="magnitude-figure",
        frames=("profiles", "breakings"),
        title="Worst deviation against the largest input",
        panels=tuple(panels),
        caption=f"{DTYPE}; the worst over all rays in each quarter of a power of two, relative to the bound there. The "
        "grey line is the bound; dotted lines are breaking points with a closed form. At the upper edge the "
        "deviation is that large or infinite.",
        columns=2,
    )


def _panel(contract: str, group: pd.DataFrame, breakings: pd.DataFrame, *, number: int) -> Panel:
    broken = breakings[
        (breakings["contract"] == contract) & (breakings["dtype"] == DTYPE) & (breakings["law"] == group["law"].iloc[0])
    ]
    points = sorted(set(broken[broken["declared"]]["value"].dropna()))
    first = [f"{without_family(str(case))} {_start(own)}" for case, own in group.groupby("case", sort=False)]
    svg = drawn(
        lambda axes: _draw(axes, group, points),
        name=f"magnitude-{number}",
        label=f"Deviation of {contract} against the magnitude of its inputs. {'; '.join(first)}.",
        height_in=_height(group),
    )
    return Panel(contract, svg)


def _start(own: pd.DataFrame) -> str:
    """Return from which magnitude on a case is beyond its bound."""
    over = own[own["deviation"] > own["bound"]]["magnitude"]
    return f"exceeds its bound up from {plain(float(over.min()))}" if len(over) else "stays within its bound"


def _draw(axes: Axes, group: pd.DataFrame, points: Sequence[float]) -> None:
    """Draw a curve for each case over the bound, and the breaking points as lines."""
    bound = group.groupby("magnitude")["bound"].max()
    axes.plot(bound.index, bound.clip(LEAST, TOP), color=LINE, linewidth=3.0, zorder=1, label="bound")
    for point in points:
        if group["magnitude"].min() <= point <= group["magnitude"].max():
            axes.axvline(point, color=MUTED, linewidth=0.8, linestyle=":", zorder=0)
    dashes = dashes_of(group)
    for case, own in group.groupby("case", sort=False):
        style = str(own["style"].iloc[0])
        own_pen = pen(style)
        axes.plot(
            own["magnitude"],
            own["deviation"].clip(LEAST, TOP),
            color=own_pen.color,
            linewidth=1.3,
            linestyle=next(dashes[style]),
            zorder=own_pen.zorder,
            label=without_family(str(case)),
        )
    logarithmic(axes.xaxis, [float(group["magnitude"].min()), float(group["magnitude"].max())], text=plain)
    logarithmic(axes.yaxis, [LEAST, TOP], text=lambda value: f"≥ {_power(value)}" if value >= TOP else _power(value))
    axes.set(xlabel="largest input, absolute", ylabel="deviation, ulp")
    legend_above(axes)


def histogram(histograms: pd.DataFrame) -> Figure:
    """Return how the deviations are distributed, a panel for each contract."""
    own = histograms[histograms["dtype"] == DTYPE]
    panels = [
        _distribution(str(contract), group, number=number)
        for number, (contract, group) in enumerate(own.groupby("contract", sort=False))
    ]
    return Figure(
        name="histogram-figure",
        frames=("histograms",),
        title="Deviations by size",
        panels=tuple(panels),
        caption=f"{DTYPE}; share of the outputs' elements on {count(len(own['case'].unique()), 'case')}, rows drawn "
        "from all rays over all magnitudes. Up to half an ulp is correctly rounded; the last place is infinite.",
        columns=2,
    )


def _distribution(contract: str, group: pd.DataFrame, *, number: int) -> Panel:
    rounded = [
        f"{without_family(str(case))} {percent(float(own['share'].iloc[0]))}"
        for case, own in group.groupby("case", sort=False)
    ]
    svg = drawn(
        lambda axes: _bars(axes, group),
        name=f"histogram-{number}",
        label=f"Distribution of the deviations of {contract}; correctly rounded: {', '.join(rounded)}.",
        height_in=_height(group),
    )
    return Panel(contract, svg)


def _bars(axes: Axes, group: pd.DataFrame) -> None:
    """Draw the shares of each case as steps over the classes."""
    edges = sorted(set(group["up_to"]))
    dashes = dashes_of(group)
    for case, own in group.groupby("case", sort=False):
        style = str(own["style"].iloc[0])
        shares = own.groupby("up_to")["share"].mean().clip(lower=1e-5)
        axes.step(
            range(len(edges)),
            shares,
            where="mid",
            color=pen(style).color,
            linewidth=1.3,
            linestyle=next(dashes[style]),
            zorder=pen(style).zorder,
            label=without_family(str(case)),
        )
    places = [place for place, edge in enumerate(edges) if edge in {0.5, 4.0, 64.0, 1024.0, 2.0**15, math.inf}]
    names = {0.5: "1/2", 1024.0: "1k", 2.0**15: "32k", math.inf: "inf"}
    axes.set_xticks(places, [names.get(edges[place], f"{edges[place]:g}") for place in places])
    logarithmic(axes.yaxis, [1e-5, 1.0], text=lambda share: f"{100 * share:g} %")
    axes.set(xlabel="deviation up to, ulp", ylabel="share of elements")
    legend_above(axes)


def _height(group: pd.DataFrame) -> float:
    """Return the height in inches that leaves room for the legend."""
    return 2.6 + 0.17 * legend_rows(["bound", *(without_family(str(case)) for case in group["case"].unique())])


def _power(value: float) -> str:
    """Return a number, from a thousand on as a power of ten."""
    return f"1e{math.log10(value):.0f}" if value >= 1e3 else f"{value:g}"
