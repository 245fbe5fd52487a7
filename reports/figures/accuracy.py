"""Accuracy against speed: the share of the bound that each implementation uses, against its time, by contract."""

from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes

from ..figure import Figure, Panel
from ..number import duration, plain, times
from ..style import LINE, pen
from ..svg import add_tooltips, belongs
from ..text import count, listing, shorten
from .axis import End, legend_rows, logarithmic, whiskers
from .name import names_of
from .panel import curve_panels, panels_by

SIGNS = dict(zip("os^Dv<>Pp*", "●■▲◆▼◀▶✚⬟★", strict=True))
MARKERS = "".join(SIGNS)
"""Markers for implementations with the same style, and similar characters for text."""

LOWEST, HIGHEST = 0.01, 1e4
"""Shares of the bound beyond these are drawn at them; at the highest a value is as good as lost."""

MIN_POINTS = 4
"""Implementations that a panel has at least: of fewer the table says as much."""

HEIGHT_IN, ROW_IN, WIDE_HEIGHT_IN = 2.4, 0.16, 2.8

MAX_CHARACTERS = 24
"""Maximum length of a name next to the axes."""


def accuracy_against_speed(frame: pd.DataFrame) -> Figure:
    """Return one panel for each contract with several checked implementations in the frame ``operations``."""
    rows = frame[frame["ratio"].notna()].drop_duplicates("case")  # the standard shape comes first
    rows = rows.groupby("contract", sort=False).filter(lambda group: len(group) >= MIN_POINTS)
    groups = {str(contract): group for contract, group in rows.groupby("contract", sort=False)}
    panels = panels_by(rows, "contract", _build_panels)
    nothing = Panel("accuracy", note="no contract has enough timed implementations with checked values for a plot")
    return Figure(
        name="accuracy-figure",
        frames=("operations",),
        title="Accuracy against speed",
        panels=panels or (nothing,),
        caption=f"{_compare_pairs(groups)} Float32, one thread, one call on a standard input, with gradient if the "
        "contract has one. Horizontal bars are the interquartile range of the rounds. The vertical axis is the largest "
        "deviation from the exact value on the checked inputs, relative to its bound: above 1 the law of the value is "
        f"broken, and the time is not compared. Values above {plain(HIGHEST)} are drawn at the edge.",
        columns=min(2, max(1, len(panels))),
        claim=_compare_fastest(next(iter(groups.values()))) if len(groups) == 1 else "",
    )


def _compare_fastest(group: pd.DataFrame) -> str:
    """Return whether the fastest sound implementation is also as accurate as any; empty if none is the fastest."""
    sound = group[group["ratio"] <= 1.0].sort_values("median_s", kind="stable")
    if len(sound) < 2 or sound["q3_s"].iloc[0] >= sound["q1_s"].iloc[1:].min():
        return ""
    names, closest, fastest = names_of(group), sound.sort_values("ratio", kind="stable").iloc[0], sound.iloc[0]
    if closest["ratio"] < fastest["ratio"]:
        return f"{names[str(fastest['case'])]} is the fastest, {names[str(closest['case'])]} the most accurate"
    return f"{names[str(fastest['case'])]} is the fastest, and none is more accurate"


def _build_panels(contract: str, frame: pd.DataFrame, number: int) -> list[Panel]:
    names = names_of(frame)

    def draw(axes: Axes) -> list[End]:
        axes.axhline(1.0, color=LINE, linewidth=0.9, linestyle="--", zorder=1)
        marks, ends = cycle(MARKERS), []
        logarithmic(axes.xaxis, [*frame["q1_s"], *frame["q3_s"]], text=duration)
        logarithmic(axes.yaxis, [LOWEST, HIGHEST], text=plain)
        for _, row in frame.iterrows():
            case, time, mark = str(row["case"]), row["median_s"], next(marks)
            name, height, own_pen = names[case], min(max(row["ratio"], LOWEST), HIGHEST), pen(row["style"])
            look = own_pen._asdict() | {"marker": mark, "markersize": own_pen.markersize + 1, "linestyle": ""}
            bar = whiskers([time], [row["q1_s"]], [row["q3_s"]])
            point = axes.errorbar([time], [height], xerr=bar, label=name, elinewidth=1.0, clip_on=False, **look)
            belongs(case, *point.get_children())
            exact = f"{name}: {duration(time)} per call, {plain(row['ratio'])} of the bound"
            add_tooltips(axes, [(time, height, exact)], case=case)
            ends.append(End(height, f"{SIGNS[mark]} {shorten(name, limit=MAX_CHARACTERS)}", own_pen.color, case))
        axes.set(xlabel="time per call", ylabel="worst deviation / bound")
        return ends

    implementations = count(len(frame), "implementation")
    return curve_panels(
        contract,
        draw,
        name=f"accuracy-{number}",
        label=f"Worst deviation / bound against time per call, {contract}: {implementations}.",
        height_in=WIDE_HEIGHT_IN,
        narrow_height_in=HEIGHT_IN + ROW_IN * legend_rows(list(names.values())),
    )


def _compare_pairs(groups: dict[str, pd.DataFrame]) -> str:
    """Return sentences on implementations that are faster and more accurate than another sound implementation."""
    sentences = []
    for contract, rows in groups.items():
        # An implementation that breaks the law of the value computes something else, so its time does not compare.
        group = rows[rows["ratio"] <= 1.0]
        if group.empty:
            continue
        fastest = group.sort_values("median_s").iloc[0]
        slower = group[(group["ratio"] > fastest["ratio"]) & (group["q1_s"] > fastest["q3_s"])]
        if len(slower):
            worst = slower.sort_values("median_s").iloc[-1]
            sentences.append(
                f"{contract}: {fastest['case']} is the fastest, and more accurate than {worst['case']}, which takes "
                f"{times(worst['median_s'] / fastest['median_s'])} the time"
            )
    if sentences:
        return f"{listing(sentences, at_most=3)}."
    return "No implementation that keeps its bound is both faster and more accurate than another."
