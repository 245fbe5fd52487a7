"""Vectorization: time of the loop over time of the vectorized operation, against the size."""

from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from ..figure import Figure, Panel
from ..number import times
from ..style import INK, MUTED
from ..svg import draw_svg
from .axis import categories, logarithmic, whiskers


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
            ratio = loop["median_s"] / fast["median_s"]
            comparison.append(Ratio(f"{family}.{contract}", int(str(n)), ratio, low, high))
    return comparison


def speedup(frame: pd.DataFrame) -> Figure:
    """Return the ratio against n, a panel for each operation, all on one scale."""
    everything = ratios(frame)
    span = [end for ratio in everything for end in (ratio.low, ratio.high, 1.0)]
    panels = [_build_panel(*group, span=span, number=number) for number, group in enumerate(_group(everything))]
    title = "Time of the loop / time of the vectorized operation, by size n"
    caption = (
        f"{_explain(everything)} Points are ratios of medians; bars span the ratios of the nearest and "
        "the farthest quartiles over the rounds in one process."
    )
    claim = f"A vectorized operation is up to {times(max(ratio.ratio for ratio in everything))} as fast as a loop"
    return Figure("vectorization-figure", title, tuple(panels), caption, ("vectorization",), claim=claim)


def _build_panel(operation: str, points: list[Ratio], *, span: list[float], number: int) -> Panel:
    """Return one operation."""
    label = f"Speed-up of {operation} by vectorization: {_format_range(points)}."
    return Panel(
        operation, draw_svg(lambda axes: _draw(axes, points, span=span), name=f"vectorization-{number}", label=label)
    )


def _draw(axes: Axes, ratios: list[Ratio], *, span: list[float]) -> None:
    """Draw the ratios with their bars above the line where both take the same time."""
    places = categories(axes, [ratio.n for ratio in ratios])
    x, middle = [places[ratio.n] for ratio in ratios], [ratio.ratio for ratio in ratios]
    bars = whiskers(middle, [ratio.low for ratio in ratios], [ratio.high for ratio in ratios])
    axes.axhline(1, color=MUTED, linewidth=0.9, linestyle="--")
    axes.errorbar(x, middle, yerr=bars, color=INK, marker="o", linewidth=1.4, elinewidth=1.0, capsize=2.5)
    logarithmic(axes.yaxis, span, text=times)
    axes.set(xlabel="size n", ylabel="loop / vectorized")


def _format_range(ratios: list[Ratio]) -> str:
    """Return the ratio at the smallest and at the largest size."""
    first, last = ratios[0], ratios[-1]
    return f"{times(first.ratio)} at n = {first.n:,}, {times(last.ratio)} at n = {last.n:,}"


def _explain(ratios: list[Ratio]) -> str:
    """Return the gain of vectorization, a phrase for each operation."""
    phrases = [f"{operation}: {_format_range(group)}" for operation, group in _group(ratios)]
    return f"Loop time relative to the vectorized time: {'; '.join(phrases)}."


def _group(ratios: list[Ratio]) -> list[tuple[str, list[Ratio]]]:
    """Return the ratios per operation, by size."""
    ordered = sorted(ratios, key=lambda ratio: ratio.n)
    operations = dict.fromkeys(ratio.operation for ratio in ratios)
    return [(name, [ratio for ratio in ordered if ratio.operation == name]) for name in operations]
