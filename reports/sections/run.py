"""Sections on several runs: the changes since the previous run, and all runs side by side."""

from collections.abc import Iterator

from ..figures.trend import trend
from ..part import Part
from ..reading import Reading
from ..section import section
from ..tables import run


@section("Changes")
def changes(reading: Reading) -> Iterator[Part]:
    """Yield the changes since the previous run."""
    if reading.changes is not None:
        yield run.changes(reading.changes, before=reading.before.name, same_machine=reading.same_machine)


@section("Runs")
def runs(reading: Reading) -> Iterator[Part]:
    """Yield the runs side by side, and the trend over them."""
    if reading.digests:
        yield run.side_by_side(reading.digests)
        yield trend(reading.digests)
