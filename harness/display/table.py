"""Tables of :mod:`harness.wording.table` on the terminal."""

from typing import Literal

from rich.console import Console
from rich.table import Column as RichColumn
from rich.table import Table as RichTable
from rich.text import Text

from harness.display.narrow import is_whole, list_rows
from harness.error import printable
from harness.wording.table import Cell, Table
from harness.wording.verdict import filled

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
