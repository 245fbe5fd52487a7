"""Notebook output of a survey and of verdicts: a card with the interactive figure, and drawings.

A card is a page in a frame, so that its style and its script do not interfere with the notebook.
"""

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import fill, wrap
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes

from harness.record import Audit, Breaking, Profile, RayTrace, RunFolder, Verdict, write_atomically

from .figures.accuracy import headroom_figure
from .figures.audit import errors, headroom
from .figures.chart import name_rows
from .figures.survey import DTYPE, magnitudes
from .figures.trace import watch
from .frame import FRAMES
from .page_part import Figure
from .style import GRID, INK, LINE, MUTED, PAPER, PENS
from .svg import WIDE_IN, draw_svg
from .template import script, templates

_COLORS = f"--ink:{INK};--muted:{MUTED};--line:{LINE};--grid:{GRID};--paper:{PAPER};background:{PAPER}"


class Drawing:
    """A drawing for a notebook, as an SVG element that can be saved."""

    def __init__(self, svg: str) -> None:
        # An element has one style: with two, a file of it is no XML, and a notebook may take either.
        self.svg = svg.replace(' style="', f' style="{_COLORS};', 1)

    def _repr_svg_(self) -> str:
        """Return the HTML for a notebook."""
        return self.svg

    def save(self, path: str | Path) -> Path:
        """Write the drawing as an SVG file and return its path."""
        write_atomically(Path(path), self.svg)
        return Path(path)


def survey_card(
    title: str,
    sentences: Sequence[str],
    traces: Sequence[RayTrace],
    profiles: Sequence[Profile],
    breakings: Sequence[Breaking],
    *,
    broken: bool,
) -> str:
    """Return a survey as HTML: its result in a sentence, the interactive figure, and the error against the inputs."""
    code = Markup(script())  # noqa: S704 - our own file
    facts = {"title": title, "sentences": sentences, "outcome": "bad" if broken else "good", "script": code}
    figures = {"watched": watch(traces), "figure": _build_error(profiles, breakings)}
    page = templates().get_template("card.html.j2").render(facts | figures)
    frame = f'<iframe title="{escape(title)}" srcdoc="{escape(page)}" height="900"'
    return f'{frame} style="width:100%;border:1px solid #8c959f;border-radius:6px"></iframe>'


def error_drawing(profiles: Sequence[Profile], breakings: Sequence[Breaking]) -> Drawing | None:
    """Return the error against the magnitude of the inputs; ``None`` if it was not measured."""
    figure = _build_error(profiles, breakings)
    return None if figure is None else Drawing(figure.panels[0].svg)


def headroom_drawing(verdicts: Sequence[Verdict]) -> Drawing | None:
    """Return the share of its bound that each law uses; ``None`` if it was not measured."""
    with TemporaryDirectory() as folder:
        frame = FRAMES["verdicts"](_run(Path(folder), verdicts))
    return Drawing(headroom_figure(frame).panels[0].svg) if frame["ratio"].notna().any() else None


def audit_drawing(audit: Audit) -> Drawing | None:
    """Return the headroom of lines, or else the growth of the error along the step; ``None`` without both."""
    figure = headroom(audit) or errors(audit)
    return None if figure is None else Drawing(figure.panels[0].svg)


MAX_CHARACTERS = 34
"""Length of a line of a label; longer labels have several lines."""

WIDEST = 2.0
"""Longest axis of rates, as a multiple of the largest rate; an arrow marks an interval that goes beyond it."""


def rates_drawing(rates: Sequence[tuple[str, float, float, float]], choice: str) -> Drawing:
    """Return rates with their intervals as bars; the bar of the choice has another color.

    ``rates`` has names, points, and both ends of the intervals.
    """
    names = [name for name, *_ in rates]

    def draw(axes: Axes) -> None:
        ends = [high if math.isfinite(high) else point for _, point, _, high in rates]
        axes.set_xlim(0.0, min(1.05 * max(ends), WIDEST * max(point for _, point, _, _ in rates)))
        for position, (name, point, low, high) in enumerate(rates):
            axes.barh(position, point, height=0.6, color=PENS["scratch" if name == choice else "concise"].color)
            if math.isfinite(high):
                axes.plot([low, min(high, axes.get_xlim()[1])], [position, position], color=INK, linewidth=1.2)
                if high > axes.get_xlim()[1]:
                    axes.plot(axes.get_xlim()[1], position, marker=">", markersize=5, color=INK, clip_on=False)
            # At the edge, where no interval runs through it.
            edge: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate(f"{point:,.0f}", (1.0, position), (6, 0), va="center", color=INK, **edge)
        name_rows(axes, [fill(name, MAX_CHARACTERS) for name in names], xlabel="samples/s")

    label = "; ".join(f"{name}: {point:,.0f} samples/s" for name, point, _, _ in rates)
    rows = sum(max(1.0, 0.75 * len(wrap(name, MAX_CHARACTERS))) for name in names)
    return Drawing(draw_svg(draw, name="rates", label=label, height_in=0.8 + 0.3 * rows, width_in=WIDE_IN))


def _build_error(profiles: Sequence[Profile], breakings: Sequence[Breaking]) -> Figure | None:
    if not any(profile.dtype == DTYPE for profile in profiles):
        return None
    with TemporaryDirectory() as folder:
        run = _run(Path(folder), profiles, breakings)
        return magnitudes(FRAMES["profiles"](run), FRAMES["breakings"](run))


def _run(folder: Path, *records: Sequence[Any]) -> RunFolder:
    """Write records into a run, because frames are made only from runs."""
    run = RunFolder(folder)
    for group in records:
        if group:
            run.write(type(group[0]), group)
    return run
