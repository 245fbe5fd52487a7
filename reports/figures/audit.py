"""Headroom of a training step: by how much each line may grow before it breaks."""

from matplotlib.axes import Axes

from harness.record import Audit, Headroom
from reports.figure import Figure
from reports.figures.axis import logarithmic
from reports.figures.panel import wide_and_narrow
from reports.number import plain
from reports.style import INK
from reports.svg import told
from reports.tables.audit import place
from reports.text import count, shortened

MOST_LINES = 8
MOST_CHARACTERS = 26
FAR = 2.0**20
"""From this factor on nobody need know how much room is left."""

NEAR, COLORS = 2.0, ("#b3261e", "#0072b2")
"""A factor up to which a line is about to break, and the colours below and above it."""


def headroom(audit: Audit) -> Figure | None:
    """Return the lines that are nearest to their breaking points; ``None`` without one.

    What is beyond it already is a finding, and no line with room.
    """
    near = [room for room in audit.headroom if 1.0 <= room.factor < FAR]
    rooms = sorted(near, key=lambda room: room.factor)[:MOST_LINES]
    if not rooms:
        return None
    first = rooms[0]
    said = (
        f"{place(first)} is nearest: {first.operation}'s {first.quantity} of {plain(first.value, digits=4)} breaks at "
        f"{first.breaks_at!r} in {first.dtype}, {plain(first.factor)} times as far. "
        f"{count(len(audit.headroom), 'operation')} of {audit.case} on this batch."
    )

    panel = wide_and_narrow(
        "",
        lambda axes: _draw(axes, rooms),
        name=f"headroom-{audit.case}",
        label=said,
        height_in=0.8 + 0.34 * len(rooms),
    )
    return Figure("headroom-figure", "Room before a line breaks", (panel,), said, (), columns=1)


def _draw(axes: Axes, rooms: list[Headroom]) -> None:
    """Draw a bar for each line, its factor at the end."""
    for at, room in enumerate(rooms):
        factor = room.factor
        axes.barh(at, factor, height=0.6, color=COLORS[room.factor > NEAR])
        axes.text(factor * 1.1, at, f"{plain(room.factor)}×", va="center", color=INK)
        told(axes, [(factor, at, f"{place(room)}: {room.value!r} now, breaks at {room.breaks_at!r} ({room.dtype})")])
    logarithmic(axes.xaxis, [1.3, 8 * max(room.factor for room in rooms)], text=plain)
    names = [shortened(f"{place(room).partition(' ')[0]} {room.operation}", most=MOST_CHARACTERS) for room in rooms]
    axes.set_yticks(range(len(rooms)), names)
    axes.set(ylim=(len(rooms) - 0.4, -0.6), xlabel="may grow or shrink so many times")
    axes.grid(visible=False, axis="y")
