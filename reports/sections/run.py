"""Sections on a run as a whole: its audits, the gate, changes and earlier runs, and its environment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from harness.wording.audit import run_lines
from harness.wording.number import list_counts
from harness.wording.table.audit import audit_table, headroom_table

from ..figures.audit import errors, headroom, list_nearest
from ..figures.run import evidence, trend
from ..page_part import Figure, Note, Part
from ..reading import Reading
from ..section import section
from ..table import Table, page_table
from ..tables import run as tables
from ..text import count, listing


@section("Changes")
def changes(reading: Reading) -> Iterator[Part]:
    """Yield the changes since the previous run."""
    if reading.changes is not None:
        yield tables.changes(reading.changes, before=reading.before.name, same_machine=reading.same_machine)


@section("Runs")
def runs(reading: Reading) -> Iterator[Part]:
    """Yield the runs side by side, and the trend over them."""
    if reading.digests:
        yield tables.side_by_side(reading.digests)
        yield trend(reading.digests)


@section("Gate")
def gate(reading: Reading) -> Iterator[Part]:
    """Yield the findings of the gate, and the evidence for its verdicts on time."""
    findings, comparisons, slices = reading.gate.findings, reading.gate.comparisons, reading.gate.slices
    if not findings:
        return
    yield tables.list_findings(findings)
    if any(comparison.arm == "candidate" for comparison in comparisons):
        yield evidence(comparisons, slices)
        yield tables.comparisons(comparisons)


@section(lambda run: f"{count(len(run.judgments), 'pair')}: {listing(list_counts(x.answer for x in run.judgments))}")
def same(reading: Reading) -> Iterator[Part]:
    """Yield the certificate of each pair."""
    if reading.judgments:
        yield tables.same(reading.judgments)


@section(lambda run: f"{count(len(run.compared_lines), 'line')} with a tolerance: {_list_tolerances(run)}")
def tolerances(reading: Reading) -> Iterator[Part]:
    """Yield the lines of a test suite whose tolerance should change."""
    if reading.compared_lines:
        yield tables.tolerances(reading.compared_lines)


def _list_tolerances(reading: Reading) -> str:
    return listing(list_counts(compared.answer for compared in reading.compared_lines))


@section("Environment")
def environment(reading: Reading) -> Iterator[Part]:
    """Yield machine and software."""
    yield tables.machine(reading.head)
    yield tables.build(reading.head.environment)


@section("Data")
def data(reading: Reading) -> Iterator[Part]:
    """Yield the source of the images."""
    if reading.head.data:
        yield tables.data(reading.head)


@section("A training step, line by line")
def audits(reading: Reading) -> Iterator[Part]:
    """Yield the failing lines, the limits of the audit, and the headroom of other lines."""
    for number, audit in enumerate(reading.audits, 1):
        # Several steps stand on one page: the first has the plain names.
        ending = "" if number == 1 else f"-{number}"
        if audit.run is not None:
            yield Note(f"{audit.title}: {'; '.join(run_lines(audit.run))}.".replace("`", ""))
        if audit.findings:
            yield _add_ending(page_table(audit_table(audit, tables.place)), ending)
        if audit.blind:
            yield _add_ending(tables.blind(audit), ending)
        grown = errors(audit)
        if grown is not None:
            yield _add_ending(grown, ending)
        figure = headroom(audit)
        if figure is not None:
            yield _add_ending(figure, ending)
        if list_nearest(audit):
            yield _add_ending(page_table(headroom_table(audit, audit.headroom, tables.place)), ending)


_Part = TypeVar("_Part", Table, Figure)


def _add_ending(part: _Part, ending: str) -> _Part:
    return replace(part, name=f"{part.name}{ending}")
