"""The section on where cases break."""

from collections.abc import Iterator

from ..figures.lost import flat, log_of_zero
from ..figures.number_line import number_line
from ..figures.survey import DTYPE, histogram, magnitudes
from ..part import Part
from ..reading import Reading
from ..section import section
from ..tables import survey as tables


@section("Why it breaks")
def why(reading: Reading) -> Iterator[Part]:
    """Yield exp on the number lines, the logarithm of zero and the result that stops changing, if calls show them."""
    figures = (draw(reading.traces) for draw in (number_line, log_of_zero, flat))
    yield from (figure for figure in figures if figure is not None)


@section("Breaking points and worst cases")
def survey(reading: Reading) -> Iterator[Part]:
    """Yield breaking points, deviations against magnitude and by size, the worst cases, and the order of sums."""
    frames = reading.frames
    if len(frames.breakings):
        if frames.breakings["declared"].any():
            yield tables.breaking_points(frames.breakings)
        yield tables.every_point(frames.breakings)
    if (frames.profiles["dtype"] == DTYPE).any():
        yield magnitudes(frames.profiles, frames.breakings)
        yield histogram(frames.histograms)
    if len(frames.worst):
        yield tables.worst(frames.worst)
    if len(frames.accumulators):
        yield tables.accumulators(frames.accumulators)


@section("Search methods")
def searching(reading: Reading) -> Iterator[Part]:
    """Yield the share of the worst deviation that each search method finds."""
    if len(reading.frames.search):
        yield tables.ways(reading.frames.search)
