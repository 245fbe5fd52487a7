"""Overfitting: experiments whose held-out loss rises again while the training loss continues to fall."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harness.record import DataSource

from ..figure import Figure, Panel
from ..number import plain
from ..source import caveats
from ..style import GRID, INK, LINE
from ..svg import add_tooltips
from ..text import count, listing
from .panel import wide_and_narrow
from .training import draw_curve

RISE = 0.05
"""Share by which the last held-out loss must exceed the lowest one to be called overfitting."""


LOSSES = ["held_out_loss", "train_loss"]

NEAR = 0.005
"""Relative difference up to which two losses coincide."""


def overfits(curve: pd.DataFrame) -> bool:
    """Whether the held-out loss of a training run ends more than :data:`RISE` above its lowest value.

    The lowest value must come after the start, and the training loss must have fallen further since.
    """
    seen = curve.dropna(subset=["held_out_loss"]).sort_values("epoch", kind="stable")
    if len(seen) < 3:
        return False
    lowest, last = lowest_epoch(curve), seen.iloc[-1]
    rises = last["held_out_loss"] > (1 + RISE) * lowest["held_out_loss"]
    return bool(rises and lowest["epoch"] > 0 and last["train_loss"] < lowest["train_loss"])


def lowest_epoch(curve: pd.DataFrame) -> "pd.Series[float]":
    """Return the first epoch of lowest held-out loss."""
    return curve.sort_values(["held_out_loss", "epoch"], kind="stable").iloc[0]


def overfitting(epochs: pd.DataFrame, source: DataSource | None) -> tuple[Figure, ...]:
    """Return a figure for each experiment in which some case overfits, with a panel for each such case."""
    figures: list[Figure] = []
    for experiment, frame in epochs.groupby("experiment", sort=False):
        curves = {str(case): curve for case, curve in frame.groupby("case", sort=False) if overfits(curve)}
        if curves:
            figures.append(_build_figure(str(experiment), curves, source, name=f"overfitting-{len(figures) + 1}"))
    return tuple(figures)


def _build_figure(experiment: str, curves: dict[str, pd.DataFrame], source: DataSource | None, *, name: str) -> Figure:
    """Return one experiment."""
    curves = _join(curves)
    panels = [_panel(case, curve, name=f"{name}-{position}") for position, (case, curve) in enumerate(curves.items())]
    labels = dict.fromkeys(str(label) for curve in curves.values() for label in curve["data"])
    sentences = " ".join(_explain(case, curve) for case, curve in curves.items())
    title = f"{experiment[:1].upper()}{experiment[1:]}: the held-out loss rises again"
    caption = f"{sentences} Data: {', '.join(labels)}."
    return Figure(f"{name}-figure", title, tuple(panels), caption, ("epochs",), caveats(labels, source), columns=1)


def _join(curves: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the curves that differ, each with the names of the cases whose losses coincide."""
    groups: list[tuple[list[str], pd.DataFrame]] = []
    for case, curve in curves.items():
        names = next((names for names, representative in groups if _coincide(curve, representative)), None)
        if names is None:
            groups.append(([case], curve))
        else:
            names.append(case)
    return {listing(names): curve for names, curve in groups}


def _coincide(curve: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Whether the losses of two runs are indistinguishable in a drawing."""
    if len(curve) != len(other):
        return False
    ordered = (frame.sort_values("epoch", kind="stable") for frame in (curve, other))
    first, second = (frame[LOSSES].to_numpy(dtype=float) for frame in ordered)
    return bool(np.allclose(first, second, rtol=NEAR, atol=0.0, equal_nan=True))


def _panel(case: str, curve: pd.DataFrame, *, name: str) -> Panel:
    """Return one training run, wide and narrow."""
    label = _explain(case, curve)
    return wide_and_narrow(case, lambda axes: _draw(axes, curve), name=name, label=label, height_in=3.5)


def _draw(axes: Axes, curve: pd.DataFrame) -> None:
    """Draw both losses on separate scales, and mark the epoch with the lowest held-out loss."""
    figure = axes.get_figure()
    assert figure is not None
    axes.remove()
    below: Axes
    above, below = figure.subplots(2, 1, sharex=True)
    lowest = lowest_epoch(curve)
    for panel_axes, column, text in ((above, "held_out_loss", "held-out loss"), (below, "train_loss", "training loss")):
        panel_axes.axvspan(lowest["epoch"], curve["epoch"].max(), color=GRID, alpha=0.55, linewidth=0, zorder=0)
        panel_axes.axvline(lowest["epoch"], color=LINE, linewidth=0.9, zorder=1)
        draw_curve(panel_axes, curve, column, label=text)
        panel_axes.set(ylabel=text, ylim=_choose_limits(curve, column))
        panel_axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
        samples = curve.iloc[:: max(1, len(curve) // MAX_TOOLTIPS)]
        losses = zip(samples["epoch"], samples[column], strict=True)
        add_tooltips(panel_axes, [(epoch, loss, f"epoch {epoch}, {text}: {loss!r}") for epoch, loss in losses])
    where = (lowest["epoch"], lowest["held_out_loss"])
    above.plot(*where, color=INK, marker="*", markersize=9, linestyle="none", zorder=5)
    text = f"lowest: {plain(lowest['held_out_loss'])}, epoch {lowest['epoch']:.0f}"
    above.annotate(text, where, xytext=(6, 26), textcoords="offset points", color=INK, va="bottom")
    below.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    below.set(xlabel="epoch")


MAX_TOOLTIPS = 40
"""Epochs that tell their losses."""

FAR = 2.0
"""The axis extends above the lowest loss by this multiple of the final rise; a much higher start is cut off."""


def _choose_limits(curve: pd.DataFrame, column: str) -> tuple[float | None, float | None]:
    """Return a scale that shows the end of a loss; the whole range if the start is not much higher."""
    seen = curve.sort_values("epoch", kind="stable")[column].dropna()
    finite = seen[seen.abs() < math.inf]
    if finite.empty:
        return None, None
    low, last = float(finite.min()), float(finite.iloc[-1])
    margin = FAR * (last - low) if column == "held_out_loss" else 0.0
    if margin <= 0.0 or low + margin >= float(finite.max()):
        return None, None
    return low - 0.15 * margin, low + margin


def _explain(case: str, curve: pd.DataFrame) -> str:
    """Return the lowest and the last held-out loss of a run."""
    lowest, last = lowest_epoch(curve), curve.sort_values("epoch").iloc[-1]
    later = int(last["epoch"] - lowest["epoch"])
    return (
        f"The held-out loss of {case} is lowest after epoch {lowest['epoch']:.0f}: {plain(lowest['held_out_loss'])}. "
        f"After {count(later, 'more epoch')} it is {plain(last['held_out_loss'])}, while the training loss fell from "
        f"{plain(lowest['train_loss'])} to {plain(last['train_loss'])}."
    )
