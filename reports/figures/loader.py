"""Loader throughput as a heat map: batch size down, workers across, one color scale for all loaders."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from harness.record import DataSource

from ..figure import Figure, Panel
from ..number import approximate, rate, times
from ..source import caveat_of
from ..style import INK, PAPER
from ..svg import draw_svg
from ..text import count, listing
from .axis import logarithmic
from .panel import panels_by

MAP = "cividis"
"""A color map of even lightness that reads the same with the common kinds of color blindness and in gray."""


def throughput(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the throughput of every loader, with the common scale as the last panel of several."""
    low, high = float(frame["samples_per_s"].min()), float(frame["samples_per_s"].max())
    norm = LogNorm(low, high if high > low else low * 1.01)
    panels = panels_by(frame, "case", partial(_build_panels, norm=norm))
    title = "Loader throughput against batch size and workers"
    panels = (*panels, *([_scale(norm)] if len(panels) > 1 else []))
    caption = _explain(frame)
    return Figure("loaders-figure", title, panels, caption, ("loaders",), caveat_of(frame, source), claim=_best(frame))


def _build_panels(case: str, frame: pd.DataFrame, number: int, *, norm: LogNorm) -> list[Panel]:
    """Return one loader; a configuration that was not measured stays empty."""
    table = frame.pivot_table(index="batch_size", columns="workers", values="samples_per_s", aggfunc="first")
    low, high = rate(frame["samples_per_s"].min()), rate(frame["samples_per_s"].max())
    label = f"Throughput of {case}: from {low} to {high} samples per second over {count(len(frame), 'configuration')}."
    draw, height_in = partial(_draw, table=table, norm=norm), 0.75 + 0.32 * max(3, len(table))
    return [Panel(case, draw_svg(draw, name=f"loader-{number}", label=label, height_in=height_in))]


def _draw(axes: Axes, *, table: pd.DataFrame, norm: LogNorm) -> None:
    """Fill each cell with the color of its rate and write the rate into it."""
    rates = table.to_numpy(dtype=float)
    rows, columns = rates.shape
    axes.pcolormesh(rates, cmap=MAP, norm=norm, edgecolors=PAPER, linewidth=1.5)
    for (row, column), value in np.ndenumerate(rates):
        axes.text(column + 0.5, row + 0.5, rate(value), ha="center", va="center", color=_choose_ink(value, norm))
    axes.set_xticks(np.arange(columns) + 0.5, map(str, table.columns))
    axes.set_yticks(np.arange(rows) + 0.5, map(str, table.index))
    axes.set(xlabel="workers (processes)", ylabel="batch size (samples)", ylim=(rows, 0))
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _choose_ink(value: float, norm: LogNorm) -> str:
    """Return black or white for the best contrast with the color of a value; the page's ink on an empty cell."""
    if pd.isna(value):
        return INK
    red, green, blue, _ = colormaps[MAP](norm(value))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"


def _scale(norm: LogNorm) -> Panel:
    """Return the color scale that all loaders share."""
    low, high = float(norm.vmin or 0), float(norm.vmax or 0)
    label = f"Color scale from {rate(low)} to {rate(high)} samples per second, logarithmic, dark to light."
    svg = draw_svg(lambda axes: _draw_bar(axes, low, high), name="loader-scale", label=label, height_in=0.62)
    return Panel("common color scale", svg)


def _draw_bar(axes: Axes, low: float, high: float) -> None:
    """Draw the scale as a strip of equal steps in the logarithm."""
    edges = [low * (high / low) ** (step / 48) for step in range(49)]
    axes.pcolormesh(edges, [0, 1], [edges[:-1]], cmap=MAP, norm=LogNorm(low, high), edgecolors="face", linewidth=0.4)
    logarithmic(axes.xaxis, [low, high], text=rate)
    axes.set(xlim=(low, high), yticks=[], xlabel="samples/s")
    axes.spines[:].set_visible(False)


def _best(frame: pd.DataFrame) -> str:
    """Return the rate of the fastest configuration of a single loader; empty for several loaders."""
    if len(frame["case"].unique()) > 1:
        return ""
    best = frame.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
    fastest = f"{best['case']} delivers up to {rate(best['samples_per_s'])} samples per second"
    return f"{fastest} at batch {best['batch_size']:,} {_format_workers(best)}"


def _format_workers(row: "pd.Series[float]") -> str:
    workers = int(row["workers"])
    return f"with {count(workers, 'worker')}" if workers else "without workers"


def _explain(frame: pd.DataFrame) -> str:
    """Return the fastest configuration, and the effect of workers on each loader."""
    best = frame.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
    fastest = f"{best['case']} at batch {best['batch_size']} {_format_workers(best)}"
    return (
        f"The fastest configuration is {fastest}: {approximate(best['samples_per_s'])} samples/s. {_workers(frame)} "
        "Cells are medians of steady epochs in one process; all colors share one logarithmic scale."
    )


def _workers(frame: pd.DataFrame) -> str:
    """Return which loaders gain from workers and which lose, each at its best batch size."""
    if frame["workers"].max() == 0 or frame["workers"].min() > 0:
        return ""
    without_workers = frame[frame["workers"] == 0].groupby("case", sort=False)["samples_per_s"].max()
    helped = frame[frame["workers"] > 0].groupby("case", sort=False)["samples_per_s"].max()
    gains = (helped / without_workers).dropna()
    phrases = [f"{case} {times(gain)}" for case, gain in gains.items()]
    return f"Best rate with workers / best rate without: {listing(phrases)}." if phrases else ""
