"""A survey in pictures: deviation against the magnitude of the inputs, and its distribution in ulp."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.wording.number import percent, plain

from ..page_part import Figure, Panel
from ..style import MUTED
from ..text import count, listing
from .axis import End, legend_rows, logarithmic, remove_family
from .chart import Curves, curve_panels, panels_by

DTYPE = "float32"
"""What is drawn; the tables and the data have the others."""

TOP = 1e6
"""Shares of the bound at and beyond this are drawn at the edge: nothing of the answer is left."""

LEAST = 1e-3
"""Smaller shares are drawn there."""

HEIGHT_IN = 3.3
"""Of a large picture."""


def magnitudes(profiles: pd.DataFrame, breakings: pd.DataFrame) -> Figure:
    """Return the worst deviation against the magnitude of the inputs, a panel for each contract."""
    frame = profiles[profiles["dtype"] == DTYPE]
    panels = panels_by(frame, "contract", partial(_build_panels, breakings=breakings))
    contracts = frame["contract"].nunique()
    return Figure(
        name="magnitude-figure",
        frames=("profiles", "breakings"),
        title="Worst deviation by input magnitude",
        panels=panels,
        caption=f"{DTYPE}; worst error over all rays, relative to the allowed error. Each point covers a quarter of a "
        "power of two. Above the dashed line the law is broken; at the upper edge no digit is correct. Dotted lines "
        "are breaking points with a closed form. Identical curves share a label.",
        columns=1 if len(panels) == contracts else 3,
        claim=_count_broken(frame) if contracts == 1 else "",
    )


def _count_broken(frame: pd.DataFrame) -> str:
    """Return the number of implementations of a contract that break for large inputs."""
    contract, cases = frame["contract"].iloc[0], frame["case"].nunique()
    broken = frame[frame["deviation"] > frame["bound"]]["case"].nunique()
    if not broken:
        return f"No implementation of {contract} exceeds its error bound"
    if cases == 1:
        first = float(frame[frame["deviation"] > frame["bound"]]["magnitude"].min())
        below = frame[frame["magnitude"] < first]["magnitude"].max()
        where = f"up to {plain(first)}" if pd.isna(below) else f"between {plain(float(below))} and {plain(first)}"
        return f"{frame['case'].iloc[0]} first exceeds its error bound for inputs {where}"
    return f"{broken} of {count(cases, 'implementation')} of {contract} {'breaks' if broken == 1 else 'break'}"


def _build_panels(contract: str, group: pd.DataFrame, number: int, *, breakings: pd.DataFrame) -> list[Panel]:
    law = group["law"].iloc[0]
    broken = breakings[(breakings["contract"] == contract) & (breakings["dtype"] == DTYPE) & (breakings["law"] == law)]
    points = sorted(set(broken[broken["declared"]]["value"].dropna()))
    first = []
    for case, frame in group.groupby("case", sort=False):
        over = frame[frame["deviation"] > frame["bound"]]["magnitude"]
        start = f"exceeds its bound from {plain(float(over.min()))}" if len(over) else "stays within its bound"
        first.append(f"{remove_family(str(case))} {start}")
    label = f"Deviation of {contract} against the magnitude of its inputs. {'; '.join(first)}."

    return curve_panels(
        contract,
        partial(_draw, group=group, points=points),
        name=f"magnitude-{number}",
        label=label,
        height_in=HEIGHT_IN,
        narrow_height_in=_compute_height(group),
        legend_columns=1,
        separate=[name for name, _ in curves_of(group)],
    )


def curves_of(group: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return the curves of a contract; coinciding curves appear once, with all their names."""
    by_shares: dict[tuple[float, ...], tuple[list[str], pd.DataFrame]] = {}
    for case, curve in group.groupby("case", sort=False):
        names, _ = by_shares.setdefault(tuple(_list_shares(curve)), ([], curve))
        names.append(remove_family(str(case)))
    return [(listing(names, at_most=2), curve) for names, curve in by_shares.values()]


def _list_shares(frame: pd.DataFrame) -> list[float]:
    """Return the deviation as a share of its bound, limited to the plot."""
    pairs = zip(frame["deviation"], frame["bound"], strict=True)
    shares = [(math.inf if deviation else 0.0) if not bound else deviation / bound for deviation, bound in pairs]
    return [min(max(share, LEAST), TOP) for share in shares]


