"""Step time against batch size: scratch and concise, a panel for each family on the CPU and on the accelerator."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes

from harness.wording.table.call import SCATTER

from ..figure import Figure, Panel
from ..number import duration, times
from ..style import MUTED
from ..text import count, shorten
from .axis import End, categories, legend_rows, logarithmic, whiskers
from .curve import Curves
from .name import names_of
from .panel import curve_panels

HEIGHT_IN = 3.0
"""Height of a drawing with names at the ends of its curves."""

MAX_CHARACTERS = 24
"""Characters of such a name."""


def step_times(frame: pd.DataFrame, *, accelerator: str | None) -> Figure:
    """Return the step times of every family; ``accelerator`` is its name, or ``None`` without one."""
    devices = ["cpu", *sorted(set(frame["device"]) - {"cpu"})]
    subjects = [(family, device) for family in frame["family"].unique() for device in devices]
    groups = [
        _build_panels(family, device, frame[frame["family"] == family], number=number, alone=len(subjects) == 1)
        for number, (family, device) in enumerate(subjects)
    ]
    reason = f"{accelerator}: not measured in this run." if accelerator else "There is no accelerator on this machine."
    absence = f" {reason}" if len(devices) == 1 else ""
    return Figure(
        name="steps-figure",
        frames=("steps",),
        title="Time per training step by batch size",
        panels=tuple(panel for group in groups for panel in group),
        caption=f"{_compare(frame)} Points are medians, bars the interquartile range of {_rounds(frame)}.{absence}",
        columns=3 if any(len(group) > 1 for group in groups) else len(devices),
        claim=_compare(frame).rstrip(".") if frame.groupby(["family", "device"]).ngroups == 1 else "",
    )


def _build_panels(family: str, device: str, frame: pd.DataFrame, *, number: int, alone: bool) -> list[Panel]:
    """Return one family on one device; all devices share the time scale."""
    position = "the CPU" if device == "cpu" else device
    title = f"{family}, {'CPU' if device == 'cpu' else device}"
    subset = frame[frame["device"] == device]
    if subset.empty:
        return [Panel(title, note=f"not measured on {position} in this run")]
    sizes, span = sorted(frame["batch_size"].unique()), [*frame["q1_s"], *frame["q3_s"]]
    name, label = f"step-{number}", _format_label(title, subset)
    return quantity_panels(title, subset, TIME, sizes=sizes, span=span, name=name, label=label, alone=alone)


class Quantity(NamedTuple):
    """A quantity against the batch size: the columns of its value and of the ends of its bar, label and ticks."""

    middle: str
    low: str
    high: str
    label: str
    text: Callable[[float], str]


TIME = Quantity("median_s", "q1_s", "q3_s", "step time", duration)


def quantity_panels(
    title: str,
    frame: pd.DataFrame,
    quantity: Quantity,
    *,
    sizes: Sequence[int],
    span: Sequence[float],
    name: str,
    label: str,
    line: float | None = None,
    alone: bool = False,
) -> list[Panel]:
    """Return a curve for each case, named at its end, or above the axes in a narrow window.

    Many curves have a panel each; ``alone`` says that the figure has no other curves, so that their names suffice.
    """

    def draw(axes: Axes, *, only: str = "") -> list[End]:
        if line is not None:
            axes.axhline(line, color=MUTED, linewidth=0.9, linestyle="--")
        places, curves = categories(axes, sizes), Curves(axes, frame, only=only)
        logarithmic(axes.yaxis, span, text=quantity.text)
        for case, curve in _list_curves(frame):
            values = [curve[column] for column in (quantity.middle, quantity.low, quantity.high)]
            x, end = [places[size] for size in curve["batch_size"]], shorten(case, limit=MAX_CHARACTERS)
            points = zip(x, curve["batch_size"], *values, strict=True)
            tips = [(position, point[0], _tooltip(case, size, point, quantity)) for position, size, *point in points]
            bars = whiskers(*values)
            curves.add(case, curve, x, values[0], tooltips=tips, end=end, bars=bars, elinewidth=1.6, hollow=True)
        axes.set(xlabel="batch size (samples)", ylabel=quantity.label)
        return curves.ends

    names = [text for text, _ in _list_curves(frame)]
    return curve_panels(
        title,
        draw,
        name=name,
        label=label,
        height_in=HEIGHT_IN,
        narrow_height_in=2.1 + 0.17 * legend_rows(names),
        separate=names,
        ending="" if alone else f" ({title})",
    )


def _tooltip(label: str, size: int, values: Sequence[float], quantity: Quantity) -> str:
    """Return the tooltip of a point."""
    value, low, high = map(quantity.text, values)
    return f"{label}, batch {size:,}: {value} ({low} to {high})"


def _list_curves(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    names = names_of(frame)
    for key, curve in frame.sort_values("batch_size", kind="stable").groupby(_find_series(frame), sort=False):
        yield ", ".join([names[str(key[0])], *(str(part) for part in key[1:])]), curve


def _find_series(frame: pd.DataFrame) -> list[str]:
    """Return the columns that identify a curve: the case, and other columns that vary."""
    return ["case", *(name for name in ("dtype", "threads") if len(frame[name].unique()) > 1)]


def _format_label(title: str, frame: pd.DataFrame) -> str:
    """Return the text alternative of a panel."""
    low, high = duration(frame["median_s"].min()), duration(frame["median_s"].max())
    cases = count(frame["case"].nunique(), "case")
    return f"Step time against batch size, {title}: {cases}, from {low} to {high} per step."


def _compare(frame: pd.DataFrame) -> str:
    """Compare the first scratch and concise cases at the largest common batch, for each family and device."""
    sentences = []
    for (family, device), group in frame.groupby(["family", "device"], sort=False):
        rows = group.pivot_table(index="batch_size", columns="style", values="median_s", aggfunc="first")
        if {"scratch", "concise"} <= set(rows.columns) and len(pairs := rows.dropna(subset=["scratch", "concise"])):
            scratch, concise, batch = pairs["scratch"].iloc[-1], pairs["concise"].iloc[-1], pairs.index[-1]
            position = f"On {'the CPU' if device == 'cpu' else device} at batch {batch}"
            # Interleaved steps have a figure of their ratio within the rounds.
            in_turns = group["floor_s"].notna().any()
            ratio = "" if in_turns else f": scratch takes {times(scratch / concise)} as long as concise"
            times_ = f"{duration(scratch)} (scratch) or {duration(concise)} (concise)"
            sentences.append(f"{position}, one {family} step takes {times_}{ratio}.")
    return " ".join(sentences)


def _rounds(frame: pd.DataFrame) -> str:
    """Return the number of rounds behind a point, and the missing significance test."""
    low, high = frame["rounds"].min(), frame["rounds"].max()
    number = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    return f"{number} rounds in one process, without a significance test" if len(frame) else SCATTER
