"""The large pictures of the first layer: few lines, named where they end, one number to take away."""

from dataclasses import replace

import pandas as pd

from harness.record import DataSource

from ..page_part import Figure
from .loader import budgets as budget_figure
from .speed_comparison import compare_steps
from .step import step_times
from .survey import DTYPE, magnitudes
from .training import overfitting

MAX_LINES = 6


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


def step_time(frame: pd.DataFrame, *, accelerator: str | None) -> Figure:
    """Return the time of a step against the batch size, from the frame of :func:`visible_steps`."""
    figure = large("front-step", step_times(frame, accelerator=accelerator))
    sentence, claim = compare_steps(frame)
    return replace(figure, caption=f"{sentence} {figure.caption}", claim=claim)


def spent(budgets: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the parts of the batch time per loader, with the smallest measured number of workers."""
    selected = budgets[budgets["workers"] == budgets["workers"].min()]
    return large("front-budget", budget_figure(selected, source))


def overfits(epochs: pd.DataFrame, source: DataSource | None) -> Figure | None:
    """Return the first experiment whose held-out loss turns up; ``None`` without one."""
    figures = overfitting(epochs, source)
    claim = "Too many epochs raise the held-out loss"
    return replace(large("front-overfitting", figures[0]), claim=claim) if figures else None