def _draw(axes: Axes, *, group: pd.DataFrame, points: Sequence[float], only: str = "") -> list[End]:
    """Draw a curve for each case, or only one in color; the bound as a line, breaking points as vertical lines."""
    low, high = float(group["magnitude"].min()), float(group["magnitude"].max())
    axes.axhline(1.0, color=MUTED, linewidth=1.0, linestyle="--", zorder=1)
    for point in points:
        if low <= point <= high:
            axes.axvline(point, color=MUTED, linewidth=0.8, linestyle=":", zorder=0)
    curves = Curves(axes, group, only=only)
    for name, frame in curves_of(group):
        shares = _list_shares(frame)
        tips = _list_tooltips(name, frame, shares)
        curves.add(name, frame, frame["magnitude"], shares, tooltips=tips, linewidth=1.6, marker="")
    logarithmic(axes.xaxis, [low, high], text=plain)
    logarithmic(axes.yaxis, [LEAST, TOP], text=_format_share)
    axes.set(xlabel="largest absolute input", ylabel="error / allowed")
    return curves.ends


def _list_tooltips(name: str, frame: pd.DataFrame, shares: Sequence[float]) -> Iterator[tuple[float, float, str]]:
    """Yield a tooltip for each fourth point of a curve, and for each point where it crosses the bound."""
    numbers = list(zip(frame["magnitude"], frame["deviation"], frame["bound"], shares, strict=True))
    for index, (magnitude, deviation, bound, share) in enumerate(numbers):
        turns = index > 0 and (numbers[index - 1][3] > 1.0) != (share > 1.0)
        if turns or index % 4 == 0:
            exact = f"{plain(magnitude, digits=9)} = {float(magnitude).hex()}"
            yield magnitude, share, f"{name}: up to {exact}: {plain(deviation)} ulp of {plain(bound)}"


def histogram(histograms: pd.DataFrame) -> Figure:
    """Return the distribution of the deviations, a panel for each contract."""
    frame = histograms[histograms["dtype"] == DTYPE]
    panels = panels_by(frame, "contract", _build_distributions)
    return Figure(
        name="histogram-figure",
        frames=("histograms",),
        title="Distribution of deviations",
        panels=panels,
        caption=f"{DTYPE}; share of output elements of {count(len(frame['case'].unique()), 'case')}, rows drawn "
        "from all rays and magnitudes. Results within half an ulp are correctly rounded; the last bin is infinite.",
        columns=1 if len(panels) == frame["contract"].nunique() else 3,
        claim=_find_rounding_range(frame),
    )


def _find_rounding_range(frame: pd.DataFrame) -> str:
    """Return the smallest and the largest share of correctly rounded results."""
    shares = frame[frame["up_to"] <= 0.5].groupby("case", sort=False)["share"].first()
    if shares.empty:
        return ""
    low, high = percent(float(shares.min())), percent(float(shares.max()))
    return f"{low if low == high else f'{low} to {high}'} of the results are correctly rounded"


def _build_distributions(contract: str, group: pd.DataFrame, number: int) -> list[Panel]:
    rounded = [
        f"{remove_family(str(case))} {percent(float(frame['share'].iloc[0]))}"
        for case, frame in group.groupby("case", sort=False)
    ]
    return curve_panels(
        contract,
        partial(_draw_bars, group=group),
        name=f"histogram-{number}",
        label=f"Distribution of the deviations of {contract}; correctly rounded: {', '.join(rounded)}.",
        height_in=HEIGHT_IN,
        narrow_height_in=_compute_height(group),
        separate=[remove_family(str(case)) for case in group["case"].unique()],
    )


def _draw_bars(axes: Axes, *, group: pd.DataFrame, only: str = "") -> list[End]:
    """Draw the shares of every case as steps over the classes, or only one case in color."""
    edges, curves = sorted(set(group["up_to"])), Curves(axes, group, only=only)
    for case, frame in group.groupby("case", sort=False):
        shares, name = frame.groupby("up_to")["share"].mean().clip(lower=1e-5), remove_family(str(case))
        steps = range(len(edges))
        curves.add(name, frame, steps, shares, drawstyle="steps-mid", linewidth=1.3, marker="")
    places = [position for position, edge in enumerate(edges) if edge in {0.5, 4.0, 64.0, 1024.0, 2.0**15, math.inf}]
    names = {0.5: "1/2", 1024.0: "1k", 2.0**15: "32k", math.inf: "inf"}
    axes.set_xticks(places, [names.get(edges[position], f"{edges[position]:g}") for position in places])
    logarithmic(axes.yaxis, [1e-5, 1.0], text=lambda share: f"{100 * share:g} %")
    axes.set(xlabel="deviation up to (ulp)", ylabel="share of elements")
    return curves.ends


def _compute_height(group: pd.DataFrame) -> float:
    """Return the height in inches that leaves room for the legend."""
    return 2.6 + 0.17 * legend_rows(["bound", *(remove_family(str(case)) for case in group["case"].unique())])


def _format_share(value: float) -> str:
    """Return a share of the bound as text; numbers from a thousand on are powers of ten."""
    if value >= TOP:
        return "lost"
    return f"1e{math.log10(value):.0f}" if value >= 1e3 else f"{value:g}"
