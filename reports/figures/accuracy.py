"""Deviations relative to their bounds: of implementations against their time, and of all laws."""

import math
from functools import partial
from itertools import cycle

import pandas as pd
from matplotlib.axes import Axes

from harness.record import Status
from harness.wording.number import duration, plain, times

from ..page_part import Figure, Panel
from ..style import LINE, MUTED, pen
from ..svg import WIDE_IN, add_tooltips, belongs
from ..text import count, listing, shorten
from .axis import End, legend_rows, logarithmic, names_of, whiskers
from .chart import curve_panels, panels_by, wide_and_narrow
from .speed_comparison import compare_with_less_accurate, find_fastest

SIGNS = dict(zip("os^Dv<>Pp*", "●■▲◆▼◀▶✚⬟★", strict=True))
"""Markers for implementations with the same style, and similar characters for text."""

LOWEST, HIGHEST = 0.01, 1e4
"""Shares of the bound beyond these are drawn at them; at the highest a value is as good as lost."""

MIN_POINTS = 4
"""Implementations that a panel has at least: of fewer the table says as much."""


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
    sound = group[group["ratio"] <= 1.0]
    if (fastest := find_fastest(sound)) is None:
        return ""
    names, closest = names_of(group), sound.sort_values("ratio", kind="stable").iloc[0]
    if closest["ratio"] < fastest["ratio"]:
        return f"{names[str(fastest['case'])]} is the fastest, {names[str(closest['case'])]} the most accurate"
    return f"{names[str(fastest['case'])]} is the fastest, and none is more accurate"


def _build_panels(contract: str, frame: pd.DataFrame, number: int) -> list[Panel]:
    names = names_of(frame)

    def draw(axes: Axes) -> list[End]:
        axes.axhline(1.0, color=LINE, linewidth=0.9, linestyle="--", zorder=1)
        marks, ends = cycle(SIGNS.items()), []
        logarithmic(axes.xaxis, [*frame["q1_s"], *frame["q3_s"]], text=duration)
        logarithmic(axes.yaxis, [LOWEST, HIGHEST], text=plain)
        for _, row in frame.iterrows():
            case, time, (mark, sign) = str(row["case"]), row["median_s"], next(marks)
            name, height, own_pen = names[case], min(max(row["ratio"], LOWEST), HIGHEST), pen(row["style"])
            look = own_pen._asdict() | {"marker": mark, "markersize": own_pen.markersize + 1, "linestyle": ""}
            bar = whiskers([time], [row["q1_s"]], [row["q3_s"]])
            point = axes.errorbar([time], [height], xerr=bar, label=name, elinewidth=1.0, clip_on=False, **look)
            belongs(case, *point.get_children())
            exact = f"{name}: {duration(time)} per call, {plain(row['ratio'])} of the bound"
            add_tooltips(axes, [(time, height, exact)], case=case)
            ends.append(End(height, f"{sign} {shorten(name, limit=24)}", own_pen.color, case))
        axes.set(xlabel="time per call", ylabel="worst deviation / bound")
        return ends

    implementations = count(len(frame), "implementation")
    return curve_panels(
        contract,
        draw,
        name=f"accuracy-{number}",
        label=f"Worst deviation / bound against time per call, {contract}: {implementations}.",
        height_in=2.8,
        narrow_height_in=2.4 + 0.16 * legend_rows(list(names.values())),
    )


def _compare_pairs(groups: dict[str, pd.DataFrame]) -> str:
    """Return sentences on implementations that are faster and more accurate than another sound implementation."""
    sentences = []
    for contract, rows in groups.items():
        # An implementation that breaks the law of the value computes something else, so its time does not compare.
        group = rows[rows["ratio"] <= 1.0]
        if comparison := compare_with_less_accurate(group):
            sentences.append(f"{contract}: {comparison}")
    if sentences:
        return f"{listing(sentences, at_most=3)}."
    return "No implementation that keeps its bound is both faster and more accurate than another."


LOW, HIGH = -4, 4
"""Powers of ten at the edges; shares beyond them are drawn at the edge."""

STEPS = 5
"""Places a decade: marks at one place are drawn once."""

STRIP_IN = 0.18
"""Height of a contract in inches: three dozen of them are no taller than a screen."""

