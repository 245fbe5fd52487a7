"""Tables and sentences on narrow screens, where a table becomes a list with a heading before each value."""

import io
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.error import printable
from harness.wording.number import UNKNOWN
from harness.wording.verdict import filled

TABLE_WIDTH = 120
"""Screen width from which a table is printed as such if its columns can be folded between words."""

_INDENT = "    "

_SOLID = "\N{NO-BREAK SPACE}"
"""Character between a heading and a number, which stay on one line."""

_BEYOND_ALL = 10_000
"""Width that exceeds every table."""


def is_whole(console: Console, table: Table) -> bool:
    """Return whether a table fits on the screen, or can be folded between words."""
    width = console.measure(table, options=console.options.update(width=_BEYOND_ALL)).maximum
    return width <= console.width or is_folded_between_words(table, console.width)


def is_folded_between_words(table: Table, width: int) -> bool:
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


def list_rows(table: Table, width: int) -> Iterator[str]:
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
