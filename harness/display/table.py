"""Tables of :mod:`harness.wording.table` on the terminal."""

import io
from collections.abc import Iterator
from typing import Literal

from rich.console import Console
from rich.table import Column as RichColumn
from rich.table import Table as RichTable
from rich.text import Text

from harness.error import printable
from harness.wording.number import UNKNOWN
from harness.wording.table import Cell, Table
from harness.wording.verdict import filled

TABLE_WIDTH = 120
"""Screen width from which a table is printed as such if its columns can be folded between words."""

_INDENT = "    "

_SOLID = "\N{NO-BREAK SPACE}"
"""Character between a heading and a number, which stay on one line."""

_BEYOND_ALL = 10_000
"""Width that exceeds every table."""


def is_whole(console: Console, table: RichTable) -> bool:
    """Return whether a table fits on the screen, or can be folded between words."""
    width = console.measure(table, options=console.options.update(width=_BEYOND_ALL)).maximum
    return width <= console.width or is_folded_between_words(table, console.width)


def is_folded_between_words(table: RichTable, width: int) -> bool:
    """Return whether a width suffices for tables, and no word of this one would be broken."""
    if width < TABLE_WIDTH:
        return False
    plain = Console(file=io.StringIO(), width=width, color_system=None)
    with plain.capture() as output:
        plain.print(table)
    cells = (cell for column in table.columns for cell in (column.header, *column.cells))
    return {word for cell in cells for word in _strip_markup(cell).split()} <= set(output.get().split())


def print_sentence(console: Console, text: str) -> None:
    """Print a sentence, wrapped on a narrow screen, otherwise on one line."""
    lines = filled(printable(text), console.width, subsequent_indent=_INDENT)
    for line in lines if console.width < TABLE_WIDTH else [printable(text)]:
        console.print(line, markup=False, soft_wrap=True)


def list_rows(table: RichTable, width: int) -> Iterator[str]:
    """Yield the rows of a table as lines of at most ``width`` characters, without unknown cells; words stay whole."""
    if table.title is not None:
        yield _strip_markup(table.title)
    first = next((position for position, column in enumerate(table.columns) if column.justify != "right"), 0)
    headings = [_strip_markup(column.header) for column in table.columns]
    for row in zip(*(column.cells for column in table.columns), strict=True):
        cells = [" ".join(_strip_markup(cell).split()) for cell in row]
        rest = [
            f"{heading}{_SOLID if column.justify == 'right' else ' '}{cell}".strip()
            for position, (column, heading, cell) in enumerate(zip(table.columns, headings, cells, strict=True))
            if cell not in {"", UNKNOWN} and position != first
        ]
        lines = filled(printable(f"{cells[first]}: {'; '.join(rest)}"), width, subsequent_indent=_INDENT)
        yield from (line.replace(_SOLID, " ") for line in lines)


def _strip_markup(cell: object) -> str:
    return cell.plain if isinstance(cell, Text) else Text.from_markup(str(cell)).plain


STYLES = {
    "holds": "green",
    "lost digits": "yellow",
    "broken": "bold red",
    "expected": "yellow",
    "not claimed": "dim",
    "unexpected": "bold red",
    "skipped": "dim",
    "error": "bold red",
    "best": "bold",
}
"""The style of each emphasis of a cell."""


def show_table(console: Console, table: Table, *, with_title: bool = False, is_short: bool = False) -> None:
    """Print a table and its caption; on a narrow screen the rows are a list.

    ``is_short`` leaves out the family that all cases share.
    """
    whole = make_rich_table(table, with_title=with_title, is_short=is_short)
    whole.columns[0].no_wrap = table.columns[0].kind == "code"
    if is_whole(console, whole):
        console.print(whole)
    else:
        narrow = make_rich_table(table, with_title=with_title, is_short=is_short, with_details=False)
        for line in list_rows(narrow, console.width):
            console.print(line, markup=False, soft_wrap=True)
    for line in filled(printable(table.caption), console.width):
        console.print(line, markup=False, soft_wrap=True)


def make_rich_table(
    table: Table, *, with_title: bool = False, is_short: bool = False, with_details: bool = True
) -> RichTable:
    """Return a table for rich: a number is not wrapped, a group ends with a line."""
    headers, rows = table.select_columns("terminal")
    columns = []
    for position, header in enumerate(headers):
        is_number = header.kind == "number"
        # An interval, in brackets, may go to the next line.
        is_solid = is_number and not any("(" in row[position] for row in rows)
        justify: Literal["left", "right"] = "right" if is_number else "left"
        columns.append(RichColumn(header.heading, justify=justify, no_wrap=is_solid, overflow="fold"))
    result = RichTable(*columns, title=Text(table.title) if with_title else None, title_justify="left")
    prefix = table.family if is_short else ""
    for number, row in enumerate(rows):
        cells = [row[0].removeprefix(prefix), *row[1:]]
        ends = number + 1 < len(rows) and rows[number + 1][: table.grouped] != row[: table.grouped]
        result.add_row(*(_make_text(cell, with_detail=with_details) for cell in cells), end_section=ends)
    return result


def _make_text(cell: str, *, with_detail: bool) -> Text:
    """Return a cell in the style of its emphasis, in units of ASCII characters."""
    text = printable(cell).replace("µs", "us")
    if not isinstance(cell, Cell):
        return Text(text)
    if with_detail and cell.detail and not cell.emphasis:
        text += f"\n{cell.detail}"
    return Text(text, style=STYLES.get(cell.emphasis, ""))
