"""Tables as data: each is built once from records, and terminal, page, notebook and Markdown write it."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from html import escape
from typing import Generic, Literal, NamedTuple, Self, TypeVar

from harness.wording.markdown import render_markdown
from harness.wording.number import UNKNOWN

Kind = Literal["text", "prose", "number", "code"]
"""Numbers are aligned right, code is set in a fixed width, prose is given room."""

Place = Literal["terminal", "page"]

RecordT = TypeVar("RecordT")

CASE = re.compile(r"\w+(\.\w+)+")
"""The name of a case."""


class Header(NamedTuple):
    """Heading and kind of a column, and the only place that shows it, if it is not shown everywhere."""

    heading: str
    kind: Kind = "text"
    only: Place | None = None


class Column(NamedTuple, Generic[RecordT]):
    """A column of a table of records: its heading, the text for each record (``None`` if unknown), and its kind."""

    heading: str
    text: Callable[[RecordT], str | None]
    kind: Kind = "text"
    only: Place | None = None


class Cell(str):
    """The text of a cell with an emphasis, which is the name of a status or ``best``, and with a detail.

    The terminal shows the detail of a number below it, and a notebook shows it as a tooltip.
    """

    emphasis: str
    detail: str

    def __new__(cls, text: str, emphasis: str = "", detail: str = "") -> Self:
        """Return the text with its attributes."""
        cell = super().__new__(cls, text)
        cell.emphasis, cell.detail = emphasis, detail
        return cell


@dataclass(frozen=True)
class Table:
    """Rows of text under headings.

    Parameters
    ----------
    name
        Identifier within a page.
    title
        Title of the table.
    columns
        Headings, left to right.
    rows
        One text for each column; the first column heads its row.
    caption
        How to read the table.
    grouped
        Number of first columns whose texts are equal in the rows of a group; 0 for no groups.
    """

    name: str
    title: str
    columns: tuple[Header, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    grouped: int = 0

    @property
    def family(self) -> str:
        """The common prefix of the names that head all rows, up to its dot.

        It is empty for names that are not cases, and for several families.
        """
        names = [row[0] for row in self.rows] if self.columns[0].kind == "code" else []
        families = {name.partition(".")[0] for name in names}
        return f"{families.pop()}." if len(families) == 1 and all(map(CASE.fullmatch, names)) else ""

    def select_columns(self, place: Place) -> tuple[tuple[Header, ...], tuple[tuple[str, ...], ...]]:
        """Return the headings and the rows of a place."""
        kept = [number for number, column in enumerate(self.columns) if column.only in {None, place}]
        return tuple(self.columns[i] for i in kept), tuple(tuple(row[i] for i in kept) for row in self.rows)

    def drop_columns(self, *headings: str) -> Self:
        """Return the table without some columns."""
        kept = [number for number, column in enumerate(self.columns) if column.heading not in headings]
        rows = tuple(tuple(row[i] for i in kept) for row in self.rows)
        return replace(self, columns=tuple(self.columns[i] for i in kept), rows=rows)

    def markdown(self) -> str:
        """Return the columns of the terminal as GitHub-flavored Markdown."""
        columns, rows = self.select_columns("terminal")
        return render_markdown_table(columns, rows)

    def html(self) -> str:
        """Return the columns of the terminal as HTML for a notebook."""
        columns, rows = self.select_columns("terminal")
        head = "".join(f"<th>{escape(column.heading)}</th>" for column in columns)
        body = "".join(f"<tr>{''.join(map(_render_cell, row))}</tr>" for row in rows)
        return f"<table><tr>{head}</tr>{body}</table>"


def _render_cell(cell: str) -> str:
    if not isinstance(cell, Cell):
        return f"<td>{escape(cell)}</td>"
    weight = "bold" if cell.emphasis in {"broken", "unexpected", "error"} else "normal"
    return f"<td title='{escape(cell.detail, quote=True)}' style='font-weight:{weight}'>{escape(cell)}</td>"


def render_markdown_table(columns: Sequence[Header], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as GitHub-flavored Markdown."""
    from tabulate import tabulate

    escaped = [[render_markdown(cell) for cell in row] for row in rows]
    align = ["right" if column.kind == "number" else "left" for column in columns]
    headings = [render_markdown(column.heading) for column in columns]
    options = {"tablefmt": "pipe", "disable_numparse": True, "colalign": align if escaped else None}
    return str(tabulate(escaped, headings, **options))


def build_table(
    name: str,
    title: str,
    records: Iterable[RecordT],
    columns: Iterable[Column[RecordT]],
    *,
    caption: str = "",
    grouped: int = 0,
) -> Table:
    """Return the table of some records: a row for each, without the columns that are unknown for all of them."""
    every = list(records)
    texts = [(column, [column.text(record) for record in every]) for column in columns]
    known_columns = [(column, cells) for column, cells in texts if not every or any(cell is not None for cell in cells)]
    rows = zip(*([UNKNOWN if cell is None else cell for cell in cells] for _, cells in known_columns), strict=True)
    headers = tuple(Header(column.heading, column.kind, column.only) for column, _ in known_columns)
    return Table(name, title, headers, tuple(rows), caption, grouped)
