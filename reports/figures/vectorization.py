"""Vectorisation: time of the loop over that of the vectorised operation against the size."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from reports.figure import Figure, Panel
from reports.figures.axis import categories, logarithmic
from reports.number import times
from reports.style import INK, MUTED
from reports.svg import drawn


class Ratio(NamedTuple):
    """Time of the loop over that of the vectorised operation at size ``n``.

    The interval runs from first quartile over third quartile to third over first: wider than that of the ratio.
    """

    operation: str
    n: int
    ratio: float
    low: float
    high: float


def ratios(frame: pd.DataFrame) -> list[Ratio]:
    """Return the ratio for each family, contract and size that has a loop (scratch) and a vectorised case (concise).

    Of several cases of one style the first counts.
    """
    found = []
    for (family, contract, n), group in frame.groupby(["family", "contract", "n"], sort=False):
        loops, vectorised = (group[group["style"] == style] for style in ("scratch", "concise"))
        if len(loops) and len(vectorised):
            loop, fast = loops.iloc[0], vectorised.iloc[0]
            low, high = loop["q1_s"] / fast["q3_s"], loop["q3_s"] / max(fast["q1_s"], 1e-12)
            found.append(Ratio(f"{family}.{contract}", int(str(n)), loop["median_s"] / fast["median_s"], low, high))
    return found


def speedup(frame: pd.DataFrame) -> Figure:
    """Return the ratio against n, a panel for each operation, all on one scale."""
    found = ratios(frame)
    panels = [
        _panel(operation, [ratio for ratio in found if ratio.operation == operation], everything=found, number=number)
        for number, operation in enumerate(dict.fromkeys(ratio.operation for ratio in found))
    ]
    return Figure(
        name="vectorization-figure",
        frames=("vectorization",),
        title="Time of the loop over time of the vectorised operation, against the size n",
        panels=tuple(panels),
        caption=f"{_sentences(found)} Points are ratios of medians; bars run from the ratio of the nearest quartiles "
        "to that of the farthest, rounds of one process.",
    )


def _panel(operation: str, own: list[Ratio], *, everything: list[Ratio], number: int) -> Panel:
    """Return one operation."""
    ordered = sorted(own, key=lambda ratio: ratio.n)
    svg = drawn(
        lambda axes: _draw(axes, ordered, span=[bound for it in everything for bound in (it.low, it.high, 1.0)]),
        name=f"vectorization-{number}",
        label=f"Speed-up of {operation} by vectorisation: {_range(ordered)}.",
    )
    return Panel(operation, svg)


def _draw(axes: Axes, ratios: list[Ratio], *, span: list[float]) -> None:
    """Draw the ratios with their bars above the line where both take the same time."""
    places = categories(axes, [it.n for it in ratios])
    bars = [[it.ratio - it.low for it in ratios], [it.high - it.ratio for it in ratios]]
    axes.axhline(1, color=MUTED, linewidth=0.9, linestyle="--")
    axes.errorbar(
        [places[it.n] for it in ratios],
        [it.ratio for it in ratios],
        yerr=[[max(0.0, bar) for bar in side] for side in bars],
        color=INK,
        marker="o",
        linewidth=1.4,
        elinewidth=1.0,
        capsize=2.5,
    )
    logarithmic(axes.yaxis, span, text=times)
    axes.set(xlabel="size n", ylabel="loop / vectorised")


def _range(ratios: list[Ratio]) -> str:
    """Return the ratio at the smallest and at the largest size."""
    first, last = ratios[0], ratios[-1]
    return f"{times(first.ratio)} at n = {first.n:,}, {times(last.ratio)} at n = {last.n:,}"


def _sentences(found: list[Ratio]) -> str:
    """Return what vectorisation gains, a phrase for each operation."""
    groups: dict[str, list[Ratio]] = {}
    for ratio in found:
        groups.setdefault(ratio.operation, []).append(ratio)
    phrases = [f"{operation}: {_range(sorted(own, key=lambda it: it.n))}" for operation, own in groups.items()]
    return f"The loop takes, as a multiple of the vectorised time, {'; '.join(phrases)}."
