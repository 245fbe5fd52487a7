"""The section on where cases break."""

from collections.abc import Iterator
from dataclasses import replace

from harness.wording.table.survey import SURE, breaking_table, worst_table

from ..figures.lost import flat, log_of_zero
from ..figures.number_line import number_line
from ..figures.survey import DTYPE, histogram, magnitudes
from ..part import Part
from ..reading import Reading
from ..section import section
from ..table import page_table
from ..tables import survey as tables

PARAMETERS = "t is the parameter of the ray; p the precision, sub the smallest subnormal, k the classes."
"""Explains closed forms."""


@section("Why it breaks")
def why(reading: Reading) -> Iterator[Part]:
    """Yield exp on the number lines, the logarithm of zero and the result that stops changing, if calls show them."""
    figures = (draw(reading.traces) for draw in (number_line, log_of_zero, flat))
    yield from (figure for figure in figures if figure is not None)


@section("Breaking points and worst cases")
def survey(reading: Reading) -> Iterator[Part]:
    """Yield breaking points, deviations against magnitude and by size, the worst cases, and the order of sums."""
    frames = reading.frames
    if breakings := reading.survey.breakings:
        if closed := [breaking for breaking in breakings if breaking.declared]:
            caption = f"{PARAMETERS} {SURE} The table below shows the results there."
            points = breaking_table(closed, caption=caption).without("result there")
            title = "Breaking points with a closed form, by implementation and dtype"
            yield page_table(replace(points, name="breaking-points", title=title))
        yield page_table(breaking_table(breakings, caption=SURE), folded=True)
    if (frames.profiles["dtype"] == DTYPE).any():
        yield magnitudes(frames.profiles, frames.breakings)
        yield histogram(frames.histograms)
    if reading.survey.worst:
        yield page_table(worst_table(reading.survey.worst), folded=True)
    if len(frames.accumulators):
        yield tables.accumulators(frames.accumulators)
