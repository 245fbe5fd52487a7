"""Steps relative to the chapter's step and to the floor, and phase by phase."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from ..figure import Figure, Panel
from ..number import duration, percent, times
from ..svg import drawn
from ..text import listing, shortened
from .axis import legend_above, rows_of
from .name import names_of
from .step import Quantity, quantity_panels

INTERVAL = "95 % interval over interleaved rounds in one process"
"""Meaning of the bars in these figures."""

RATIO = Quantity("ratio", "low", "high", "time / first scratch step", times)
OVER_FLOOR = Quantity("over_floor", "over_floor_low", "over_floor_high", "time / floor", times)

PHASES = {"forward": "#0072b2", "loss": "#e69f00", "backward": "#d55e00", "update": "#009e73"}
"""Colours of the phases; they are named in the legend and stand in this order too."""

MAX_CHARACTERS = 26
"""Maximum length of a name next to a bar."""


def step_ratios(frame: pd.DataFrame) -> Figure:
    """Return the time per step as a multiple of the first step from scratch, against the batch size."""
    ratios = _relative_to_scratch(frame)
    panels = _panels(ratios, RATIO, name="step-ratio", with_line=True)
    return Figure(
        name="step-ratio-figure",
        frames=("step_ratios",),
        title="Step time relative to the scratch step of the chapter",
        panels=panels,
        caption=f"{_closed_forms(frame)} Bars show the {INTERVAL}.",
        columns=_columns(panels, ratios),
        claim=_fastest(ratios),
    )


def _fastest(frame: pd.DataFrame) -> str:
    """Return the fastest step near batch 256; empty for several contracts or devices."""
    if frame.groupby(["contract", "device"]).ngroups > 1:
        return ""
    subset = _near_256(frame)
    first = subset.sort_values("ratio", kind="stable").iloc[0]
    reference, names = str(first["reference"]), names_of(frame)
    if str(first["case"]) == reference or first["ratio"] >= 1.0:
        return f"No step is faster than {names[reference]} at batch {first['batch_size']:,}"
    ratio = f"{1 / first['ratio']:.2f}×"
    return f"{names[str(first['case'])]} is {ratio} as fast as {names[reference]} at batch {first['batch_size']:,}"


def _near_256(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the batch size nearest to the chapter's 256."""
    size = min(frame["batch_size"].unique(), key=lambda size: (abs(size - 256), size))
    near: pd.DataFrame = frame[frame["batch_size"] == size]
    return near


def floor(frame: pd.DataFrame) -> Figure:
    """Return the distance of every step to the floor against the batch size."""
    known = frame[frame["over_floor"].notna()]
    panels = _panels(known, OVER_FLOOR, name="step-floor", with_line=False)
    return Figure(
        name="floor-figure",
        frames=("steps",),
        title="Step time relative to the floor",
        panels=panels,
        caption="The floor is the minimum time for the required bytes and operations at the rates of the same rounds. "
        f"{_nearest(known)} The rest at batch size 1 is operator overhead. Bars show the {INTERVAL}.",
        columns=_columns(panels, known),
        claim=_closest(known),
    )


def _closest(frame: pd.DataFrame) -> str:
    best, names = frame.sort_values("over_floor", kind="stable").iloc[0], names_of(frame)
    return f"{names[str(best['case'])]} comes within {times(best['over_floor'])} of the minimum time"


def phases(frame: pd.DataFrame) -> Figure:
    """Return the time per phase, a bar for each case, at the batch size nearest to the chapter's 256."""
    subset = _near_256(frame)
    size = subset["batch_size"].iloc[0]
    panels = []
    for number, ((contract, device), group) in enumerate(subset.groupby(["contract", "device"], sort=False)):
        label = f"Phases of a step, {contract} on {device}: {_spelled(group)}."
        rows = group["case"].nunique()
        svg = drawn(
            partial(_bars, frame=group),
            name=f"phase-{number}",
            label=label,
            height_in=1.55 + 0.28 * rows,
        )
        panels.append(Panel(f"{_title(contract, device)}, batch {size}", svg))
    return Figure(
        name="phases-figure",
        frames=("phases",),
        title="Time of forward, loss, backward and update",
        panels=tuple(panels),
        caption="Medians of the rounds. Reading the clock adds a fraction of a microsecond to each phase; on an "
        "accelerator, each phase is synchronized. Steps that do not report their phases are omitted.",
        claim=_longest(subset),
    )


def _longest(frame: pd.DataFrame) -> str:
    """Return the phase that takes the largest share of the first step."""
    first_step, names = frame[frame["case"] == frame["case"].iloc[0]], names_of(frame)
    first = first_step.sort_values("median_s", ascending=False, kind="stable").iloc[0]
    share = percent(float(first["median_s"] / first_step["median_s"].sum()))
    return f"The {first['phase']} phase takes {share} of {names[str(first['case'])]}"


