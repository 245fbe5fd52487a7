"""Accuracy against speed: how near its bound each implementation comes, against its time, contract by contract."""

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes

from reports.figure import Figure, Panel
from reports.figures.axis import legend_above, legend_rows, logarithmic
from reports.figures.name import names_of
from reports.number import duration, plain, times
from reports.style import LINE, pen
from reports.svg import drawn
from reports.text import count, listing

MARKERS = "os^Dv<>Pp*"
"""Marks that tell the implementations of one style apart."""

LOWEST, HIGHEST = 0.01, 1e4
"""Shares of the bound beyond these are drawn at them; at the highest a value is as good as lost."""

FEWEST = 4
"""Implementations that a panel has at least: of fewer the table says as much."""

HEIGHT_IN, ROW_IN = 2.4, 0.16


def accuracy_against_speed(frame: pd.DataFrame) -> Figure:
    """Return one panel for each contract with several implementations whose values were checked.

    Parameters
    ----------
    frame
        The frame ``operations``.
    """
    known = frame[frame["ratio"].notna()]
    groups = {str(contract): group for contract, group in known.groupby("contract", sort=False) if len(group) >= FEWEST}
    panels = [_panel(contract, group, number) for number, (contract, group) in enumerate(groups.items())]
    return Figure(
        name="accuracy-figure",
        frames=("operations",),
        title="Accuracy against speed",
        panels=tuple(panels)
        or (
            Panel(
                "accuracy", note="no contract has as many timed implementations with checked values as make a picture"
            ),
        ),
        caption=f"{_dominated(groups)} Float32, one thread, one call on a standard input with its gradient where the "
        "contract has one; bars are the interquartile range of the rounds. Upwards is the largest deviation "
        "from the exact value on the inputs that were checked, as a share of its bound there: beyond 1 the law of the "
        f"value is broken; what is beyond {plain(HIGHEST)} is drawn there, where a value is as good as lost.",
    )


def _panel(contract: str, frame: pd.DataFrame, number: int) -> Panel:
    names = names_of(frame)

    def draw(axes: Axes) -> None:
        axes.axhline(1.0, color=LINE, linewidth=0.9, linestyle="--", zorder=1)
        marks = cycle(MARKERS)
        for _, row in frame.iterrows():
            color, _, _, size, order = pen(row["style"])
            bars = [[row["median_s"] - row["q1_s"]], [row["q3_s"] - row["median_s"]]]
            axes.errorbar(
                [row["median_s"]],
                [min(max(row["ratio"], LOWEST), HIGHEST)],
                xerr=[[max(0.0, bar) for bar in side] for side in bars],
                label=names[str(row["case"])],
                linestyle="",
                color=color,
                marker=next(marks),
                markersize=size + 1,
                zorder=order,
                elinewidth=1.0,
                clip_on=False,
            )
        logarithmic(axes.xaxis, [*frame["q1_s"], *frame["q3_s"]], text=duration)
        logarithmic(axes.yaxis, [LOWEST, HIGHEST], text=plain)
        axes.set(xlabel="time of a call", ylabel="worst deviation / bound")
        legend_above(axes)

    height = HEIGHT_IN + ROW_IN * legend_rows(list(names.values()))
    implementations = count(len(frame), "implementation")
    label = f"Worst deviation as a share of its bound against time of a call, {contract}: {implementations}."
    return Panel(contract, drawn(draw, name=f"accuracy-{number}", label=label, height_in=height))


def _dominated(groups: dict[str, pd.DataFrame]) -> str:
    """Say where an implementation is both faster and more accurate than another of its contract."""
    sentences = []
    for contract, group in groups.items():
        fastest = group.sort_values("median_s").iloc[0]
        slower = group[(group["ratio"] > fastest["ratio"]) & (group["q1_s"] > fastest["q3_s"])]
        if len(slower):
            worst = slower.sort_values("median_s").iloc[-1]
            sentences.append(
                f"{contract}: {fastest['case']} is the fastest, and more accurate than {worst['case']}, which takes "
                f"{times(worst['median_s'] / fastest['median_s'])} the time"
            )
    return f"{listing(sentences, at_most=3)}." if sentences else "No implementation is both faster and more accurate."
