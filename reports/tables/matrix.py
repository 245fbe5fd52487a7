"""The law matrix: one for each contract and device, with laws as rows, cases as columns and a mark for each dtype.

There are dozens of laws and a few cases, so the matrix is as wide as a page.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.dtype import short_name
from harness.findings.merging import group_by
from harness.record import Status, Verdict
from harness.wording.table import Header, render_markdown_table
from harness.wording.table.verdict import sort_dtypes

from ..number import plain
from ..page_part import Part
from ..text import count, shorten

SYMBOLS = {
    Status.HOLDS: "✓",
    Status.LOST: "≈",
    Status.BROKEN: "✗",
    Status.EXPECTED: "◇",
    Status.UNEXPECTED: "≠",
    Status.UNCLAIMED: "○",
    Status.SKIPPED: "–",
    Status.ERROR: "!",
}
"""A symbol for each status, so that no reader depends on color."""

MEANINGS = {
    Status.HOLDS: "holds",
    Status.LOST: "lost digits: as accurate as most careful code, but a more accurate algorithm exists",
    Status.BROKEN: "broken",
    Status.EXPECTED: "expected: a declared failure that occurred",
    Status.UNEXPECTED: "unexpected: a declared failure that did not occur",
    Status.UNCLAIMED: "not claimed: broken in a dtype that the implementation does not claim",
    Status.SKIPPED: "skipped",
    Status.ERROR: "error",
}
"""The status in words."""

REASON = 60
"""Characters of a reason behind a sign; the tables have all of it."""

CALM = {Status.HOLDS.value, Status.SKIPPED.value, "none"}
"""Statuses of a mark that needs no attention."""

MIN_FOLDED = 4
"""Laws that hold everywhere: fewer are not folded."""

NOT_CLAIMED = "·"
"""Symbol for a dtype that the case does not claim, or a law that does not apply."""


@dataclass(frozen=True)
class Mark:
    """The verdict on one case and law, in one dtype or in all dtypes of a cell: status, signs and tooltip."""

    status: str
    symbols: str
    text: str


@dataclass(frozen=True)
class CaseColumn:
    """One case: its name and its tally in words.

    The short name leaves out the family, which heads the columns of its cases.
    """

    case: str
    name: str
    tally: str


@dataclass(frozen=True)
class LawRow:
    """One law: its name, statement and source, and its marks, case by case and within a case dtype by dtype."""

    law: str
    statement: str
    source: str
    cells: tuple[tuple[Mark, ...], ...]


@dataclass(frozen=True)
class Matrix(Part):
    """The laws of a contract on a device."""

    kind = "matrix"

    name: str
    contract: str
    device: str
    dtypes: tuple[str, ...]
    families: tuple[tuple[str, tuple[CaseColumn, ...]], ...]
    rows: tuple[LawRow, ...]

    @property
    def calm(self) -> tuple[LawRow, ...]:
        """The laws that hold in every case and dtype, which the page folds away; none if a few rows would remain."""
        rows = tuple(row for row in self.rows if all(mark.status in CALM for cell in row.cells for mark in cell))
        return rows if MIN_FOLDED <= len(rows) < len(self.rows) else ()

    @property
    def notable(self) -> tuple[LawRow, ...]:
        """The other laws."""
        folded = self.calm
        return tuple(row for row in self.rows if row not in folded)

    @property
    def cases(self) -> tuple[str, ...]:
        """The case of each cell of a row."""
        return tuple(column.case for _, columns in self.families for column in columns)

    @property
    def short_dtypes(self) -> tuple[str, ...]:
        """The dtypes as headings for the marks of a cell."""
        return tuple(short_name(dtype) for dtype in self.dtypes)

    @property
    def heading(self) -> str:
        """Contract and size in words."""
        cases = sum(len(columns) for _, columns in self.families)
        on = "" if self.device == "cpu" else f" on {self.device}"
        return f"{self.contract}{on}: {count(cases, 'case')}, {count(len(self.rows), 'law')}"

    def markdown(self) -> str:
        """Return the matrix as Markdown: the signs of a cell side by side in the order of the dtypes."""
        signs = [["".join(mark.symbols for mark in cell) for cell in row.cells] for row in self.rows]
        heads = (f"law ({', '.join(self.dtypes)})", *self.cases)
        rows = [(row.law, *cells) for row, cells in zip(self.rows, signs, strict=True)]
        return render_markdown_table([*map(Header, heads)], rows)


def matrices(verdicts: Sequence[Verdict]) -> tuple[Matrix, ...]:
    """Return a matrix for each contract and device, in the order they were first checked."""
    by_place = group_by(verdicts, lambda verdict: (verdict.contract, verdict.device))
    return tuple(_build_matrix(group, name=f"matrix-{number}") for number, group in enumerate(by_place.values(), 1))


def _build_matrix(verdicts: Sequence[Verdict], *, name: str) -> Matrix:
    """Lay out the verdicts of a contract on a device."""
    by_place = {(verdict.case, verdict.law, verdict.dtype): verdict for verdict in verdicts}
    dtypes = sort_dtypes(dict.fromkeys(verdict.dtype for verdict in verdicts))
    families = {
        family: tuple(_build_column(of_case) for of_case in group_by(members, lambda verdict: verdict.case).values())
        for family, members in group_by(verdicts, lambda verdict: verdict.family).items()
    }
    cases = [column.case for columns in families.values() for column in columns]

    def row(law: Verdict) -> LawRow:
        cells = ([by_place.get((case, law.law, dtype)) for dtype in dtypes] for case in cases)
        return LawRow(law.law, law.statement, law.source, tuple(_build_cell(cell, dtypes) for cell in cells))

    rows = tuple(map(row, {verdict.law: verdict for verdict in verdicts}.values()))
    contract, device = verdicts[0].contract, verdicts[0].device
    return Matrix(name, contract, device, tuple(dtypes), tuple(families.items()), rows)


def _build_column(verdicts: Sequence[Verdict]) -> CaseColumn:
    """Return the heading of the marks of a case."""
    first = verdicts[0]
    return CaseColumn(first.case, first.case.removeprefix(f"{first.family}."), _count_verdicts(verdicts))


def _build_cell(verdicts: Sequence[Verdict | None], dtypes: Sequence[str]) -> tuple[Mark, ...]:
    """Return the marks of a cell; a single mark if all are equal, as in most cells."""
    marks = [_make_mark(verdict, dtype=dtype) for verdict, dtype in zip(verdicts, dtypes, strict=True)]
    first = marks[0]
    same = {mark.status for mark in marks} == {first.status} and len({_reason(verdict) for verdict in verdicts}) == 1
    if not same or len(marks) == 1:
        return tuple(marks)
    words = "not claimed" if verdicts[0] is None else f"{first.status}{_reason(verdicts[0])}"
    amounts = [_format_amount(verdict) or "–" for verdict in verdicts]
    amounts = amounts[:1] if len(set(amounts)) == 1 else amounts
    unit = verdicts[0].unit if verdicts[0] is not None else ""
    worst = f": {', '.join(amounts)} {unit}" if any(map(_format_amount, verdicts)) else ""
    return (Mark(first.status, "".join(mark.symbols for mark in marks), f"{words}{worst}"),)


def _reason(verdict: Verdict | None) -> str:
    return f"; {shorten(verdict.reason, limit=REASON)}" if verdict is not None and verdict.reason else ""


def _format_amount(verdict: Verdict | None) -> str:
    if verdict is None or verdict.deviation is None or verdict.bound is None:
        return ""
    return f"{plain(verdict.deviation)} of {plain(verdict.bound)}"


def _make_mark(verdict: Verdict | None, *, dtype: str) -> Mark:
    """Return the mark of a verdict, or of a missing one."""
    if verdict is None:
        return Mark("none", NOT_CLAIMED, f"{dtype}: not claimed")
    amount = f", {_format_amount(verdict)} {verdict.unit}" if _format_amount(verdict) else ""
    text = f"{dtype}: {verdict.status.value}{amount}{_reason(verdict)}"
    return Mark(verdict.status.value, SYMBOLS[verdict.status], text)


def _count_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts of a case in words: ``30 hold, 2 expected``."""
    counts = Counter(verdict.status for verdict in verdicts)
    words = {Status.HOLDS: "hold"}
    return ", ".join(f"{counts[status]} {words.get(status, status.value)}" for status in Status if counts[status])
