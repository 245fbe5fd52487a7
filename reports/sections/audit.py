"""The section on training steps that were audited."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from harness.wording import run_lines

from ..figure import Figure
from ..figures.audit import errors, headroom
from ..part import Note, Part
from ..reading import Reading
from ..section import section
from ..table import Table
from ..tables import audit as tables


@section("A training step, line by line")
def audits(reading: Reading) -> Iterator[Part]:
    """Yield the failing lines, the limits of the audit, and the headroom of other lines."""
    for number, audit in enumerate(reading.audits, 1):
        # Several steps stand on one page: the first has the plain names.
        ending = "" if number == 1 else f"-{number}"
        if audit.run is not None:
            yield Note(f"{audit.title}: {'; '.join(run_lines(audit.run))}.".replace("`", ""))
        if audit.findings:
            yield _named(tables.findings(audit), ending)
        if audit.blind:
            yield _named(tables.blind(audit), ending)
        grown = errors(audit)
        if grown is not None:
            yield _named(grown, ending)
        figure = headroom(audit)
        if figure is not None:
            yield _named(figure, ending)
            yield _named(tables.headroom(audit), ending)


_Part = TypeVar("_Part", Table, Figure)


def _named(part: _Part, ending: str) -> _Part:
    return replace(part, name=f"{part.name}{ending}")
