"""The large pictures of the first layer: few lines, named where they end, one number to take away."""

from dataclasses import replace
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from harness.record import DataSource
from harness.wording.number import duration, rate, times

from ..page_part import Figure
from ..source import caveat_of
from ..style import INK, pen
from ..svg import add_tooltips, belongs
from ..text import shorten, workers_in_words
from .accuracy import SIGNS
from .axis import End, categories, logarithmic, names_of
from .chart import Curves, curve_panels, name_rows, wide_and_narrow
from .loader import budgets as budget_figure
from .survey import DTYPE, HEIGHT_IN, magnitudes
from .training import overfitting

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


def step_time(frame: pd.DataFrame) -> Figure:
    """Return the time of a step against the batch size, from the frame of :func:`steps_shown`."""
    names, device = names_of(frame), str(frame["device"].iloc[0])
    largest = frame[frame["batch_size"] == frame["batch_size"].max()].sort_values("median_s", kind="stable")
    fastest, slowest = largest.iloc[0], largest.iloc[-1]
    fast, slow = names[str(fastest["case"])], names[str(slowest["case"])]
    ratio = times(slowest["median_s"] / fastest["median_s"])
    caption = (
        f"On {'the CPU' if device == 'cpu' else device} at batch {fastest['batch_size']:,}, {fast} takes "
        f"{duration(fastest['median_s'])} and {slow} {duration(slowest['median_s'])}, {ratio} as long."
    )
    panels = curve_panels(
        "",
        partial(_draw_steps, frame=frame, names=names),
        name="front-step",
        label=caption,
        height_in=HEIGHT_IN,
        narrow_height_in=HEIGHT_IN + 0.17 * len(names),
        legend_columns=1,
        separate=[*names.values()],
    )
    claim, columns = f"{slow} takes {ratio} the time of {fast}", 1 if len(panels) == 1 else 3
    title = "Time of a training step"
    return Figure("front-step", title, tuple(panels), caption, ("steps",), columns=columns, claim=claim)


def _draw_steps(axes: Axes, *, frame: pd.DataFrame, names: dict[str, str], only: str = "") -> list[End]:
    """Draw a line for each case, or only one of them in color."""
    places = categories(axes, sorted(frame["batch_size"].unique()))
    logarithmic(axes.yaxis, [*frame["q1_s"], *frame["q3_s"]], text=duration)
    curves, signs = Curves(axes, frame, only=only), iter(SIGNS.items())
    for case, curve in frame.sort_values("batch_size").groupby("case", sort=False):
        (marker, sign), name = next(signs), names[str(case)]
        x, times_s = [places[size] for size in curve["batch_size"]], curve["median_s"]
        sizes = zip(x, times_s, curve["batch_size"], strict=True)
        tips = [(position, time, f"{name}, batch {size:,}: {time * 1e6:,.3f} µs") for position, time, size in sizes]
        end = f"{sign} {shorten(name, limit=MAX_CHARACTERS)}"
        curves.add(name, curve, x, times_s, tooltips=tips, end=end, marker=marker)
    axes.set(xlabel="batch size (samples)", ylabel="step time")
    return curves.ends


def loading(frame: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the best rate per loader, without workers and with them."""
    best = frame.sort_values("samples_per_s", ascending=False, kind="stable")
    rows = best.assign(several=best["workers"] > 0).sort_values("several", kind="stable")
    rows = rows.drop_duplicates(["case", "several"])
    cases = list(dict.fromkeys(best["case"]))[: 2 * MAX_LINES]
    first, last = best.iloc[0], best[best["case"] == cases[-1]].iloc[0]
    names = names_of(frame)
    caption = (
        f"{names[str(first['case'])]} delivers {rate(first['samples_per_s'])} samples per second at batch size "
        f"{first['batch_size']:,} with {workers_in_words(int(first['workers']))}"
    )
    if len(cases) > 1:
        ratio = times(first["samples_per_s"] / last["samples_per_s"])
        caption += f", {ratio} the best rate of {names[str(last['case'])]}"
    draw = partial(_draw_best, rows=rows, cases=cases)
    narrow, height_in = partial(draw, in_words=False), 0.75 + 0.36 * len(cases)
    panel = wide_and_narrow("", draw, draw_narrow=narrow, name="front-loader", label=f"{caption}.", height_in=height_in)
    title, claim = "Fastest configuration per data loader", f"{names[str(first['case'])]} is the fastest data loader"
    caveat = caveat_of(frame, source)
    return Figure("front-loader", title, (panel,), f"{caption}.", ("loaders",), caveat, columns=1, claim=claim)


def _draw_best(axes: Axes, rows: pd.DataFrame, cases: list[str], *, in_words: bool = True) -> None:
    """Draw two points for each loader, each with its rate and, if there is room, the number of workers."""
    names = names_of(rows)
    for position, case in enumerate(cases):
        for _, row in rows[rows["case"] == case].iterrows():
            y = position + (0.2 if row["several"] else -0.2)
            color, value = pen(str(row["style"])).color, float(row["samples_per_s"])
            # A bar would need a zero, which a logarithmic axis does not have.
            point = axes.plot([value], [y], "o", color=color, markerfacecolor="none" if row["several"] else color)
            workers = workers_in_words(int(row["workers"]))
            text = f"{rate(value)}, {workers}" if in_words else rate(value)
            belongs(case, *point, axes.text(value * 1.12, y, text, va="center", color=INK, fontsize=9.2))
            tip = f"{case}, batch {row['batch_size']:,}, {workers}: {value:,.1f} samples/s"
            add_tooltips(axes, [(value, y, tip)], case=case)
    seen = rows["samples_per_s"]
    logarithmic(axes.xaxis, [float(seen.min()) / 3, float(seen.max()) * 6], text=rate)
    rows_names = [shorten(names[case], limit=MAX_CHARACTERS) for case in cases]
    name_rows(axes, rows_names, cases=cases, xlabel="samples/s" if in_words else "samples/s (○ workers)")


def spent(budgets: pd.DataFrame, source: DataSource | None) -> Figure:
    """Return the parts of the batch time per loader, with the smallest measured number of workers."""
    selected = budgets[budgets["workers"] == budgets["workers"].min()]
    return large("front-budget", budget_figure(selected, source))


def overfits(epochs: pd.DataFrame, source: DataSource | None) -> Figure | None:
    """Return the first experiment whose held-out loss turns up; ``None`` without one."""
    figures = overfitting(epochs, source)
    claim = "Too many epochs raise the held-out loss"
    return replace(large("front-overfitting", figures[0]), claim=claim) if figures else None
