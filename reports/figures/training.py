"""Training curves, and experiments whose held-out loss rises again."""

import math
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.record import DataSource
from harness.wording.number import percent, plain

from ..page_part import Figure, Panel
from ..source import caveat_of, caveats
from ..style import GRID, INK, LINE, pen
from ..svg import add_tooltips, belongs
from ..text import count, listing
from .axis import End, logarithmic, names_of
from .chart import curve_panels, wide_and_narrow

MEASURES = {"loss": ("train_loss", "held_out_loss"), "accuracy": ("train_accuracy", "held_out_accuracy")}
"""What is drawn: the column on the training data and the one on held-out data."""

KINDS = {"training": "-", "held out": "--"}
"""Line style of the curve on each kind of data."""


def training_curves(epochs: pd.DataFrame, source: DataSource | None) -> tuple[Figure, ...]:
    """Return one figure for each experiment without overfitting, which has its own, in the order of training."""
    groups = [(str(experiment), group) for experiment, group in epochs.groupby("experiment", sort=False)]
    calm = [(name, group) for name, group in groups if not any(overfits(run) for _, run in group.groupby("case"))]
    return tuple(_build_figure(*each, source, name=f"training-{number}") for number, each in enumerate(calm, 1))


def _build_figure(experiment: str, frame: pd.DataFrame, source: DataSource | None, *, name: str) -> Figure:
    """Return the loss of an experiment, and its accuracy if there is one."""
    panels: list[Panel] = []
    for measure in (name for name, columns in MEASURES.items() if frame[list(columns)].notna().to_numpy().any()):
        size = f"{count(frame['case'].nunique(), 'case')}, {count(int(frame['epoch'].max()), 'epoch')}"
        label = f"{measure.capitalize()} against epoch, {experiment}: {size}."
        draw = partial(_draw, frame=frame, measure=measure)
        panels += curve_panels(measure, draw, name=f"{name}-{measure}", label=label, height_in=2.6)
    title = f"{experiment[:1].upper()}{experiment[1:]}"
    every = tuple(panels) or (Panel("loss", note="every loss of this run is NaN"),)
    caption = f"{_explain_ends(frame)} Data: {listing([str(label) for label in frame['data'].unique()])}."
    caveat, claim = caveat_of(frame, source), _find_best(title, frame)
    return Figure(f"{name}-figure", title, every, caption, ("epochs",), caveat, columns=2, claim=claim)


def _find_best(name: str, frame: pd.DataFrame) -> str:
    """Return the best accuracy or the lowest loss at the end of an experiment, on held-out data if possible."""
    last = frame.sort_values("epoch", kind="stable").drop_duplicates("case", keep="last")
    accuracy = last["held_out_accuracy"].max()
    if pd.notna(accuracy):
        return f"{name} reaches a held-out accuracy of {percent(accuracy)}"
    column, kind = ("held_out_loss", "held-out") if last["held_out_loss"].notna().any() else ("train_loss", "training")
    loss = last[column].min()
    return f"{name} ends with a {kind} loss of {plain(loss)}" if pd.notna(loss) else ""


def _draw(axes: Axes, frame: pd.DataFrame, *, measure: str) -> list[End]:
    """Draw training data solid and held-out data dashed, broad scratch below narrow concise."""
    names = names_of(frame)
    for case, curve in frame.groupby("case", sort=False):
        for column, kind in zip(MEASURES[measure], KINDS, strict=True):
            if curve[column].notna().any():
                draw_curve(axes, curve.sort_values("epoch"), column, label=f"{names[str(case)]}, {kind}")
                belongs(str(case), axes.lines[-1])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set(xlabel="epoch", ylabel=measure)
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        return list(_list_ends(axes, frame, measure))
    losses = frame[["train_loss", "held_out_loss"]]
    low, high = losses.min().min(), losses.max().max()
    if low > 0 and high > 50 * low:  # enough decades for a logarithmic axis
        logarithmic(axes.yaxis, [*frame["train_loss"], *frame["held_out_loss"]], text=plain)
    return list(_list_ends(axes, frame, measure))


