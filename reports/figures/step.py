"""Training steps: times against the batch size, ratios, the floor, phases, and loops against vectorized operations."""

import math
import re
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import chain, cycle
from typing import Any, NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from harness.record.crossing import DeviceComparison
from harness.wording.number import duration, interval, percent, rate, times
from harness.wording.table.step import compare_in_words

from ..page_part import Figure, Panel
from ..style import GRID, INK, LINE, MUTED
from ..svg import add_tooltips
from ..text import count, listing, shorten
from .accuracy import SIGNS
from .axis import End, categories, legend_above, legend_rows, logarithmic, names_of, whiskers
from .chart import Curves, curve_panels, draw_panel, name_rows, panels_by, stack_bars, wide_and_narrow
from .speed_comparison import (
    PLACE,
    compare_closed_forms,
    compare_styles,
    compare_with_loop,
    compare_with_reference,
    select_near_256,
    title_of_place,
)

HEIGHT_IN = 3.0
"""Height of a drawing with names at the ends of its curves."""


def step_times(frame: pd.DataFrame, *, accelerator: str | None, comparisons: Sequence[DeviceComparison] = ()) -> Figure:
    """Return the step times of every family; ``accelerator`` is its name, or ``None`` without one.

    With times on an accelerator, the first step of each style has a panel with both devices and their crossing.
    """
    low, high = frame["rounds"].min(), frame["rounds"].max()
    rounds = f"{low:,} rounds" if low == high else f"{low:,} to {high:,} rounds"
    name, title = "steps-figure", "Time per training step by batch size"
    lines = compare_styles(frame)
    if compared := {each.case: each for each in comparisons if each.case in _list_compared(frame)}:
        sentences = {case: compare_in_words(each) for case, each in compared.items()}
        panels = [_build_comparison(frame, each, number=number) for number, each in enumerate(compared.values())]
        words = " ".join(f"{case}: {sentence}." for case, sentence in sentences.items() if sentence)
        caption = (
            f"{words} Points are medians of {rounds}. The band is the interval of the crossing. Solid lines are steps "
            "that are waited for, with their data on the device. Dashed lines are parts of the accelerator's time: to "
            "queue a step, to copy a minibatch there, and to compute, by events, which include waits for the queue. "
            "The gray line is the floor of the accelerator."
        )
        claim = next(iter(sentences.values())) if len(sentences) == 1 else ""
        claim = re.sub("^(below|from)", lambda word: word[0].capitalize(), claim)
        return Figure(name, title, tuple(chain(*panels)), caption, ("steps",), columns=2, claim=claim)
    families = frame["family"].unique()
    groups = [_build_panels(each, frame[frame["family"] == each], number=at) for at, each in enumerate(families)]
    reason = f"{accelerator}: not measured in this run." if accelerator else "There is no accelerator on this machine."
    return Figure(
        name,
        title,
        panels=tuple(panel for group in groups for panel in group),
        caption=f"{lines} Points are medians, bars the interquartile range of {rounds} in one process, without a "
        f"significance test. The gray line is the floor. {reason}",
        frames=("steps",),
        columns=1,
        claim=lines.rstrip(".") if len(families) == 1 else "",
    )


def _list_compared(frame: pd.DataFrame) -> set[str]:
    """Return the first case of each family and style that was timed on an accelerator."""
    return set(frame[frame["device"] != "cpu"].groupby(["family", "style"], sort=False)["case"].first())


PARTS = {
    "compute": ("device_s", "#009e73", "--"),
    "transfer": ("transfer_s", "#cc79a7", "-."),
    "launch": ("launch_s", "#e69f00", ":"),
}
"""Parts of a step on an accelerator, with the column of their time, their color and their line."""

FLOOR_DEPTH = 30.0
"""Most by which the floor makes the axis of time longer; for small batches, it is thousands of times below the step."""


