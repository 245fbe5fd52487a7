"""Steps relative to the chapter's step and to the floor, and phase by phase."""

from collections.abc import Sequence
from functools import partial

import pandas as pd
from matplotlib.axes import Axes

from ..figure import Figure, Panel
from ..number import duration, percent, times
from ..svg import draw_svg
from ..text import listing, shorten
from .axis import legend_above, rows_of
from .name import names_of
from .panel import panels_by
from .step import Quantity, quantity_panels

INTERVAL = "95 % interval over interleaved rounds in one process"
"""Meaning of the bars in these figures."""

RATIO = Quantity("ratio", "low", "high", "time / first scratch step", times)
OVER_FLOOR = Quantity("over_floor", "over_floor_low", "over_floor_high", "time / floor", times)

PLACE = ["contract", "device"]
"""Columns whose values have a panel each."""

PHASES = {"forward": "#0072b2", "loss": "#e69f00", "backward": "#d55e00", "update": "#009e73"}
"""Colours of the phases; they are named in the legend and stand in this order too."""

MAX_CHARACTERS = 26
"""Maximum length of a name next to a bar."""


def step_ratios(frame: pd.DataFrame) -> Figure:
    """Return the time per step as a multiple of the first step from scratch, against the batch size."""
    ratios = _select_scratch(frame)
    panels = _build_panels(ratios, RATIO, name="step-ratio", with_line=True)
    title = "Step time relative to the scratch step of the chapter"
    caption = f"{_compare_closed_forms(frame)} Bars show the {INTERVAL}."
    claim = _find_fastest(ratios)
    return Figure(
        "step-ratio-figure", title, panels, caption, ("step_ratios",), columns=_columns(panels, ratios), claim=claim
    )


def _find_fastest(frame: pd.DataFrame) -> str:
    """Return the fastest step near batch 256; empty for several contracts or devices."""
    if frame.groupby(PLACE).ngroups > 1:
        return ""
    subset = _select_near_256(frame)
    first = subset.sort_values("ratio", kind="stable").iloc[0]
    reference, names = str(first["reference"]), names_of(frame)
    if str(first["case"]) == reference or first["ratio"] >= 1.0:
        return f"No step is faster than {names[reference]} at batch {first['batch_size']:,}"
    ratio = f"{1 / first['ratio']:.2f}×"
    return f"{names[str(first['case'])]} is {ratio} as fast as {names[reference]} at batch {first['batch_size']:,}"