def _list_ends(axes: Axes, frame: pd.DataFrame, measure: str) -> Iterator[End]:
    """Yield the ends of curves; curves with the same end share a name."""
    names = names_of(frame)
    for column, kind in zip(MEASURES[measure], KINDS, strict=True):
        ends: list[tuple[float, float, list[str], str]] = []
        for name, curve in ((names[str(case)], group) for case, group in frame.groupby("case", sort=False)):
            seen = curve.sort_values("epoch")[column].dropna()
            if seen.empty:
                continue
            last = float(seen.iloc[-1])
            height = axes.transAxes.inverted().transform(axes.transData.transform((0, last)))[1]
            near = next((end for end in ends if abs(end[1] - height) < 0.02), None)
            if near is None:
                ends.append((last, height, [name], pen(str(curve["style"].iloc[0])).color))
            else:
                near[2].append(name)
        for last, _, shared, color in ends:
            yield End(last, f"{listing(shared, at_most=2)}, {kind}", color if len(shared) == 1 else INK)


def draw_curve(axes: Axes, curve: pd.DataFrame, column: str, *, label: str) -> None:
    """Draw one column of a training run against the epoch."""
    own_pen, spacing = pen(str(curve["style"].iloc[0])), max(1, len(curve) // 12)
    look = own_pen._asdict() | {"linestyle": KINDS["held out" if column.startswith("held_out") else "training"]}
    axes.plot(curve["epoch"], curve[column], label=label, markevery=spacing, markerfacecolor=own_pen.face, **look)


def _explain_ends(frame: pd.DataFrame) -> str:
    """Return a sentence on the last epoch of every case."""
    names = names_of(frame)
    sentences = []
    for case, curve in frame.groupby("case", sort=False):
        last = curve.sort_values("epoch").iloc[-1]
        parts = [f"training loss {plain(last['train_loss'])}"]
        if pd.notna(last["held_out_loss"]):
            parts.append(f"held-out loss {plain(last['held_out_loss'])}")
        if pd.notna(last["held_out_accuracy"]):
            parts.append(f"held-out accuracy {percent(last['held_out_accuracy'])}")
        sentences.append(f"After {count(int(last['epoch']), 'epoch')}, {names[str(case)]} has {listing(parts)}.")
    return " ".join(sentences)


RISE = 0.05
"""Share by which the last held-out loss must exceed the lowest one to be called overfitting."""


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
            figures.append(
                _build_overfitting_figure(str(experiment), curves, source, name=f"overfitting-{len(figures) + 1}")
            )
    return tuple(figures)


def _build_overfitting_figure(
    experiment: str, curves: dict[str, pd.DataFrame], source: DataSource | None, *, name: str
) -> Figure:
    """Return one experiment."""
    curves = _join(curves)
    panels = []
    for position, (case, curve) in enumerate(curves.items()):
        draw, label = partial(_draw_losses, curve=curve), _explain_rise(case, curve)
        panels.append(wide_and_narrow(case, draw, name=f"{name}-{position}", label=label, height_in=3.5))
    labels = dict.fromkeys(str(label) for curve in curves.values() for label in curve["data"])
    sentences = " ".join(_explain_rise(case, curve) for case, curve in curves.items())
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
    """Whether the losses of two runs are indistinguishable in a drawing: their relative difference is below 0.005."""
    ordered = (frame.sort_values("epoch", kind="stable") for frame in (curve, other))
    first, second = (frame[["held_out_loss", "train_loss"]].to_numpy(dtype=float) for frame in ordered)
    return len(first) == len(second) and np.allclose(first, second, rtol=0.005, atol=0.0, equal_nan=True)


def _draw_losses(axes: Axes, curve: pd.DataFrame) -> None:
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
        samples = curve.iloc[:: max(1, len(curve) // 40)]
        losses = zip(samples["epoch"], samples[column], strict=True)
        add_tooltips(panel_axes, [(epoch, loss, f"epoch {epoch}, {text}: {loss!r}") for epoch, loss in losses])
    where = (lowest["epoch"], lowest["held_out_loss"])
    above.plot(*where, color=INK, marker="*", markersize=9, linestyle="none", zorder=5)
    text = f"lowest: {plain(lowest['held_out_loss'])}, epoch {lowest['epoch']:.0f}"
    above.annotate(text, where, xytext=(6, 26), textcoords="offset points", color=INK, va="bottom")
    below.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    below.set(xlabel="epoch")


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


def _explain_rise(case: str, curve: pd.DataFrame) -> str:
    """Return the lowest and the last held-out loss of a run."""
    lowest, last = lowest_epoch(curve), curve.sort_values("epoch").iloc[-1]
    later = int(last["epoch"] - lowest["epoch"])
    return (
        f"The held-out loss of {case} is lowest after epoch {lowest['epoch']:.0f}: {plain(lowest['held_out_loss'])}. "
        f"After {count(later, 'more epoch')} it is {plain(last['held_out_loss'])}, while the training loss fell from "
        f"{plain(lowest['train_loss'])} to {plain(last['train_loss'])}."
    )
