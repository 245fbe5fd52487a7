"""Sections on an operation: why and where it breaks, its proofs, its speed, and the gain of vectorization."""

from collections.abc import Iterator
from dataclasses import replace

from harness.record.bench import OperationRecord
from harness.wording.proof import format_broken_laws
from harness.wording.table.call import operation_table
from harness.wording.table.proof import proof_table
from harness.wording.table.survey import SURE, breaking_table, worst_table

from ..figures.accuracy import MIN_POINTS, accuracy_against_speed
from ..figures.ray import flat, log_of_zero, number_line
from ..figures.step import ratios, speedup
from ..figures.survey import DTYPE, histogram, magnitudes
from ..page_part import Block, Part
from ..reading import Reading
from ..section import section
from ..table import page_table
from ..tables import operation as tables
from ..text import cut
from .block import MAX_BLOCKS, MAX_CHARACTERS


@section("Accuracy and speed")
def operations(reading: Reading) -> Iterator[Part]:
    """Yield the accuracy and the speed of the implementations per contract."""
    frame = reading.frames.operations
    if len(frame):
        if frame["ratio"].notna().sum() >= MIN_POINTS:
            yield accuracy_against_speed(frame)
        shares = {str(case): float(ratio) for case, ratio in zip(frame["case"], frame["ratio"], strict=True)}
        yield page_table(operation_table(reading.list_timed(OperationRecord), shares), folded=True)


@section("Vectorization")
def vectorization(reading: Reading) -> Iterator[Part]:
    """Yield the gain of vectorization."""
    if len(ratios(reading.frames.vectorization)):
        yield speedup(reading.frames.vectorization)


@section("Proofs")
def proofs(reading: Reading) -> Iterator[Part]:
    """Yield the proofs, their kernels, the laws that held, and the broken ones."""
    if not reading.proofs:
        return
    yield page_table(proof_table(reading.proofs))
    yield tables.kernels(reading.proofs)
    yield tables.list_held(reading.proofs)
    for number, text in enumerate(format_broken_laws(reading.proofs)[:MAX_BLOCKS], 1):
        yield Block(f"proof-{number}", text.partition("\n")[0], cut(text, limit=MAX_CHARACTERS), folded=True)


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
            points = breaking_table(closed, caption=caption).drop_columns("result there")
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
