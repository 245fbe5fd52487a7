"""Tables of statuses: the law matrix, the contracts at a glance, and confused classes."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.dtype import short_name
from harness.findings.merging import group_by
from harness.record import Confusion, DataSource, Status, Verdict
from harness.wording.number import list_counts, percent, plain
from harness.wording.table import Header, render_markdown_table
from harness.wording.table.verdict import sort_dtypes

from ..page_part import Part
from ..source import caveats
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

CALM = {Status.HOLDS.value, Status.SKIPPED.value, "none"}
"""Statuses of a mark that needs no attention."""


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
        """The laws that hold in every case and dtype, which the page folds away unless they are few or all."""
        rows = tuple(row for row in self.rows if all(mark.status in CALM for cell in row.cells for mark in cell))
        return rows if 4 <= len(rows) < len(self.rows) else ()

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
        family: tuple(
            CaseColumn(case, case.removeprefix(f"{family}."), _count_verdicts(of_case))
            for case, of_case in group_by(members, lambda verdict: verdict.case).items()
        )
        for family, members in group_by(verdicts, lambda verdict: verdict.family).items()
    }
    cases = [column.case for columns in families.values() for column in columns]

    def row(law: Verdict) -> LawRow:
        cells = ([by_place.get((case, law.law, dtype)) for dtype in dtypes] for case in cases)
        return LawRow(law.law, law.statement, law.source, tuple(_build_cell(cell, dtypes) for cell in cells))

    rows = tuple(map(row, {verdict.law: verdict for verdict in verdicts}.values()))
    contract, device = verdicts[0].contract, verdicts[0].device
    return Matrix(name, contract, device, tuple(dtypes), tuple(families.items()), rows)


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
    return f"; {shorten(verdict.reason, limit=60)}" if verdict is not None and verdict.reason else ""


def _format_amount(verdict: Verdict | None) -> str:
    if verdict is None or verdict.deviation is None or verdict.bound is None:
        return ""
    return f"{plain(verdict.deviation)} of {plain(verdict.bound)}"


def _make_mark(verdict: Verdict | None, *, dtype: str) -> Mark:
    """Return the mark of a verdict, or of a missing one."""
    if verdict is None:
        return Mark("none", "·", f"{dtype}: not claimed")
    amount = f", {_format_amount(verdict)} {verdict.unit}" if _format_amount(verdict) else ""
    text = f"{dtype}: {verdict.status.value}{amount}{_reason(verdict)}"
    return Mark(verdict.status.value, SYMBOLS[verdict.status], text)


def _count_verdicts(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts of a case in words: ``30 hold, 2 expected``."""
    counts = Counter(verdict.status for verdict in verdicts)
    words = {Status.HOLDS: "hold"}
    return ", ".join(f"{counts[status]} {words.get(status, status.value)}" for status in Status if counts[status])


WORST = (Status.ERROR, Status.BROKEN, Status.UNEXPECTED, Status.EXPECTED, Status.LOST, Status.UNCLAIMED, Status.HOLDS)
"""Order of statuses; a cell shows the first status that occurs in it."""


@dataclass(frozen=True)
class Shade:
    """A cell: its text, the status for its color or its darkness from 0 to 1, and its tooltip."""

    text: str
    status: str = ""
    share: float = 0.0
    title: str = ""


@dataclass(frozen=True)
class Heat(Part):
    """A table of colors.

    Parameters
    ----------
    name
        Identifier within the page.
    heading
        Heading of the table.
    corner
        Heading of the row names.
    groups
        Headings over neighboring columns with their number; empty for one group.
    columns
        Headings.
    rows
        Names and cells of the rows.
    caption
        How to read it.
    """

    kind = "heat"

    name: str
    heading: str
    corner: str
    groups: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shade, ...]], ...]
    caption: str

    def markdown(self) -> str:
        """Return it as GitHub-flavored Markdown."""
        over = [f"{group} " for group, number in self.groups for _ in range(number)] or [""] * len(self.columns)
        heads = [self.corner, *(f"{group}{column}" for group, column in zip(over, self.columns, strict=True))]
        rows = [(name, *(cell.text for cell in cells)) for name, cells in self.rows]
        return render_markdown_table([*map(Header, heads)], rows)


