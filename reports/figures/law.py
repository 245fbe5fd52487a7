"""Law summary: the worst deviation of every law as a share of its bound, a strip for each contract."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from harness.record import Status
from reports.figure import Figure, Panel
from reports.figures.axis import legend_above
from reports.number import times
from reports.style import GRID, INK, MUTED, pen
from reports.svg import drawn
from reports.text import count

LOW, HIGH = -4, 4
"""Powers of ten between which shares are told apart; what lies beyond is drawn at the edge, which says so."""

LANES = {"scratch": 0.32, "concise": 0.5, "foreign": 0.68}
"""Height of each style within the strip of a contract."""


def room(verdicts: pd.DataFrame) -> Figure:
    """Return the share of the bound that each law uses up, wherever something was measured."""
    measured = verdicts.dropna(subset=["ratio"])
    contracts = list(dict.fromkeys(measured["contract"]))
    svg = drawn(
        lambda axes: _draw(axes, measured, contracts=contracts),
        name="laws",
        label=_sentence(measured),
        height_in=0.75 + 0.38 * len(contracts),
    )
    return Figure(
        name="laws-figure",
        frames=("verdicts",),
        title="Worst deviation as a share of its bound",
        panels=(Panel("one mark for each case, law and dtype", svg),),
        caption=f"{_sentence(measured)} Right of the line a law is broken. Circles are laws that hold, diamonds "
        "declared failures, crosses what makes the run fail; marks at the edges lie at or beyond them.",
        columns=1,
    )


def _draw(axes: Axes, frame: pd.DataFrame, *, contracts: list[str]) -> None:
    """Draw a strip for each contract, its name above the marks."""
    axes.axvline(0, color=MUTED, linewidth=0.9, linestyle="--")
    for place, contract in enumerate(contracts):
        axes.text(LOW - 0.35, place + 0.08, contract, color=INK, fontsize=7.5, va="center")
        axes.axhline(place - 0.12, color=GRID, linewidth=0.8)
        _strip(axes, frame[frame["contract"] == contract], place=place)
    for style in dict.fromkeys(frame["style"]):
        axes.plot([], [], marker="o", linestyle="none", markersize=4, color=pen(style).color, label=style)
    legend_above(axes, columns=3)
    axes.set(xlim=(LOW - 0.4, HIGH + 0.4), ylim=(len(contracts) - 0.05, -0.2), xlabel="deviation / bound")
    axes.set_xticks([LOW, -2, 0, 2, HIGH], ["≤ 0.0001", "0.01", "1", "100", "≥ 10,000"])
    axes.yaxis.set_major_locator(NullLocator())
    axes.spines["left"].set_visible(False)


def _strip(axes: Axes, frame: pd.DataFrame, *, place: int) -> None:
    """Draw the marks of one contract; those that would cover each other are drawn once."""
    marks = {
        (_position(ratio), style, status)
        for ratio, style, status in zip(frame["ratio"], frame["style"], frame["status"], strict=True)
    }
    for position, style, status in sorted(marks):
        shape = {Status.HOLDS.value: "o", Status.EXPECTED.value: "D"}.get(status, "X")
        face = "none" if shape == "D" else pen(style).color
        height = place + 0.12 + LANES.get(style, 0.68)
        axes.plot(position, height, marker=shape, color=pen(style).color, markerfacecolor=face, markersize=4, alpha=0.8)


def _position(ratio: float) -> float:
    """Return the decimal logarithm of a share, to one place away from the line and kept between the edges."""
    if ratio <= 0 or math.isinf(ratio):
        return LOW if ratio <= 0 else HIGH
    tenths = 10 * math.log10(ratio)
    return max(LOW, min(HIGH, (math.floor(tenths) if tenths <= 0 else math.ceil(tenths)) / 10))


def _sentence(frame: pd.DataFrame) -> str:
    """Return how close the laws that hold come to their bounds."""
    holding = frame[frame["status"] == Status.HOLDS.value]
    if holding.empty:
        return f"No law holds among {count(len(frame), 'measured law')}."
    worst = holding.sort_values("ratio", ascending=False, kind="stable").iloc[0]
    return (
        f"Of {count(len(frame), 'measured law')}, {len(holding):,} hold; the one with the least room is "
        f"{worst['law']} of {worst['case']} in {worst['dtype']}, at {times(worst['ratio'])} its bound."
    )
