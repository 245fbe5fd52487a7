"""The large pictures of the first layer: few lines, named where they end, one number to take away."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from harness.record import DataSource
from harness.wording.number import compare_speed, duration, rate, times

from ..page_part import Figure
from ..source import caveat_of
from ..text import shorten, workers_in_words
from .axis import names_of
from .chart import wide_and_narrow
from .loader import budgets as budget_figure
from .loader import draw_cells
from .step import step_times
from .survey import DTYPE, magnitudes
from .training import overfitting

SLOW = "\N{BLACK DOWN-POINTING TRIANGLE}"
"""Sign of a rate that is less than the demand of the training step."""

WIDE, NARROW = 10, 4
"""Number of configurations whose rates fit on a wide and on a narrow screen."""

MAX_LINES = 6
MAX_CHARACTERS = 24
"""Maximum length of a name at the end of a line or next to a bar."""


def contract_of_picture(profiles: pd.DataFrame, contract: str) -> str:
    """Return the contract for the plot of errors: the named or the first one; empty for none."""
    contracts = list(dict.fromkeys(map(str, profiles[profiles["dtype"] == DTYPE]["contract"])))
    return contract if contract in contracts else contracts[0] if contracts else ""


def magnitude(profiles: pd.DataFrame, breakings: pd.DataFrame, contract: str) -> Figure:
    """Return the error of a contract against the magnitude of its inputs."""
    return large("front-magnitude", magnitudes(profiles[profiles["contract"] == contract], breakings), whole=True)


def large(name: str, figure: Figure, *, whole: bool = False) -> Figure:
    """Return the first panel of a figure with identifiers of the first layer, or the whole figure."""
    panels = [panel.with_unique_ids(name) for panel in (figure.panels if whole else figure.panels[:1])]
    if len(panels) == 1:
        return replace(figure, name=name, panels=(replace(panels[0], title=""),), columns=1)
    return replace(figure, name=name, panels=tuple(panels), columns=3)


def visible_steps(steps: pd.DataFrame) -> pd.DataFrame:
    """Return the steps that are drawn: a few steps of the last family on one device."""
    if steps.empty:
        return steps
    family = steps["family"].iloc[-1]
    selected = steps[steps["family"] == family]
    device = sorted(set(selected["device"]), key=lambda name: name == "cpu")[0]
    selected = selected[(selected["device"] == device) & (selected["threads"] == selected["threads"].iloc[0])]
    selected = selected[selected["dtype"] == selected["dtype"].iloc[0]]
    visible_rows: pd.DataFrame = selected[selected["case"].isin(list(dict.fromkeys(selected["case"]))[:MAX_LINES])]
    return visible_rows


def compare_steps(frame: pd.DataFrame) -> tuple[str, str]:
    """Return the fastest and the slowest step of :func:`visible_steps` at the largest batch, long and short."""
    names, device = names_of(frame), str(frame["device"].iloc[0])
    largest = frame[frame["batch_size"] == frame["batch_size"].max()].sort_values("median_s", kind="stable")
    fastest, slowest = largest.iloc[0], largest.iloc[-1]
    fast, slow = names[str(fastest["case"])], names[str(slowest["case"])]
    ratio = times(slowest["median_s"] / fastest["median_s"])
    sentence = (
        f"On {'the CPU' if device == 'cpu' else device} at batch {fastest['batch_size']:,}, {fast} takes "
        f"{duration(fastest['median_s'])} and {slow} {duration(slowest['median_s'])}, {ratio} as long."
    )
    return sentence, f"{slow} takes {ratio} the time of {fast}"


def step_time(frame: pd.DataFrame, *, accelerator: str | None) -> Figure:
    """Return the time of a step against the batch size, from the frame of :func:`visible_steps`."""
    figure = large("front-step", step_times(frame, accelerator=accelerator))
    sentence, claim = compare_steps(frame)
    return replace(figure, caption=f"{sentence} {figure.caption}", claim=claim)


def loading(frame: pd.DataFrame, balance: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return a heat map of the rates of all loaders, with the demand of the training step."""
    best = frame.sort_values("samples_per_s", ascending=False, kind="stable")
    cases = list(dict.fromkeys(best["case"]))[: 2 * MAX_LINES]
    table = best.pivot_table(index="case", columns=["batch_size", "workers"], values="samples_per_s", aggfunc="max")
    table, first = table.loc[cases], best.iloc[0]
    names = _drop_common_words(names_of(frame))
    caption = (
        f"{names[str(first['case'])]} delivers {rate(first['samples_per_s'])} samples per second at batch size "
        f"{first['batch_size']:,} with {workers_in_words(int(first['workers']))}"
    )
    claim, demand = f"{names[str(first['case'])]} is the fastest data loader", 0.0
    if len(measured := balance[(balance["load_to_step_low"] > 0) & (balance["step_s"] > 0)]):
        row = measured.sort_values("load_to_step", kind="stable").iloc[0]
        demand, case = float(row["batch_size"] / row["step_s"]), str(row["case"])
        claim = f"With {names.get(case, case)}, {_compare_with_step(row)}"
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


def _compare_with_step(row: "pd.Series[float]") -> str:
    """Return how reading compares with the training step in a row of the balance."""
    ratio, low, high = (1.0 / float(row[f"load_to_step{end}"]) for end in ("", "_high", "_low"))
    return f"reading is {compare_speed(ratio, low, high)} the step"


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


def spent(budgets: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the parts of the batch time per loader, with the smallest measured number of workers."""
    selected = budgets[budgets["workers"] == budgets["workers"].min()]
    return large("front-budget", budget_figure(selected, source))


def overfits(epochs: pd.DataFrame, source: DataSource | None) -> Figure | None:
    """Return the first experiment whose held-out loss turns up; ``None`` without one."""
    figures = overfitting(epochs, source)
    claim = "Too many epochs raise the held-out loss"
    return replace(large("front-overfitting", figures[0]), claim=claim) if figures else None
