"""Law summary: the worst deviation of every law as a share of its bound, a strip for each contract."""

import math

import pandas as pd
from matplotlib.axes import Axes

from harness.record import Status

from ..figure import Figure
from ..number import times
from ..style import MUTED, pen
from ..svg import WIDE_IN
from ..text import count, shorten
from .panel import wide_and_narrow

LOW, HIGH = -4, 4
"""Powers of ten at the edges; shares beyond them are drawn at the edge."""

STEPS = 5
"""Places a decade: marks at one place are drawn once."""

ROW_IN = 0.18
"""Height of a contract in inches: three dozen of them are no taller than a screen."""

SHAPES = {Status.HOLDS.value: "o", Status.EXPECTED.value: "D", Status.LOST.value: "s"}
"""Markers of statuses that do not fail a run."""

HOLLOW = "Ds"
"""Markers drawn as outlines."""

MAX_CHARACTERS, MAX_CHARACTERS_WIDE = 24, 40
"""Characters of a contract's name on a phone, and where there is room."""

LEGEND_IN = 0.28
"""Room for the labels of the scale, between the strips and the legend above them."""

NAMES = {"foreign": "your code"}
"""Styles with another name in the legend."""

LANES = {"scratch": 0.35, "concise": 0.5, "foreign": 0.65}
"""Vertical position by style within the strip of a contract."""


def headroom_figure(verdicts: pd.DataFrame) -> Figure:
    """Return the share of the bound that each measured law uses."""
    measured = verdicts.dropna(subset=["ratio"])
    contracts = list(dict.fromkeys(measured["contract"]))

    panel = wide_and_narrow(
        "one mark for each case, law and dtype",
        lambda axes: _draw(axes, measured, contracts=contracts, limit=MAX_CHARACTERS_WIDE),
        draw_narrow=lambda axes: _draw(axes, measured, contracts=contracts, limit=MAX_CHARACTERS),
        name="laws",
        label=_explain(measured),
        height_in=1.1 + ROW_IN * len(contracts),
        wide_in=1.5 * WIDE_IN,
    )
    title = "Worst deviation as a share of its bound"
    caption = (
        f"{_explain(measured)} Laws to the right of the line are broken. Circles hold; diamonds are "
        "declared failures; squares are lost digits; crosses fail the run. Marks at an edge lie at or beyond it."
    )
    claim = f"{int((measured['ratio'] <= 1.0).sum()):,} of {len(measured):,} measured errors are within their bounds"
    return Figure("laws-figure", title, (panel,), caption, ("verdicts",), columns=1, claim=claim)


def _draw(axes: Axes, frame: pd.DataFrame, *, contracts: list[str], limit: int) -> None:
    """Draw a strip for each contract, named at the left, under the scale."""
    axes.axvline(0, color=MUTED, linewidth=0.9, linestyle="--")
    places = frame["contract"].map({contract: position for position, contract in enumerate(contracts)})
    lanes = frame["style"].map(LANES).fillna(LANES["foreign"])
    marks = frame.assign(at=frame["ratio"].map(_compute_position), height=places + lanes)
    for (style, status), group in marks.groupby(["style", "status"], sort=False):
        color, seen = pen(str(style)).color, group.drop_duplicates(["at", "height"])
        shape = SHAPES.get(str(status), "X")
        face = "none" if shape in HOLLOW else color
        axes.plot(seen["at"], seen["height"], shape, color=color, markerfacecolor=face, markersize=3.4, alpha=0.8)
    for style in dict.fromkeys(frame["style"]):
        axes.plot([], [], "o", markersize=4, color=pen(style).color, label=NAMES.get(style, style))
    axes.set(xlim=(LOW - 0.4, HIGH + 0.4), ylim=(len(contracts), 0.1))
    axes.set_xticks([LOW, 0, HIGH], ["≤ 1e-4", "the bound", "≥ 1e4"])
    middles = [position + 0.5 for position in range(len(contracts))]
    axes.set_yticks(middles, [shorten(name, limit=limit) for name in contracts])
    axes.xaxis.tick_top()
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1 + LEGEND_IN / (ROW_IN * len(contracts))), ncols=3)


def _compute_position(ratio: float) -> float:
    """Return the decimal logarithm of a share, rounded away from the line and limited to the edges."""
    if ratio <= 0 or math.isinf(ratio):
        return LOW if ratio <= 0 else HIGH
    steps = STEPS * math.log10(ratio)
    return max(LOW, min(HIGH, (math.floor(steps) if steps <= 0 else math.ceil(steps)) / STEPS))


def _explain(frame: pd.DataFrame) -> str:
    """Return the distance of the laws that hold from their bounds."""
    holding = frame[frame["status"] == Status.HOLDS.value]
    if holding.empty:
        return f"No law holds among {count(len(frame), 'measured law')}."
    worst = holding.sort_values("ratio", ascending=False, kind="stable").iloc[0]
    return (
        f"Of {count(len(frame), 'measured law')}, {len(holding):,} hold; the law with the smallest margin is "
        f"{worst['law']} of {worst['case']} in {worst['dtype']}, at {times(worst['ratio'])} its bound."
    )
