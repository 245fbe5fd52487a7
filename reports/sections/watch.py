"""The section in which one watches an implementation break."""

from collections.abc import Iterator

from reports.figures.passage import watch as watched
from reports.reading import Reading
from reports.section import PagePart, section


@section("Watch it break")
def watch(reading: Reading) -> Iterator[PagePart]:
    """Yield the figure that moves."""
    figure = watched(reading.passages)
    if figure is not None:
        yield figure