def _relative_to_scratch(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the ratios to the first reference per contract and device, the step from scratch."""
    first = frame.groupby(["contract", "device"], sort=False)["reference"].transform("first")
    return frame[frame["reference"] == first]


def _panels(frame: pd.DataFrame, quantity: Quantity, *, name: str, with_line: bool) -> tuple[Panel, ...]:
    """Return a panel for each contract and device."""
    panels: list[Panel] = []
    groups = frame.groupby(["contract", "device"], sort=False)
    for number, ((contract, device), group) in enumerate(groups):
        span = [*group[quantity.low].dropna(), *group[quantity.high].dropna(), *group[quantity.middle]]
        panels += quantity_panels(
            _title(contract, device),
            group,
            quantity,
            sizes=sorted(group["batch_size"].unique()),
            span=[*span, 1.0] if with_line else span,
            line=1.0 if with_line else None,
            name=f"{name}-{number}",
            label=f"{quantity.label} against batch size, {contract} on {device}: {_extremes(group, quantity)}.",
            alone=groups.ngroups == 1,
        )
    return tuple(panels)


def _columns(panels: Sequence[Panel], frame: pd.DataFrame) -> int:
    """Return the number of panels in a row: three if each curve has a panel."""
    groups = frame.groupby(["contract", "device"]).ngroups
    return 3 if len(panels) > groups else min(2, frame["contract"].nunique())


def _bars(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw the phases of every case end to end."""
    names, cases = names_of(frame), list(dict.fromkeys(frame["case"]))
    starts = [0.0] * len(cases)
    for phase, color in PHASES.items():
        rows = frame[frame["phase"] == phase].groupby("case")["median_s"].first().reindex(cases).fillna(0.0)
        axes.barh(range(len(cases)), rows * 1e6, left=starts, color=color, height=0.62, label=phase)
        starts = [start + float(value) * 1e6 for start, value in zip(starts, rows, strict=True)]
    rows_of(axes, cases, [shortened(names[case], limit=MAX_CHARACTERS) for case in cases])
    axes.set(xlabel="step time (µs)", ylim=(len(cases) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    legend_above(axes, columns=1)


def _title(contract: object, device: object) -> str:
    return f"{str(contract).removesuffix('_step')}, {'CPU' if device == 'cpu' else device}"


def _extremes(frame: pd.DataFrame, quantity: Quantity) -> str:
    """Return the range per case over the batch sizes."""
    phrases = []
    for case, group in frame.groupby("case", sort=False):
        low, high = group[quantity.middle].min(), group[quantity.middle].max()
        phrases.append(f"{case} {times(low)} to {times(high)}")
    return listing(phrases)


def _spelled(frame: pd.DataFrame) -> str:
    rows = (
        f"{case} " + ", ".join(f"{row['phase']} {duration(row['median_s'])}" for _, row in group.iterrows())
        for case, group in frame.groupby("case", sort=False)
    )
    return "; ".join(rows)


def _closed_forms(frame: pd.DataFrame) -> str:
    """Return the gain of the fastest step over the chapter's two steps near batch 256, for each contract and device."""
    sentences, names = [], names_of(frame)
    for (contract, device), group in frame.groupby(["contract", "device"], sort=False):
        subset = _near_256(group)
        size = subset["batch_size"].iloc[0]
        fastest = subset[subset["case"] != subset["reference"]].sort_values("ratio", kind="stable")["case"].iloc[0]
        selected = subset[(subset["case"] == fastest) & (subset["reference"] != fastest)]
        gains = [
            f"{names[row['reference']]} takes {1 / row['ratio']:.2f} times as long ({1 / row['high']:.2f} to "
            f"{1 / row['low']:.2f})"
            for _, row in selected.iterrows()
        ]
        sentences.append(
            f"{_title(contract, device)}, batch {size}: {names[fastest]} is the fastest; {listing(gains)}."
        )
    return " ".join(sentences)


def _nearest(frame: pd.DataFrame) -> str:
    """Return the step with the smallest distance to the floor."""
    sentences, names = [], names_of(frame)
    for (contract, device), group in frame.groupby(["contract", "device"], sort=False):
        best = group.sort_values("over_floor", kind="stable").iloc[0]
        sentences.append(
            f"{_title(contract, device)}: {names[str(best['case'])]} is closest, at {times(best['over_floor'])} the "
            f"floor of {duration(best['floor_s'])} at batch {best['batch_size']}."
        )
    return " ".join(sentences)