def glance(verdicts: Sequence[Verdict]) -> Heat | None:
    """Return the worst status per contract, style and dtype; ``None`` if nothing ran."""
    ran = [verdict for verdict in verdicts if verdict.status is not Status.SKIPPED]
    if not ran:
        return None
    by_style = group_by(ran, lambda verdict: verdict.style)
    groups = {style: sort_dtypes(dict.fromkeys(law.dtype for law in group)) for style, group in by_style.items()}
    cells = group_by(ran, lambda verdict: (verdict.contract, verdict.style, verdict.dtype))
    columns = [(style, dtype) for style, dtypes in groups.items() for dtype in dtypes]
    contracts = dict.fromkeys(verdict.contract for verdict in ran)
    rows = [(name, tuple(_build_shade(cells.get((name, *column), [])) for column in columns)) for name in contracts]
    return Heat(
        name="glance",
        heading="All contracts at a glance",
        corner="contract",
        groups=tuple((style, len(dtypes)) for style, dtypes in groups.items()),
        columns=tuple(short_name(dtype) for _, dtype in columns),
        rows=tuple(rows),
        caption=f"Each cell shows the worst status of a style in a dtype: {', '.join(_list_signs(ran))}. The number "
        "counts the laws with that status; an empty cell was not claimed.",
    )


def _list_signs(verdicts: Sequence[Verdict]) -> Iterator[str]:
    words = {Status.HOLDS: "all laws hold", Status.LOST: "digits are lost", Status.EXPECTED: "fails as declared"}
    seen = {verdict.status for verdict in verdicts}
    yield from (f"{SYMBOLS[status]} {words.get(status, status.value)}" for status in reversed(WORST) if status in seen)


def _build_shade(verdicts: Sequence[Verdict]) -> Shade:
    if not verdicts:
        return Shade("")
    counts = Counter(verdict.status for verdict in verdicts)
    worst = next(status for status in WORST if counts[status])
    number = "" if worst is Status.HOLDS else f"{counts[worst]}"
    title = ", ".join(list_counts(verdict.status for verdict in verdicts))
    return Shade(f"{SYMBOLS[worst]}{number}", worst.value, title=title if number else "")


def confusion(confusions: Sequence[Confusion], source: DataSource | None) -> Heat:
    """Return the confusion matrix of the first trained model, and the accuracy of the others.

    ``confusions`` has one matrix for each model, and at least one.
    """
    first = confusions[0]
    wrong = [
        (number, true, predicted)
        for true, row in zip(first.labels, first.counts, strict=True)
        for predicted, number in zip(first.labels, row, strict=True)
        if predicted != true
    ]
    number, true, predicted = max(wrong, default=(0, "", ""))
    rights = "; ".join(f"{matrix.case}: {percent(matrix.right / (matrix.total or 1))} correct" for matrix in confusions)
    mistake = f" The most frequent mistake: {true} predicted as {predicted}, {count(number, 'time')}."
    caveat = caveats([first.data], source)
    return Heat(
        name="confusion",
        heading=f"Confusion matrix of {first.case}" + (f" ({caveat})" if caveat else ""),
        corner="true class",
        groups=(("predicted class", len(first.labels)),),
        columns=first.labels,
        rows=tuple(
            (true, tuple(Shade(f"{number:,}" if number else "", share=number / (sum(row) or 1)) for number in row))
            for true, row in zip(first.labels, first.counts, strict=True)
        ),
        caption=f"{count(first.total, 'held-out sample')} of {first.data}; darker cells hold a larger share of the "
        f"class. {rights}.{mistake if number else ''}",
    )
