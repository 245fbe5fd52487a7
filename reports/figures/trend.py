"""The trend over runs: verdicts that fail, step times and loader rates, run by run, oldest first."""

from collections.abc import Callable, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..figure import Figure, Panel
from ..frame.column import REAL, TEXT, Column
from ..history import BATCH, Digest
from ..number import duration, rate, times
from ..style import PENS, pen
from ..svg import draw_svg
from ..text import count
from .axis import End, legend_rows, logarithmic
from .curve import Curves
from .name import names_of
from .panel import curve_panels

MAX_LABELS = 8
"""Runs that are named on an axis; of more, every second, third and so on."""

MAX_MARKERS = 30
"""Runs whose points are marked; of more, lines alone tell more."""

HEIGHT_IN, ROW_IN = 2.5, 0.16
"""Height of a panel and of an additional legend row, in inches."""

WIDE_HEIGHT_IN = 3.2
"""Height where lines are named at their ends."""

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
    return Panel("failures", draw_svg(draw, name="trend-failures", label=label))


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
        height_in=WIDE_HEIGHT_IN,
        narrow_height_in=HEIGHT_IN + ROW_IN * legend_rows(list(names.values())),
    )


def _choose_marker(marker: str, runs: int) -> str:
    return marker if runs <= MAX_MARKERS else ""


def _show_names(axes: Axes, digests: Sequence[Digest]) -> None:
    """Name as many runs along x as fit, always including the latest."""
    spacing = -(-len(digests) // MAX_LABELS)
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
