"""Sections on laws: declared failures, every law and its room below the bound, and what was skipped."""

from collections.abc import Iterator

from harness.record import Status, Verdict
from harness.record.binary_format import PARAMETERS, short_name
from reports.figures.law import room
from reports.part import Block, Legend, Note
from reports.reading import Reading
from reports.section import PagePart, section
from reports.sections.block import verdict_text
from reports.tables import law
from reports.tables.matrix import MEANINGS, SYMBOLS, matrices
from reports.text import count

_FIRST, *_OTHERS = PARAMETERS

READING = (
    f"In each cell, one sign for each dtype, in the order of the heading: {short_name(_FIRST)} is {_FIRST}, "
    f"{', '.join(f'{short_name(dtype)} {dtype}' for dtype in _OTHERS)}. "
    "Pointing at a sign shows the worst deviation and its bound."
)
"""How a cell of the law matrix is read."""


@section("Declared failures")
def declared(reading: Reading) -> Iterator[PagePart]:
    """Yield the declared failures that were found, with a counterexample of each."""
    witnesses: dict[str, list[Verdict]] = {}
    for group in law.declared_groups(reading.verdicts):
        witnesses.setdefault(group[0].case, []).append(law.representative(group))
    if not witnesses:
        return
    yield law.declared(reading.verdicts)
    yield Note("The smallest counterexample of each, with its replay and what to look at:", folded=True)
    for number, (case, verdicts) in enumerate(witnesses.items(), 1):
        text = "\n\n".join(map(verdict_text, verdicts))
        yield Block(f"declared-{number}", f"{case}: {count(len(verdicts), 'law')}", text, folded=True)


@section("Laws")
def laws(reading: Reading) -> Iterator[PagePart]:
    """Yield the contracts at a glance, the room below the bounds, and the matrices."""
    frame = reading.frames.verdicts
    if not reading.verdicts:
        return
    yield law.contracts(frame)
    yield law.graded(reading.verdicts)
    if frame["ratio"].notna().any():
        yield room(frame)
        yield law.closest(frame)
    yield Legend(tuple((SYMBOLS[status], status.value, MEANINGS[status]) for status in Status), READING)
    yield from matrices(reading.verdicts)


@section("Skipped, and why")
def skipped(reading: Reading) -> Iterator[PagePart]:
    """Yield what was skipped and why."""
    table = law.skipped(reading.frames.verdicts)
    if table.rows:
        yield table
