"""The rates of all loaders as a heat map against batch size and workers, with the demand of the training step."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from harness.record import DataSource
from harness.wording.number import rate

from ..page_part import Figure
from ..source import caveat_of
from ..style import INK, PAPER
from ..text import shorten, workers_in_words
from .axis import names_of
from .chart import wide_and_narrow
from .speed_comparison import best_row, compare_loaders, compare_with_step

MAP = "cividis"
"""A color map of even lightness that reads the same with the common kinds of color blindness and in gray."""

SLOW = "\N{BLACK DOWN-POINTING TRIANGLE}"
"""Sign of a rate that is less than the demand of the training step."""

WIDE, NARROW = 10, 4
"""Number of configurations whose rates fit on a wide and on a narrow screen."""

MAX_LOADERS = 12
MAX_CHARACTERS = 24
"""Maximum length of a name next to a row."""


def draw_cells(
    axes: Axes,
    rates: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]",
    norm: LogNorm,
    *,
    text: Callable[[float], str] = rate,
) -> None:
    """Fill each cell with the color of its rate and write the rate into it, in the ink of the better contrast."""
    axes.pcolormesh(rates, cmap=MAP, norm=norm, edgecolors=PAPER, linewidth=1.5)
    for (row, column), value in np.ndenumerate(rates):
        red, green, blue, _ = colormaps[MAP](norm(value))
        ink = "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.46 else "#ffffff"
        color = INK if np.isnan(value) else ink
        words = "" if np.isnan(value) else text(value)
        axes.text(column + 0.5, row + 0.5, words, ha="center", va="center", color=color)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(which="both", length=0)


def loading(frame: pd.DataFrame, balance: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return a heat map of the rates of all loaders, with the demand of the training step."""
    best = frame.sort_values("samples_per_s", ascending=False, kind="stable")
    cases = list(dict.fromkeys(best["case"]))[:MAX_LOADERS]
    table = best.pivot_table(index="case", columns=["batch_size", "workers"], values="samples_per_s", aggfunc="max")
    table, first = table.loc[cases], best_row(frame)
    names = _drop_common_words(names_of(frame))
    caption = (
        f"{names[str(first['case'])]} delivers {rate(first['samples_per_s'])} samples per second at batch size "
        f"{first['batch_size']:,} with {workers_in_words(int(first['workers']))}"
    )
    claim, demand = compare_loaders(frame, names), 0.0
    if len(measured := balance[(balance["load_to_step_low"] > 0) & (balance["step_s"] > 0)]):
        row = measured.sort_values("load_to_step", kind="stable").iloc[0]
        demand, case = float(row["batch_size"] / row["step_s"]), str(row["case"])
        claim = f"With {names.get(case, case)}, {compare_with_step(row)}"
        # Alone, a loader has another rate than in turns with the step.
        caption += f". The training step takes {rate(demand)} samples per second at batch size {row['batch_size']:,}"
        caption += f"; {SLOW} marks loaders that deliver less. The ratio in the title is from rounds in which both are"
        caption += " timed in turns"
    caption += ". A cell has the samples per second; a brighter cell is a higher rate"
    draw = partial(_draw_rates, table=table, demand=demand, names=names)
    panel = wide_and_narrow(
        "",
        draw,
        draw_narrow=partial(draw, width=NARROW),
        name="front-loader",
        label=f"{caption}.",
        height_in=0.9 + 0.4 * len(cases),
    )
    title, caveat = "Throughput of the data loaders against batch size and workers", caveat_of(frame, source)
    return Figure("front-loader", title, (panel,), f"{caption}.", ("loaders",), caveat, columns=1, claim=claim)


def _drop_common_words(names: dict[str, str]) -> dict[str, str]:
    """Return names without their module if they differ without it."""
    last = {case: name.rpartition(".")[2] for case, name in names.items()}
    return last if len(set(last.values())) == len(last) else names


def _draw_rates(axes: Axes, *, table: pd.DataFrame, demand: float, names: dict[str, str], width: int = WIDE) -> None:
    """Fill a cell for each loader and configuration; a sign marks rates below the demand.

    Rates are left out where more configurations than ``width`` have no room for them.
    """
    rates = table.to_numpy(dtype=float)
    norm = LogNorm(np.nanmin(rates), max(np.nanmax(rates), 1.01 * np.nanmin(rates)))
    draw_cells(axes, rates, norm, text=partial(_mark_rate, demand=demand, is_crowded=rates.shape[1] > width))
    _name_columns(axes, table.columns, width=width)
    rows = [shorten(names[str(case)], limit=MAX_CHARACTERS) for case in table.index]
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
    axes.set(xlabel="workers, batch size", ylim=(len(rows), 0))


def _mark_rate(value: float, *, demand: float, is_crowded: bool) -> str:
    """Return the text of a cell, with the sign below the rate."""
    return "\n".join([rate(value)] * (not is_crowded) + [SLOW] * bool(value < demand))


def _name_columns(axes: Axes, columns: pd.Index, *, width: int) -> None:
    """Write the workers below each column, and each batch size once below its columns, as many as fit."""
    places = pd.Series(np.arange(len(columns)) + 0.5, columns)
    shown, middles = places[:: 1 + len(places) // (3 * width)], places.groupby("batch_size").mean()
    sizes = middles[:: 1 + len(middles) // (width + 2)]
    axes.xaxis.remove_overlapping_locs = False
    axes.set_xticks(list(shown), [str(number) for number in shown.index.get_level_values("workers")])
    axes.set_xticks(list(sizes), [f"\n{size:,}" for size in sizes.index], minor=True)