def _select_near_256(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows at the batch size nearest to the chapter's 256."""
    size = min(frame["batch_size"].unique(), key=lambda size: (abs(size - 256), size))
    near: pd.DataFrame = frame[frame["batch_size"] == size]
    return near


def floor(frame: pd.DataFrame) -> Figure:
    """Return the distance of every step to the floor against the batch size."""
    rows = frame[frame["over_floor"].notna()]
    panels = _build_panels(rows, OVER_FLOOR, name="step-floor", with_line=False)
    title = "Step time relative to the floor"
    caption = (
        "The floor is the minimum time for the required bytes and operations at the rates of the same rounds. "
        f"{_find_nearest(rows)} The rest at batch size 1 is operator overhead. Bars show the {INTERVAL}."
    )
    claim = _find_closest(rows)
    return Figure("floor-figure", title, panels, caption, ("steps",), columns=_columns(panels, rows), claim=claim)


def _find_closest(frame: pd.DataFrame) -> str:
    best, names = frame.sort_values("over_floor", kind="stable").iloc[0], names_of(frame)
    return f"{names[str(best['case'])]} comes within {times(best['over_floor'])} of the minimum time"


def phases(frame: pd.DataFrame) -> Figure:
    """Return the time per phase, a bar for each case, at the batch size nearest to the chapter's 256."""
    subset = _select_near_256(frame)
    size = subset["batch_size"].iloc[0]

    def panels(place: tuple[str, str], group: pd.DataFrame, number: int) -> list[Panel]:
        label = f"Phases of a step, {' on '.join(place)}: {_list_phases(group)}."
        height_in = 1.55 + 0.28 * group["case"].nunique()
        svg = draw_svg(partial(_draw_bars, frame=group), name=f"phase-{number}", label=label, height_in=height_in)
        return [Panel(f"{_title(*place)}, batch {size}", svg)]

    title = "Time of forward, loss, backward and update"
    caption = (
        "Medians of the rounds. Reading the clock adds a fraction of a microsecond to each phase; on an "
        "accelerator, each phase is synchronized. Steps that do not report their phases are omitted."
    )
    claim = _find_longest(subset)
    return Figure("phases-figure", title, panels_by(subset, PLACE, panels), caption, ("phases",), claim=claim)


def _find_longest(frame: pd.DataFrame) -> str:
    """Return the phase that takes the largest share of the first step."""
    first_step, names = frame[frame["case"] == frame["case"].iloc[0]], names_of(frame)
    first = first_step.sort_values("median_s", ascending=False, kind="stable").iloc[0]
    share = percent(float(first["median_s"] / first_step["median_s"].sum()))
    return f"The {first['phase']} phase takes {share} of {names[str(first['case'])]}"


def _select_scratch(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the ratios to the first reference per contract and device, the step from scratch."""
    first = frame.groupby(PLACE, sort=False)["reference"].transform("first")
    return frame[frame["reference"] == first]


def _build_panels(frame: pd.DataFrame, quantity: Quantity, *, name: str, with_line: bool) -> tuple[Panel, ...]:
    """Return a panel for each contract and device."""

    def panels(place: tuple[str, str], group: pd.DataFrame, number: int) -> list[Panel]:
        span = [*group[quantity.low].dropna(), *group[quantity.high].dropna(), *group[quantity.middle]]
        return quantity_panels(
            _title(*place),
            group,
            quantity,
            sizes=sorted(group["batch_size"].unique()),
            span=[*span, 1.0] if with_line else span,
            line=1.0 if with_line else None,
            name=f"{name}-{number}",
            label=f"{quantity.label} against batch size, {' on '.join(place)}: {_find_extremes(group, quantity)}.",
            alone=frame.groupby(PLACE).ngroups == 1,
        )

    return panels_by(frame, PLACE, panels)


def _columns(panels: Sequence[Panel], frame: pd.DataFrame) -> int:
    """Return the number of panels in a row: three if each curve has a panel."""
    groups = frame.groupby(PLACE).ngroups
    return 3 if len(panels) > groups else min(2, frame["contract"].nunique())


def _draw_bars(axes: Axes, frame: pd.DataFrame) -> None:
    """Draw the phases of every case end to end."""
    names, cases = names_of(frame), list(dict.fromkeys(frame["case"]))
    starts = [0.0] * len(cases)
    for phase, color in PHASES.items():
        rows = frame[frame["phase"] == phase].groupby("case")["median_s"].first().reindex(cases).fillna(0.0)
        axes.barh(range(len(cases)), rows * 1e6, left=starts, color=color, height=0.62, label=phase)
        starts = [start + float(value) * 1e6 for start, value in zip(starts, rows, strict=True)]
    rows_of(axes, cases, [shorten(names[case], limit=MAX_CHARACTERS) for case in cases])
    axes.set(xlabel="step time (µs)", ylim=(len(cases) - 0.5, -0.5))
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x")
    legend_above(axes, columns=1)


def _title(contract: object, device: object) -> str:
    return f"{str(contract).removesuffix('_step')}, {'CPU' if device == 'cpu' else device}"


def _find_extremes(frame: pd.DataFrame, quantity: Quantity) -> str:
    """Return the range per case over the batch sizes."""
    ends = frame.groupby("case", sort=False)[quantity.middle].agg(["min", "max"])
    return listing([f"{case} {times(low)} to {times(high)}" for case, low, high in ends.itertuples()])


def _list_phases(frame: pd.DataFrame) -> str:
    rows = (
        f"{case} " + ", ".join(f"{row['phase']} {duration(row['median_s'])}" for _, row in group.iterrows())
        for case, group in frame.groupby("case", sort=False)
    )
    return "; ".join(rows)


def _compare_closed_forms(frame: pd.DataFrame) -> str:
    """Return the gain of the fastest step over the chapter's two steps near batch 256, for each contract and device."""
    sentences, names = [], names_of(frame)
    for (contract, device), group in frame.groupby(PLACE, sort=False):
        subset = _select_near_256(group)
        size = subset["batch_size"].iloc[0]
        fastest = subset[subset["case"] != subset["reference"]].sort_values("ratio", kind="stable")["case"].iloc[0]
        selected = subset[(subset["case"] == fastest) & (subset["reference"] != fastest)]
        gains = [
            f"{names[reference]} takes {1 / ratio:.2f} times as long ({1 / high:.2f} to {1 / low:.2f})"
            for reference, ratio, low, high in selected[["reference", "ratio", "low", "high"]].itertuples(index=False)
        ]
        title = f"{_title(contract, device)}, batch {size}"
        sentences.append(f"{title}: {names[fastest]} is the fastest; {listing(gains)}.")
    return " ".join(sentences)


def _find_nearest(frame: pd.DataFrame) -> str:
    """Return the step with the smallest distance to the floor."""
    sentences, names = [], names_of(frame)
    for (contract, device), group in frame.groupby(PLACE, sort=False):
        best = group.sort_values("over_floor", kind="stable").iloc[0]
        sentences.append(
            f"{_title(contract, device)}: {names[str(best['case'])]} is closest, at {times(best['over_floor'])} the "
            f"floor of {duration(best['floor_s'])} at batch {best['batch_size']}."
        )
    return " ".join(sentences)
