"""Several runs: the evidence of the time gate, and the trend."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from harness.record import Comparison, Slices
from harness.wording.number import duration, rate, times

from ..frame.declaration import REAL, TEXT, Column
from ..history import BATCH, Digest
from ..page_part import Figure, Panel
from ..style import LINE, MUTED, PENS, pen
from ..text import count, shorten
from .axis import End, legend_above, legend_rows, logarithmic, names_of, whiskers
from .chart import Curves, curve_panels, draw_panel

ARMS = {
    "candidate": ("working tree", PENS["scratch"].color, "o"),
    "null": ("second base", PENS["concise"].color, "s"),
    "control": ("10 % more work", PENS["foreign"].color, "^"),
}
"""Label, color and marker of the arms; the base is the line at zero."""


def evidence(comparisons: Sequence[Comparison], slices: Sequence[Slices]) -> Figure:
    """Return the slowdown of every case in every arm, and the slices of the case that differs most."""
    cases = list(dict.fromkeys(comparison.case for comparison in comparisons))
    candidates = [comparison for comparison in comparisons if comparison.arm == "candidate"]
    widest = max(candidates, key=lambda comparison: abs(comparison.ratio - 1.0))
    label = f"Slowdown of {len(cases)} cases with 95 % bounds: {_format_range(candidates)}."
    draw, height_in = partial(_draw_forest, comparisons=comparisons, cases=cases), 1.5 + 0.42 * len(cases)
    forest_title = "slowdown, with one-sided 95 % bounds"
    forest = draw_panel(forest_title, draw, name="gate-forest", label=label, height_in=height_in)
    course = Panel(f"{widest.case}, slice by slice", note="no slices in this run")
    if selected := [process for process in slices if process.case == widest.case]:
        label = f"Fastest rounds by slice of {widest.case} over time, by arm."
        course = draw_panel(course.title, partial(_draw_course, slices=selected), name="gate-slices", label=label)
    title = "Time relative to the base"
    caption = (
        f"Slowdowns of the working tree: {_format_range(candidates)}. The dashed line is the margin, the dotted line "
        "the tolerance. The right panel shows the case that differs most: the fastest round of every slice relative "
        "to the fastest round of the base, with equally many slices from all processes."
    )
    return Figure("gate-figure", title, (forest, course), caption, ("gate_times", "gate_slices"), columns=2)


def _format_range(comparisons: Sequence[Comparison]) -> str:
    low, high = (100.0 * (pick(comparison.ratio for comparison in comparisons) - 1.0) for pick in (min, max))
    return f"{low:+.1f} % to {high:+.1f} %"


def _draw_forest(axes: Axes, *, comparisons: Sequence[Comparison], cases: Sequence[str]) -> None:
    """Draw a row for each case, with a small gap between its arms."""
    first = comparisons[0]
    axes.axvline(0.0, color=LINE, linewidth=0.9)
    axes.axvline(100.0 * first.margin, color=MUTED, linewidth=0.9, linestyle="--")
    axes.axvline(100.0 * first.tolerance, color=MUTED, linewidth=0.9, linestyle=":")
    for shift, (arm, (label, color, marker)) in zip((-0.2, 0.0, 0.2), ARMS.items(), strict=True):
        selected = [comparison for comparison in comparisons if comparison.arm == arm]
        middle, *ends = (
            [100.0 * (getattr(comparison, name) - 1.0) for comparison in selected] for name in ("ratio", "low", "high")
        )
        places = [cases.index(comparison.case) + shift for comparison in selected]
        look: dict[str, Any] = {"color": color, "label": label, "markersize": 3.6, "capsize": 2.0}
        axes.errorbar(middle, places, xerr=whiskers(middle, *ends), fmt=marker, **look)
    names = ["\n".join(shorten(part, limit=22) for part in case.split(".", 1)) for case in cases]
    axes.set_yticks(range(len(cases)), names)
    axes.set(xlabel="slowdown (%)", ylim=(len(cases) - 0.5, -0.5))
    legend_above(axes, columns=1)


def _draw_course(axes: Axes, slices: Sequence[Slices]) -> None:
    """Draw the slices of a case over time, without the control, which has another length."""
    same_length = [process for process in slices if process.iterations == slices[0].iterations]
    fastest = min(min(process.minima_s) for process in same_length if process.arm == "base") or math.nan
    for arm, (label, color, marker) in ({"base": ("base", MUTED, "x")} | ARMS).items():
        points = [
            (start, 100.0 * (minimum / fastest - 1.0))
            for process in same_length
            if process.arm == arm
            for start, minimum in zip(process.starts_s, process.minima_s, strict=True)
        ]
        if points:
            starts, above = zip(*points, strict=True)
            axes.scatter(starts, above, s=9, marker=marker, color=color, label=label)
    axes.set(xlabel="time since the measurement began (s)", ylabel="above the fastest (%)")
    legend_above(axes, columns=3)


MAX_MARKERS = 30
"""Runs whose points are marked; of more, lines alone tell more."""

MEASURES = {"step_times": f"step at batch {BATCH}, s", "best_rates": "best samples/s"}
"""Frames of a digest with drawn values, and the meaning of the values."""


COLUMNS = (
    Column("run", TEXT, "name of the run"),
    Column("measure", TEXT, "failing verdicts, or the quantity measured for the case"),
    Column("case", TEXT, "family.module.function; empty for verdicts"),
    Column("value", REAL, "value, in the unit that the measure names"),
)
"""The columns of :func:`trend_data`, in order."""


def trend_data(digests: Sequence[Digest]) -> pd.DataFrame:
    """Return the data of :func:`trend`: a row for each run and failures, step time or loader rate."""
    comparable = _select_comparable(digests)
    failures = pd.DataFrame([(digest.head.name, digest.failing) for digest in digests], columns=["run", "value"])
    parts = [failures.assign(case="", measure="verdicts that fail")]
    for name, measure in MEASURES.items():
        gathered = _join_parts([getattr(digest, name) for digest in comparable])
        runs = [comparable[position].head.name for position in gathered["place"]]
        parts += [gathered.assign(run=runs, measure=measure)] if len(gathered) else []
    return pd.concat(parts, ignore_index=True)[[column.name for column in COLUMNS]]


def trend(digests: Sequence[Digest]) -> Figure:
    """Return the trend over runs, oldest first, without times from other processors than the latest run's."""
    comparable = _select_comparable(digests)
    steps, rates = (_join_parts([getattr(digest, name) for digest in comparable]) for name in MEASURES)
    panels = [_draw_failures(digests)]
    for gathered, quantity, text in ((steps, f"step at batch {BATCH}", duration), (rates, "best samples/s", rate)):
        for family, frame in gathered.groupby("family", sort=False):
            panels += _build_panels(f"{family}: {quantity}", frame, comparable, text, number=len(panels))
    excluded = len(digests) - len(comparable)
    left_out = f" {count(excluded, 'run')} on other processors excluded from the times." if excluded else ""
    caption = f"{count(len(digests), 'run')}, oldest first.{_find_change(steps)}{left_out}"
    return Figure("trend-figure", "Trend over runs", tuple(panels), caption, ("trend",), columns=2)


