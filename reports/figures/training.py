"""Training curves: loss and accuracy against epoch, scratch and concise, one figure for each experiment."""

from collections.abc import Iterator
from functools import partial

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from harness.record import DataSource

from ..figure import Figure, Panel
from ..number import percent, plain
from ..source import caveat_of
from ..style import INK, pen
from ..svg import belongs
from ..text import count, listing
from .axis import End, logarithmic
from .name import names_of
from .panel import curve_panels

MEASURES = {"loss": ("train_loss", "held_out_loss"), "accuracy": ("train_accuracy", "held_out_accuracy")}
"""What is drawn: the column on the training data and the one on held-out data."""

HEIGHT_IN = 2.6

KINDS = {"training": "-", "held out": "--"}
"""Line style of the curve on each kind of data."""


def training_curves(epochs: pd.DataFrame, source: DataSource | None) -> tuple[Figure, ...]:
    """Return one figure for each experiment, in the order they were trained."""
    groups = epochs.groupby("experiment", sort=False)
    return tuple(
        _build_figure(str(experiment), group, source, name=f"training-{number}")
        for number, (experiment, group) in enumerate(groups, 1)
    )


def _build_figure(experiment: str, frame: pd.DataFrame, source: DataSource | None, *, name: str) -> Figure:
    """Return the loss of an experiment, and its accuracy if there is one."""
    measures = [name for name, columns in MEASURES.items() if frame[list(columns)].notna().to_numpy().any()]
    drawn = [
        panel
        for measure in measures
        for panel in _build_panels(measure, frame, name=f"{name}-{measure}", experiment=experiment)
    ]
    title = f"{experiment[:1].upper()}{experiment[1:]}"
    panels = tuple(drawn) or (Panel("loss", note="every loss of this run is NaN"),)
    caption = f"{_explain_ends(frame)} Data: {listing([str(label) for label in frame['data'].unique()])}."
    claim = _find_best(experiment, frame)
    return Figure(
        f"{name}-figure", title, panels, caption, ("epochs",), caveat_of(frame, source), columns=2, claim=claim
    )


def _find_best(experiment: str, frame: pd.DataFrame) -> str:
    """Return the best accuracy or the lowest loss at the end of an experiment, on held-out data if possible."""
    last = frame.sort_values("epoch", kind="stable").drop_duplicates("case", keep="last")
    name, accuracy = f"{experiment[:1].upper()}{experiment[1:]}", last["held_out_accuracy"].max()
    if pd.notna(accuracy):
        return f"{name} reaches a held-out accuracy of {percent(accuracy)}"
    column, kind = ("held_out_loss", "held-out") if last["held_out_loss"].notna().any() else ("train_loss", "training")
    loss = last[column].min()
    return f"{name} ends with a {kind} loss of {plain(loss)}" if pd.notna(loss) else ""


def _build_panels(measure: str, frame: pd.DataFrame, *, name: str, experiment: str) -> list[Panel]:
    """Return one measure against the epoch."""
    epochs = count(int(frame["epoch"].max()), "epoch")
    label = f"{measure.capitalize()} against epoch, {experiment}: {count(frame['case'].nunique(), 'case')}, {epochs}."
    draw = partial(_draw, frame=frame, measure=measure)
    return curve_panels(measure, draw, name=name, label=label, height_in=HEIGHT_IN)


def _draw(axes: Axes, frame: pd.DataFrame, *, measure: str) -> list[End]:
    """Draw training data solid and held-out data dashed, broad scratch below narrow concise."""
    for name, curve, column in _list_curves(frame, measure):
        draw_curve(axes, curve, column, label=name)
        belongs(str(curve["case"].iloc[0]), axes.lines[-1])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.set(xlabel="epoch", ylabel=measure)
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    elif _has_decades(frame):
        logarithmic(axes.yaxis, [*frame["train_loss"], *frame["held_out_loss"]], text=plain)
    return list(_list_ends(axes, frame, measure))


def _list_curves(frame: pd.DataFrame, measure: str) -> Iterator[tuple[str, pd.DataFrame, str]]:
    """Yield name, epochs and column per curve."""
    names = names_of(frame)
    for case, curve in frame.groupby("case", sort=False):
        for column, kind in zip(MEASURES[measure], KINDS, strict=True):
            if curve[column].notna().any():
                yield f"{names[str(case)]}, {kind}", curve.sort_values("epoch"), column


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
            near = next((end for end in ends if abs(end[1] - height) < NEAR), None)
            if near is None:
                ends.append((last, height, [name], pen(str(curve["style"].iloc[0])).color))
            else:
                near[2].append(name)
        for last, _, shared, color in ends:
            yield End(last, f"{listing(shared, at_most=2)}, {kind}", color if len(shared) == 1 else INK)


NEAR = 0.02
"""Share of the axes within which two curves are indistinguishable."""


def draw_curve(axes: Axes, curve: pd.DataFrame, column: str, *, label: str) -> None:
    """Draw one column of a training run against the epoch."""
    own_pen, spacing = pen(str(curve["style"].iloc[0])), max(1, len(curve) // 12)
    look = own_pen._asdict() | {"linestyle": KINDS["held out" if column.startswith("held_out") else "training"]}
    axes.plot(curve["epoch"], curve[column], label=label, markevery=spacing, markerfacecolor=own_pen.face, **look)


def _has_decades(frame: pd.DataFrame) -> bool:
    """Whether the losses are positive and span more than a factor of fifty."""
    losses = frame[["train_loss", "held_out_loss"]]
    low, high = losses.min().min(), losses.max().max()
    return bool(low > 0 and high > 50 * low)


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