def _build_comparison(frame: pd.DataFrame, comparison: DeviceComparison, *, number: int) -> list[Panel]:
    """Return a step on both devices, with the parts of the accelerator's time, the floor and the crossing."""
    case, device = comparison.case, comparison.device
    rows = frame[frame["case"] == case].sort_values("batch_size", kind="stable")
    here, there = (rows[rows["device"] == name].groupby("batch_size").first() for name in ("cpu", device))
    lines = {"CPU": (here["median_s"], INK, "-"), device: (there["median_s"], "#0072b2", "-")}
    lines |= {name: (there[column].dropna(), color, line) for name, (column, color, line) in PARTS.items()}
    floor_s, span = there["floor_s"].dropna(), [time_s for times_s, *_ in lines.values() for time_s in times_s]

    def draw(axes: Axes, **_: object) -> list[End]:
        logarithmic(axes.xaxis, [*rows["batch_size"]], text=_format_rows)
        logarithmic(axes.yaxis, [*span, *floor_s.clip(lower=min(span) / FLOOR_DEPTH)], text=duration)
        if (crossing := comparison.faster) is not None and crossing.low < crossing.high:
            axes.axvspan(crossing.low, min(crossing.high, crossing.last), color=GRID)
        axes.plot(floor_s.index, floor_s, color=LINE, linewidth=1.4, label="floor")
        ends = [End(floor_s.iloc[-1], "floor", MUTED)] if len(floor_s) else []
        for name, (times_s, color, line) in lines.items():
            look: dict[str, Any] = {"linewidth": 1.4} if name in PARTS else {"marker": "o", "linewidth": 2.0}
            axes.plot(times_s.index, times_s, color=color, linestyle=line, label=name, **look)
            points = [
                (size, time_s, f"{name}, batch {size:,}: {duration(time_s)}")
                for size, time_s in zip(times_s.index, times_s, strict=True)
            ]
            add_tooltips(axes, points)
            ends += [End(times_s.iloc[-1], name, color)] if len(times_s) else []
        axes.set(xlabel="batch size (samples)", ylabel="step time")
        return ends

    label = f"Step time of {case} against batch size, CPU and {device}: {compare_in_words(comparison)}."
    narrow_in, name = HEIGHT_IN + 0.17 * legend_rows(["floor", *lines]), f"step-{number}"
    return curve_panels(case, draw, name=name, label=label, height_in=HEIGHT_IN, narrow_height_in=narrow_in)


def _format_rows(size: float) -> str:
    return f"{size:,.0f}" if size < 10_000 else rate(size)


def _build_panels(family: str, frame: pd.DataFrame, *, number: int) -> list[Panel]:
    """Return one family on the CPU."""
    title = f"{family}, CPU"
    if (subset := frame[frame["device"] == "cpu"]).empty:
        return [Panel(title, note="not measured on the CPU in this run")]
    low, high = duration(subset["median_s"].min()), duration(subset["median_s"].max())
    cases = count(subset["case"].nunique(), "case")
    floor_s = subset.groupby("batch_size")["floor_s"].first().dropna()
    sizes, span = sorted(frame["batch_size"].unique()), [*frame["q1_s"], *frame["q3_s"], *floor_s]
    rows = legend_rows([name for name, _ in _list_curves(subset)])
    return curve_panels(
        title,
        partial(_draw_times, frame=subset, sizes=sizes, span=span, floor_s=floor_s),
        name=f"step-{number}",
        label=f"Step time against batch size, {title}: {cases}, from {low} to {high} per step.",
        height_in=HEIGHT_IN,
        narrow_height_in=2.1 + 0.17 * rows,
    )


class Quantity(NamedTuple):
    """A quantity of a step: the columns of its value and of the ends of its bar, and its label."""

    middle: str
    low: str
    high: str
    label: str