SHAPES = {Status.HOLDS.value: "o", Status.EXPECTED.value: "D", Status.LOST.value: "s"}
"""Markers of statuses that do not fail a run."""

LANES = {"scratch": 0.35, "concise": 0.5, "foreign": 0.65}
"""Vertical position by style within the strip of a contract."""


def headroom_figure(verdicts: pd.DataFrame) -> Figure:
    """Return the share of the bound that each measured law uses."""
    measured = verdicts.dropna(subset=["ratio"])
    contracts = list(dict.fromkeys(measured["contract"]))
    draw = partial(_draw_strips, frame=measured, contracts=contracts)
    panel = wide_and_narrow(
        "one mark for each case, law and dtype",
        partial(draw, limit=40),
        draw_narrow=partial(draw, limit=24),
        name="laws",
        label=_explain_margin(measured),
        height_in=1.1 + STRIP_IN * len(contracts),
        wide_in=1.5 * WIDE_IN,
    )
    title = "Worst deviation as a share of its bound"
    caption = (
        f"{_explain_margin(measured)} Laws to the right of the line are broken. Circles hold; diamonds are "
        "declared failures; squares are lost digits; crosses fail the run. Marks at an edge lie at or beyond it."
    )
    claim = f"{int((measured['ratio'] <= 1.0).sum()):,} of {len(measured):,} measured errors are within their bounds"
    return Figure("laws-figure", title, (panel,), caption, ("verdicts",), columns=1, claim=claim)


def _draw_strips(axes: Axes, frame: pd.DataFrame, *, contracts: list[str], limit: int) -> None:
    """Draw a strip for each contract, named at the left, under the scale."""
    axes.axvline(0, color=MUTED, linewidth=0.9, linestyle="--")
    places = frame["contract"].map({contract: position for position, contract in enumerate(contracts)})
    lanes = frame["style"].map(LANES).fillna(LANES["foreign"])
    marks = frame.assign(at=frame["ratio"].map(_compute_position), height=places + lanes)
    for (style, status), group in marks.groupby(["style", "status"], sort=False):
        color, seen = pen(str(style)).color, group.drop_duplicates(["at", "height"])
        shape = SHAPES.get(str(status), "X")
        face = "none" if shape in "Ds" else color
        axes.plot(seen["at"], seen["height"], shape, color=color, markerfacecolor=face, markersize=3.4, alpha=0.8)
    for style in dict.fromkeys(frame["style"]):
        axes.plot([], [], "o", markersize=4, color=pen(style).color, label="your code" if style == "foreign" else style)
    axes.set(xlim=(LOW - 0.4, HIGH + 0.4), ylim=(len(contracts), 0.1))
    axes.set_xticks([LOW, 0, HIGH], ["≤ 1e-4", "the bound", "≥ 1e4"])
    middles = [position + 0.5 for position in range(len(contracts))]
    axes.set_yticks(middles, [shorten(name, limit=limit) for name in contracts])
    axes.xaxis.tick_top()
    axes.spines[["left", "bottom"]].set_visible(False)
    # Between the strips and the legend there is room for the labels of the scale.
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1 + 0.28 / (STRIP_IN * len(contracts))), ncols=3)


def _compute_position(ratio: float) -> float:
    """Return the decimal logarithm of a share, rounded away from the line and limited to the edges."""
    if ratio <= 0 or math.isinf(ratio):
        return LOW if ratio <= 0 else HIGH
    steps = STEPS * math.log10(ratio)
    return max(LOW, min(HIGH, (math.floor(steps) if steps <= 0 else math.ceil(steps)) / STEPS))


def _explain_margin(frame: pd.DataFrame) -> str:
    """Return the distance of the laws that hold from their bounds."""
    holding = frame[frame["status"] == Status.HOLDS.value]
    if holding.empty:
        return f"No law holds among {count(len(frame), 'measured law')}."
    worst = holding.sort_values("ratio", ascending=False, kind="stable").iloc[0]
    return (
        f"Of {count(len(frame), 'measured law')}, {len(holding):,} hold; the law with the smallest margin is "
        f"{worst['law']} of {worst['case']} in {worst['dtype']}, at {times(worst['ratio'])} its bound."
    )
