"""Vectorization: time of the loop over time of the vectorized operation, against the size."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from ..figure import Figure, Panel
from ..number import times
from ..style import INK, MUTED
from ..svg import drawn
from .axis import categories, logarithmic


class Ratio(NamedTuple):
    """Time of the loop over time of the vectorized operation at size ``n``.

    The interval runs from first quartile over third quartile to third over first, and is wider than necessary.
    """

    operation: str
    n: int
    ratio: float
    low: float
    high: float


def ratios(frame: pd.DataFrame) -> list[Ratio]:
    """Return the ratio for each family, contract and size that has a loop (scratch) and a vectorized case (concise).

    The first case with a style represents it.
    """
    comparison = []
    for (family, contract, n), group in frame.groupby(["family", "contract", "n"], sort=False):
        loops, vectorized = (group[group["style"] == style] for style in ("scratch", "concise"))
        if len(loops) and len(vectorized):
            loop, fast = loops.iloc[0], vectorized.iloc[0]
            low, high = loop["q1_s"] / fast["q3_s"], loop["q3_s"] / max(fast["q1_s"], 1e-12)
            comparison.append(
                Ratio(f"{family}.{contract}", int(str(n)), loop["median_s"] / fast["median_s"], low, high)
            )
    return comparison


def speedup(frame: pd.DataFrame) -> Figure:
    """Return the ratio against n, a panel for each operation, all on one scale."""
    everything = ratios(frame)
    panels = [
        _panel(operation, group, everything=everything, number=number)
        for number, (operation, group) in enumerate(_by_operation(everything).items())
    ]
    return Figure(
        name="vectorization-figure",
        frames=("vectorization",),
        title="Time of the loop / time of the vectorized operation, by size n",
        panels=tuple(panels),
        caption=f"{_sentences(everything)} Points are ratios of medians; bars span the ratios of the nearest and "
        "the farthest quartiles over the rounds in one process.",
        claim=f"A vectorized operation is up to {times(max(ratio.ratio for ratio in everything))} as fast as a loop",
    )


def _panel(operation: str, points: list[Ratio], *, everything: list[Ratio], number: int) -> Panel:
    """Return one operation."""
    ordered = sorted(points, key=lambda ratio: ratio.n)
    svg = drawn(
        lambda axes: _draw(axes, ordered, span=[end for ratio in everything for end in (ratio.low, ratio.high, 1.0)]),
        name=f"vectorization-{number}",
        label=f"Speed-up of {operation} by vectorization: {_range(ordered)}.",
    )
    return Panel(operation, svg)


def _draw(axes: Axes, ratios: list[Ratio], *, span: list[float]) -> None:
    """Draw the ratios with their bars above the line where both take the same time."""
    places = categories(axes, [ratio.n for ratio in ratios])
    bars = [[ratio.ratio - ratio.low for ratio in ratios], [ratio.high - ratio.ratio for ratio in ratios]]
    axes.axhline(1, color=MUTED, linewidth=0.9, linestyle="--")
    axes.errorbar(
        [places[ratio.n] for ratio in ratios],
        [ratio.ratio for ratio in ratios],
        yerr=[[max(0.0, bar) for bar in side] for side in bars],
        color=INK,
        marker="o",
        linewidth=1.4,
        elinewidth=1.0,
        capsize=2.5,
    )
    logarithmic(axes.yaxis, span, text=times)
    axes.set(xlabel="size n", ylabel="loop / vectorized")


def _range(ratios: list[Ratio]) -> str:
    """Return the ratio at the smallest and at the largest size."""
    first, last = ratios[0], ratios[-1]
    return f"{times(first.ratio)} at n = {first.n:,}, {times(last.ratio)} at n = {last.n:,}"


def _sentences(ratios: list[Ratio]) -> str:
    """Return the gain of vectorization, a phrase for each operation."""
    groups = _by_operation(ratios)
    phrases = [
        f"{operation}: {_range(sorted(group, key=lambda ratio: ratio.n))}" for operation, group in groups.items()
    ]
    return f"Loop time relative to the vectorized time: {'; '.join(phrases)}."


def _by_operation(ratios: list[Ratio]) -> dict[str, list[Ratio]]:
    """Return the ratios per operation."""
    groups: dict[str, list[Ratio]] = {}
    for ratio in ratios:
        groups.setdefault(ratio.operation, []).append(ratio)
    return groups
