"""Parts of the batch time: a bar for each loader, divided into its parts, a panel for each number of workers."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.record import DataSource
from harness.record.budget import PARTS

from ..figure import Figure, Panel
from ..number import percent
from ..source import caveat_of
from ..tables.loader import first_rows
from ..text import count, shorten, workers_in_words
from .axis import legend_above, rows_of
from .name import names_of
from .panel import panels_by, wide_and_narrow

COLORS = {
    "index": "#999999",
    "read": "#0072b2",
    "decode": "#56b4e9",
    "transform": "#009e73",
    "fetch": "#7fc9a8",
    "collate": "#e69f00",
    "hand-over": "#d55e00",
    "pin": "#a85d0c",
    "around": "#f0e442",
    "DataLoader": "#c0427e",
    "wait": "#cc79a7",
    "epoch": "#6e6e6e",
    "step": "#6f5fd0",
    "not attributed": "#dddddd",
}
"""Colours of the parts, which stand in this order; each is named in the legend, and none is lost on dark paper."""

MAX_CHARACTERS, LEAST = 26, 0.005
"""Maximum length of a name next to a bar on a phone, and the smallest share that is drawn."""

MAX_CHARACTERS_WIDE = 36
"""Characters of a name where there is room."""

FEW = 2
"""Up to this number of loaders, sentences are in the caption; otherwise in a table."""

DISJOINT = "The parts are disjoint and measured. Time outside all parts is shown as not attributed."
"""Explains the parts."""

LEGEND_ROW_IN = 0.2
"""Height of a row of the legend in inches."""


def _build_panels(_: object, frame: pd.DataFrame, number: int, *, names: dict[str, str]) -> list[Panel]:
    """Return the shares of the loaders with one number of workers; many loaders have a legend at the side."""
    legend_in, bars_in = LEGEND_ROW_IN * frame["part"].nunique(), 0.28 * frame["case"].nunique()
    side_legend = bars_in >= legend_in
    draw = partial(_draw, frame=frame, names=names)
    panel = wide_and_narrow(
        _format_title(frame),
        partial(draw, limit=MAX_CHARACTERS_WIDE, side_legend=side_legend),
        draw_narrow=partial(draw, limit=MAX_CHARACTERS, side_legend=False),
        name=f"budget-{number}",
        label=_format_label(frame),
        height_in=0.8 + bars_in + (0.0 if side_legend else 0.5 + legend_in),
        narrow_height_in=1.3 + legend_in + bars_in,
    )
    return [panel]


def budgets(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the shares of a batch's time; for few loaders, the caption has a sentence on each."""
    large, names = frame[frame["share"] >= LEAST], names_of(frame)
    panels = panels_by(large.sort_values("workers", kind="stable"), "workers", partial(_build_panels, names=names))
    sentences = [f"{row['case']}: {row['sentence']}." for _, row in first_rows(frame).iterrows()]
    visible_sentences = sentences if len(sentences) <= FEW else []
    title = f"Where the time of a batch of {int(frame['batch_size'].iloc[0])} goes, in a training loop"
    caption = " ".join([*visible_sentences, DISJOINT])
    claim = _count_loading_first(frame)
    return Figure(
        "budget-figure", title, panels, caption, ("budgets",), caveat_of(frame, source), columns=1, claim=claim
    )


def _count_loading_first(frame: pd.DataFrame) -> str:
    """Return the number of loaders with which the step takes less than half of the time, without workers."""
    steps = frame[(frame["part"] == "step") & (frame["workers"] == frame["workers"].min())]
    if steps.empty:
        return ""
    batch, slow = int(frame["batch_size"].iloc[0]), int((steps["share"] < 0.5).sum())
    return f"With {slow} of {count(len(steps), 'loader')}, loading takes longer than the step (batch {batch:,})"


def _format_title(frame: pd.DataFrame) -> str:
    return workers_in_words(int(frame["workers"].iloc[0]))


def _format_label(frame: pd.DataFrame) -> str:
    largest = frame.sort_values("share", ascending=False, kind="stable").drop_duplicates("case")
    label = "; ".join(f"{row['case']} {row['part']} {percent(row['share'])}" for _, row in largest.iterrows())
    return f"Shares of the batch time, {_format_title(frame)}, largest part by loader: {label}."


def _draw(axes: Axes, frame: pd.DataFrame, *, names: dict[str, str], limit: int, side_legend: bool) -> None:
    """Draw the parts of every loader end to end, with a legend at the side or above."""
    cases = list(dict.fromkeys(frame["case"]))
    start = pd.Series(0.0, index=cases)
    for part in PARTS:
        shares = 100 * frame[frame["part"] == part].groupby("case")["share"].first().reindex(cases).fillna(0.0)
        places = [position for position, share in enumerate(shares) if share > 0]
        if places:
            widths, starts = shares.iloc[places], start.iloc[places]
            axes.barh(places, widths, left=starts, color=COLORS[part], height=0.62, label=part)
        start = start + shares
    rows_of(axes, cases, [shorten(names[case], limit=limit) for case in cases])
    axes.set(xlabel="share of the batch time (%)", xlim=(0, 100), ylim=(len(cases) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    if side_legend:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), ncols=1)
    else:  # beside the names there is room for one column
        legend_above(axes, columns=1)