def _draw_times(
    axes: Axes, *, frame: pd.DataFrame, sizes: Sequence[int], span: Sequence[float], floor_s: "pd.Series[float]"
) -> list[End]:
    """Draw a curve for each case above the floor, which is gray, and return their ends."""
    logarithmic(axes.xaxis, sizes, text=_format_rows)
    logarithmic(axes.yaxis, span, text=duration)
    axes.plot(floor_s.index, floor_s, color=LINE, linewidth=1.2, zorder=0.6)
    curves = Curves(axes, frame)
    for (name, curve), (marker, sign) in zip(_list_curves(frame), cycle(SIGNS.items()), strict=False):
        x, values = [*curve["batch_size"]], [curve[column] for column in ("median_s", "q1_s", "q3_s")]
        tips = []
        for size, *point in zip(x, *values, strict=True):
            middle, low, high = map(duration, point)
            tips.append((size, point[0], f"{name}, batch {size:,}: {middle} ({low} to {high})"))
        look: dict[str, Any] = {"bars": whiskers(*values), "elinewidth": 1.6, "hollow": True, "marker": marker}
        curves.add(name, curve, x, values[0], tooltips=tips, end=f"{sign} {shorten(name, limit=24)}", **look)
    axes.set(xlabel="batch size (samples)", ylabel="step time")
    return curves.ends