def _select_comparable(digests: Sequence[Digest]) -> list[Digest]:
    """Return the digests with the processor of the latest run, since times on others are not comparable."""
    processor = digests[-1].head.environment.processor
    return [digest for digest in digests if digest.head.environment.processor == processor]


def _join_parts(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one row for each run and case, with the place of the run."""
    records = [part.assign(place=position) for position, part in enumerate(parts) if len(part)]
    return pd.concat(records, ignore_index=True) if records else pd.DataFrame(columns=["family", "case", "place"])


def _draw_failures(digests: Sequence[Digest]) -> Panel:
    failing = [digest.failing for digest in digests]

    def draw(axes: Axes) -> None:
        axes.plot(failing, color=PENS["scratch"].color, marker=_choose_marker("o", len(digests)), linewidth=1.8)
        axes.set(ylabel="verdicts that fail", ylim=(-0.2, max(1.0, 1.1 * max(failing))))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        _show_names(axes, digests)

    label = f"Failures over {count(len(digests), 'run')}: {failing[0]} in the first, {failing[-1]} in the last."
    return draw_panel("failures", draw, name="trend-failures", label=label)


def _build_panels(
    title: str, frame: pd.DataFrame, digests: Sequence[Digest], text: Callable[[float], str], *, number: int
) -> list[Panel]:
    """Return one line for each case of a family, on a logarithmic scale."""
    names = names_of(frame)

    def draw(axes: Axes) -> list[End]:
        curves = Curves(axes, frame)
        for case, line in frame.groupby("case", sort=False):
            marker = _choose_marker(pen(str(line["style"].iloc[0])).marker, len(digests))
            curves.add(names[str(case)], line, line["place"], line["value"], marker=marker, markersize=3)
        logarithmic(axes.yaxis, list(frame["value"]), text=text)
        _show_names(axes, digests)
        return curves.ends

    return curve_panels(
        title,
        draw,
        name=f"trend-{number}",
        label=f"{title}, over {count(len(digests), 'run')}: {count(len(names), 'case')}.",
        height_in=3.2,
        narrow_height_in=2.5 + 0.16 * legend_rows(list(names.values())),
    )


def _choose_marker(marker: str, runs: int) -> str:
    return marker if runs <= MAX_MARKERS else ""


def _show_names(axes: Axes, digests: Sequence[Digest]) -> None:
    """Name as many runs along x as fit, always including the latest."""
    spacing = -(-len(digests) // 8)
    places = list(range(len(digests)))[::-1][::spacing][::-1]
    axes.set_xticks(places, [digests[position].label[:10] for position in places], rotation=40, ha="right")
    axes.set_xlim(-0.4, len(digests) - 0.6)


def _find_change(steps: pd.DataFrame) -> str:
    """Return the step whose time changed most between the first and the last run with this step."""
    lines = {str(case): line["value"] for case, line in steps.groupby("case", sort=False) if len(line) > 1}
    ratios = {case: values.iloc[-1] / values.iloc[0] for case, values in lines.items()}
    if not ratios:
        return ""
    case = max(ratios, key=lambda name: max(ratios[name], 1 / ratios[name]))
    return f" {case} has the largest change from its first run to its last: {times(ratios[case])} the time."
