"""A training step line by line: the growth of the error, and the headroom of its lines."""

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes

from harness.record import Audit, Headroom, Stretch
from harness.wording.number import plain

from ..page_part import Figure
from ..style import BROKEN, INK, LINE, PENS
from ..svg import add_tooltips
from ..tables.run import place
from ..text import count, shorten
from .axis import logarithmic
from .chart import name_rows, wide_and_narrow

NEAR, COLORS = 2.0, (BROKEN, PENS["concise"].color)
"""A factor up to which a line is about to break, and the colors below and above it."""


def list_nearest(audit: Audit) -> list[Headroom]:
    """Return the lines that are not far from their breaking points, the nearest first."""
    return sorted((line for line in audit.headroom if 1.0 <= line.factor < 2.0**20), key=lambda line: line.factor)


def headroom(audit: Audit) -> Figure | None:
    """Return the lines nearest to their breaking points; ``None`` with less than two, which need no picture.

    A line beyond its breaking point is a finding, and has no headroom.
    """
    if len(nearest := list_nearest(audit)[:8]) < 2:
        return None
    first = nearest[0]
    caption = (
        f"{place(first)} has the least headroom: its {first.operation} {first.quantity} is "
        f"{plain(first.value, digits=4)} and breaks at {first.breaks_from} in {first.dtype}: "
        f"{plain(first.factor)}× headroom. Measured on one batch of {audit.title} "
        f"({count(len(audit.headroom), 'operation')})."
    )

    draw, height_in = partial(_draw, nearest=nearest), 0.8 + 0.34 * len(nearest)
    panel = wide_and_narrow("", draw, name=f"headroom-{audit.title}", label=caption, height_in=height_in)
    claim = f"{place(first)} breaks if its {first.operation} {first.quantity} grows {plain(first.factor)}×"
    return Figure("headroom-figure", "Headroom before a line breaks", (panel,), caption, (), columns=1, claim=claim)


def _draw(axes: Axes, *, nearest: list[Headroom]) -> None:
    """Draw a bar for each line, with its factor at the end."""
    for position, line in enumerate(nearest):
        # On a logarithmic axis a bar begins at 1: no headroom.
        axes.barh(position, line.factor - 1.0, left=1.0, height=0.6, color=COLORS[line.factor > NEAR])
        axes.text(line.factor * 1.1, position, f"{plain(line.factor)}×", va="center", color=INK)
        tip = f"{place(line)}: {line.value!r} now, breaks at {line.breaks_at!r} ({line.dtype})"
        add_tooltips(axes, [(line.factor, position, tip)])
    logarithmic(axes.xaxis, [1.25, 8 * max(line.factor for line in nearest)], text=plain)
    names = [shorten(f"{place(line).partition(' ')[0]} {line.operation}", limit=26) for line in nearest]
    name_rows(axes, names, xlabel="headroom (×)")


WRONG = 1.0
"""Error from which no digit is correct; also drawn for values that are not finite."""


MAX_ROWS = 24
"""Most lines that a picture of the errors has; of more, the ones with the largest errors are drawn."""


def errors(audit: Audit) -> Figure | None:
    """Return the growth of the error along the step, without exact operations; ``None`` for too few points."""
    stretches = [stretch for stretch in audit.errors if stretch.error != 0.0]
    if len(stretches) < 3:
        return None
    broken = next((stretch for stretch in stretches if stretch.error is None), None)
    if broken is not None:
        result = f"a non-finite result that should be finite ({broken.operation})"
        caption = f"{place(broken)} is the first line with {result}; crosses mark such results."
        claim = f"{place(broken)} returns the first value that is not finite"
    else:
        worst = max(stretches, key=_order)
        caption = f"The largest relative error is {plain(worst.error or 0.0)}, at {place(worst)} ({worst.operation})."
        claim = f"The relative error grows to {plain(worst.error or 0.0)}"
    caption += f" Lines of {audit.title} from the top in the order in which they ran, with their last inexact operation"
    caption += "; squares are backward passes."
    largest = sorted(stretches, key=_order)[-MAX_ROWS:]
    drawn = [stretch for stretch in stretches if stretch in largest]
    draw, name, height_in = partial(_draw_errors, stretches=drawn), f"errors-{audit.title}", 0.8 + 0.24 * len(drawn)
    narrow = partial(draw, limit=24)
    panel = wide_and_narrow("", draw, draw_narrow=narrow, name=name, label=caption, height_in=height_in)
    return Figure("errors-figure", "Error along the step", (panel,), caption, (), columns=1, claim=claim)


def _order(stretch: Stretch) -> float:
    return WRONG if stretch.error is None else stretch.error


def _draw_errors(axes: Axes, *, stretches: Sequence[Stretch], limit: int = 44) -> None:
    """Draw a row with a point for each group of operations, and a cross at values that are not finite."""
    places = [min(_order(stretch), WRONG) for stretch in stretches]
    axes.plot(places, range(len(places)), color=LINE, linewidth=1.0)
    for backward, marker in ((False, "o"), (True, "s")):
        rows = [index for index, stretch in enumerate(stretches) if stretch.backward == backward and stretch.error]
        axes.plot([places[row] for row in rows], rows, marker, color=COLORS[1], markersize=5, linestyle="none")
    lost = [index for index, stretch in enumerate(stretches) if stretch.error is None]
    axes.plot([WRONG] * len(lost), lost, "x", color=COLORS[0], markersize=7, markeredgewidth=1.8, linestyle="none")
    texts = [f"{place(stretch)} {stretch.operation}: {_format_error(stretch)}" for stretch in stretches]
    add_tooltips(axes, zip(places, range(len(places)), texts, strict=True))
    logarithmic(axes.xaxis, [min(places) / 3, 3 * max(places)], text=plain)
    names = [f"{stretch.line}: {stretch.code.strip() or stretch.operation}" for stretch in stretches]
    name_rows(axes, [shorten(name, limit=limit) for name in names], xlabel="relative error")


def _format_error(stretch: Stretch) -> str:
    return "not finite, but should be" if stretch.error is None else f"relative error {stretch.error!r}"