def _list_curves(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield a curve for each case, and for each value of other columns that vary."""
    names = names_of(frame)
    series = ["case", *(name for name in ("dtype", "threads") if len(frame[name].unique()) > 1)]
    for key, curve in frame.sort_values("batch_size", kind="stable").groupby(series, sort=False):
        yield ", ".join([names[str(key[0])], *(str(part) for part in key[1:])]), curve


INTERVAL = "95 % interval over interleaved rounds in one process"
"""Meaning of the bars in these figures."""

RATIO = Quantity("ratio", "low", "high", "time / first scratch step")
OVER_FLOOR = Quantity("over_floor", "over_floor_low", "over_floor_high", "time / floor")

SIZE_COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00")
"""Colors of the batch sizes in a plot of ratios, which has at most as many of them."""

PHASES = {"forward": "#0072b2", "loss": "#e69f00", "backward": "#d55e00", "update": "#009e73"}
"""Colors of the phases, which stand in this order; the legend names them."""


def step_ratios(frame: pd.DataFrame) -> Figure:
    """Return the time per step as a multiple of the first step from scratch, by batch size."""
    first = frame.groupby(PLACE, sort=False)["reference"].transform("first")
    ratios = frame[frame["reference"] == first]
    panels = _build_ratio_panels(ratios, RATIO, name="step-ratio")
    title = "Step time relative to the scratch step of the chapter"
    caption = f"{compare_closed_forms(frame)} Bars show the {INTERVAL}."
    claim = compare_with_reference(ratios)
    return Figure("step-ratio-figure", title, panels, caption, ("step_ratios",), columns=1, claim=claim)


def floor(frame: pd.DataFrame) -> Figure:
    """Return the distance of every step to the floor against the batch size."""
    rows = frame[frame["over_floor"].notna()]
    panels = _build_ratio_panels(rows, OVER_FLOOR, name="step-floor")
    title = "Step time relative to the floor"
    caption = (
        "The floor is the minimum time for the required bytes and operations at the rates of the same rounds. "
        f"{_find_nearest(rows)} The rest at batch size 1 is operator overhead. Bars show the {INTERVAL}."
    )
    best, names = rows.sort_values("over_floor", kind="stable").iloc[0], names_of(rows)
    claim = f"{names[str(best['case'])]} comes within {times(best['over_floor'])} of the minimum time"
    return Figure("floor-figure", title, panels, caption, ("steps",), columns=1, claim=claim)


def phases(frame: pd.DataFrame) -> Figure:
    """Return the time per phase, a bar for each case, at the batch size nearest to the chapter's 256."""
    subset = select_near_256(frame)
    size = subset["batch_size"].iloc[0]

    def panels(place: tuple[str, str], group: pd.DataFrame, number: int) -> list[Panel]:
        label = f"Phases of a step, {' on '.join(place)}: {_list_phases(group)}."
        height_in = 1.55 + 0.28 * group["case"].nunique()
        draw, title = partial(_draw_phases, frame=group), f"{title_of_place(*place)}, batch {size}"
        return [draw_panel(title, draw, name=f"phase-{number}", label=label, height_in=height_in)]

    title = "Time of forward, loss, backward and update"
    caption = (
        "Medians of the rounds. Reading the clock adds a fraction of a microsecond to each phase; on an "
        "accelerator, each phase is synchronized. Steps that do not report their phases are omitted."
    )
    first_step, names = subset[subset["case"] == subset["case"].iloc[0]], names_of(subset)
    longest = first_step.sort_values("median_s", ascending=False, kind="stable").iloc[0]
    share = percent(float(longest["median_s"] / first_step["median_s"].sum()))
    claim = f"The {longest['phase']} phase takes {share} of {names[str(longest['case'])]}"
    return Figure("phases-figure", title, panels_by(subset, PLACE, panels), caption, ("phases",), claim=claim)


def _build_ratio_panels(frame: pd.DataFrame, quantity: Quantity, *, name: str) -> tuple[Panel, ...]:
    """Return a panel for each contract and device, with a row for each case and a point for each batch size."""

    def panels(place: tuple[str, str], group: pd.DataFrame, number: int) -> list[Panel]:
        ends = group.groupby("case", sort=False)[quantity.middle].agg(["min", "max"])
        ranges = [f"{case} {times(low)} to {times(high)}" for case, low, high in ends.itertuples()]
        label = f"{quantity.label} by batch size, {' on '.join(place)}: {listing(ranges)}."
        draw, height_in = partial(_draw_ratios, frame=group, quantity=quantity), 1.1 + 0.36 * len(ends)
        narrow = partial(draw, limit=20, columns=1)
        options: dict[str, Any] = {"name": f"{name}-{number}", "label": label, "draw_narrow": narrow}
        options |= {"height_in": height_in, "narrow_height_in": height_in + 0.5}
        return [wide_and_narrow(title_of_place(*place), draw, **options)]

    return panels_by(frame, PLACE, panels)


def _draw_ratios(axes: Axes, *, frame: pd.DataFrame, quantity: Quantity, limit: int = 26, columns: int = 2) -> None:
    """Draw a point with its bar for each case and batch size, and a line where the ratio is one.

    With one column of the legend, there is room for half of the ticks.
    """
    sizes, cases, names = sorted(frame["batch_size"].unique()), [*frame["case"].unique()], names_of(frame)
    sizes = [*sizes[: -1 : math.ceil(len(sizes) / len(SIZE_COLORS))], sizes[-1]]
    for at, (size, color, marker) in enumerate(zip(sizes, SIZE_COLORS, SIGNS, strict=False)):
        rows = frame[frame["batch_size"] == size].drop_duplicates("case")
        y = [cases.index(case) + 0.18 * (at - (len(sizes) - 1) / 2) for case in rows["case"]]
        x, low, high = (rows[column] for column in (quantity.middle, quantity.low, quantity.high))
        look: dict[str, Any] = {"color": color, "marker": marker, "markersize": 5, "linestyle": "none"}
        bars = whiskers(x, low.fillna(x), high.fillna(x))
        axes.errorbar(x, y, xerr=bars, elinewidth=1.4, label=f"batch {size:,}", **look)
        ends = zip(x, y, rows["case"], low, high, strict=True)
        tips = [(a, b, f"{names[case]}, batch {size:,}: {times(a)} {interval(c, d)}") for a, b, case, c, d in ends]
        add_tooltips(axes, tips)
    axes.axvline(1.0, color=MUTED, linewidth=0.9, linestyle="--")
    logarithmic(axes.xaxis, [1.0, *(value for name in quantity[:3] for value in frame[name].dropna())], text=times)
    axes.set_xticks(axes.get_xticks()[:: 3 - columns])
    name_rows(axes, [shorten(names[case], limit=limit) for case in cases], cases=cases, xlabel=quantity.label)
    legend_above(axes, columns=columns)


def _draw_phases(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw the phases of every case end to end."""
    cases, names = stack_bars(axes, frame, "phase", frame["median_s"] * 1e6, colors=PHASES), names_of(frame)
    rows = [shorten(names[case], limit=26) for case in cases]
    name_rows(axes, rows, cases=cases, xlabel="step time (µs)", ylim=(len(cases) - 0.5, -0.5))
    axes.grid(visible=True, axis="x")
    legend_above(axes, columns=1)


def _list_phases(frame: pd.DataFrame) -> str:
    rows = (
        f"{case} " + ", ".join(f"{row['phase']} {duration(row['median_s'])}" for _, row in group.iterrows())
        for case, group in frame.groupby("case", sort=False)
    )
    return "; ".join(rows)


def _find_nearest(frame: pd.DataFrame) -> str:
    """Return the step with the smallest distance to the floor."""
    sentences, names = [], names_of(frame)
    for (contract, device), group in frame.groupby(PLACE, sort=False):
        best = group.sort_values("over_floor", kind="stable").iloc[0]
        sentences.append(
            f"{title_of_place(contract, device)}: {names[str(best['case'])]} is closest, at "
            f"{times(best['over_floor'])} the floor of {duration(best['floor_s'])} at batch {best['batch_size']}."
        )
    return " ".join(sentences)


def ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the time of the loop (scratch) over the time of the vectorized case (concise) by operation and size ``n``.

    The first case with a style represents it. The interval runs from first quartile over third quartile to third over
    first, and is wider than necessary.
    """
    rows = frame.drop_duplicates(["family", "contract", "n", "style"])
    loops, vectorized = (rows[rows["style"] == style] for style in ("scratch", "concise"))
    pairs = loops.merge(vectorized, on=["family", "contract", "n"], suffixes=("", "_fast"))
    return pairs.assign(
        operation=pairs["family"] + "." + pairs["contract"],
        ratio=pairs["median_s"] / pairs["median_s_fast"],
        low=pairs["q1_s"] / pairs["q3_s_fast"],
        high=pairs["q3_s"] / pairs["q1_s_fast"].clip(lower=1e-12),
    )


def speedup(frame: pd.DataFrame) -> Figure:
    """Return the ratio against n, a panel for each operation, all on one scale."""
    points = ratios(frame)
    phrases: list[str] = []
    span = [*points["low"], *points["high"], 1.0]

    def build_panels(operation: str, group: pd.DataFrame, number: int) -> list[Panel]:
        rows = group.sort_values("n", kind="stable")
        ends = [f"{times(rows['ratio'].iloc[end])} at n = {rows['n'].iloc[end]:,}" for end in (0, -1)]
        phrases.append(f"{operation}: {', '.join(ends)}")
        label, draw = f"Speed-up of {operation} by vectorization: {', '.join(ends)}.", partial(_draw_gain, rows, span)
        return [draw_panel(operation, draw, name=f"vectorization-{number}", label=label)]

    panels = panels_by(points, "operation", build_panels)
    title = "Time of the loop / time of the vectorized operation, by size n"
    caption = (
        f"Loop time relative to the vectorized time: {'; '.join(phrases)}. Points are ratios of medians; bars span the "
        "ratios of the nearest and the farthest quartiles over the rounds in one process."
    )
    claim = compare_with_loop(points)
    return Figure("vectorization-figure", title, panels, caption, ("vectorization",), claim=claim)


def _draw_gain(frame: pd.DataFrame, span: Sequence[float], axes: Axes) -> None:
    """Draw the ratios with their bars above the line where both take the same time."""
    places, middle = categories(axes, [*frame["n"]]), [*frame["ratio"]]
    bars = whiskers(middle, frame["low"], frame["high"])
    axes.axhline(1, color=MUTED, linewidth=0.9, linestyle="--")
    x = [places[n] for n in frame["n"]]
    axes.errorbar(x, middle, yerr=bars, color=INK, marker="o", linewidth=1.4, elinewidth=1.0, capsize=2.5)
    logarithmic(axes.yaxis, span, text=times)
    axes.set(xlabel="size n", ylabel="loop / vectorized")
