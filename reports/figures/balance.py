"""The share of the training loop that waits for its loader: a bar for each loader, a panel for each configuration."""

from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.record import DataSource

from ..figure import Figure, Panel
from ..number import percent, times
from ..source import caveat_of
from ..style import INK, MUTED, pen
from ..svg import draw_svg
from ..text import count, workers_in_words
from .axis import rows_of, whiskers
from .name import names_of
from .panel import panels_by


def waiting(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the share that waits, with its interval and the limit up to which loading keeps ahead."""
    ordered = frame.sort_values(["batch_size", "workers"], kind="stable")
    title = "Share of the training loop spent waiting for the next batch"
    panels = panels_by(ordered, ["batch_size", "workers"], _build_panels)
    caption = (
        f"{_explain_starving(frame)} Bars show the estimate; whiskers are 95 % intervals within "
        "one process. Loading keeps ahead if the interval is below the dashed line."
    )
    claim = _count_starving(frame)
    return Figure("balance-figure", title, panels, caption, ("balance",), caveat_of(frame, source), claim=claim)


def _count_starving(frame: pd.DataFrame) -> str:
    """Return the number of loaders that make the loop wait too long in every configuration."""
    starves = (frame["verdict"] == "starves the step").groupby(frame["case"], sort=False).all()
    highest = f"{100 * frame['most_waiting'].max():.0f} %"
    loaders = f"{int(starves.sum())} of {count(len(starves), 'loader')}"
    return f"{loaders} always keep the loop waiting over {highest} of the time"


def _explain_starving(frame: pd.DataFrame) -> str:
    """Return the number of loaders that starve the step without workers, and the range of this effect."""
    starving = frame[(frame["verdict"] == "starves the step") & (frame["load_to_step"] >= 1) & (frame["workers"] == 0)]
    if starving.empty:
        return ""
    names, rows = names_of(frame), starving.sort_values("load_to_step", kind="stable")
    least, highest = (
        f"{times(row['load_to_step'])} in {names[str(row['case'])]} at batch {row['batch_size']:,}"
        for row in (rows.iloc[0], rows.iloc[-1])
    )
    loaders = count(starving["case"].nunique(), "loader")
    span = f"from {least} to {highest}" if len(rows) > 1 else highest
    return f"Without workers, loading a batch takes longer than the step in {loaders}: {span}."


def _build_panels(_: object, frame: pd.DataFrame, number: int) -> list[Panel]:
    first = frame.iloc[0]
    title = f"batch {first['batch_size']}, {workers_in_words(int(first['workers']))}"
    low, high = percent(frame["wait_share"].min()), percent(frame["wait_share"].max())
    label = f"Share of the training loop spent waiting, {title}: {count(len(frame), 'loader')}, from {low} to {high}."
    height_in = 0.7 + 0.3 * len(frame)
    return [
        Panel(title, draw_svg(partial(_draw, frame=frame), name=f"balance-{number}", label=label, height_in=height_in))
    ]


def _draw(axes: Axes, frame: pd.DataFrame) -> None:
    names = names_of(frame)
    for position, (_, row) in enumerate(frame.iterrows()):
        share, *ends = ([100 * row[name]] for name in ("wait_share", "wait_share_low", "wait_share_high"))
        axes.barh(position, share, height=0.6, color=pen(str(row["style"])).color, alpha=0.75)
        axes.errorbar(share, position, xerr=whiskers(share, *ends), color=INK, elinewidth=1.0, capsize=2.5)
    axes.axvline(100 * float(frame["most_waiting"].max()), color=MUTED, linestyle="--", linewidth=1.0)
    cases = [str(case) for case in frame["case"]]
    rows_of(axes, cases, [names[case] for case in cases])
    axes.set(xlim=(0, 100), ylim=(len(frame) - 0.4, -0.6), xlabel="time spent waiting (%)")
    axes.grid(visible=False, axis="y")
