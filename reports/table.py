"""A table of the page, with the facts that its text does not contain."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import get_args

import harness.wording.table
from harness.wording.table import CASE, Header, Kind

from .page_part import Part
from .text import magnitude

LONG = 12
"""Rows from which a reader wants to sort and to filter."""

OPEN = 30
"""More rows than these are shown when asked for."""


def _make_headers(kind: Kind, *headings: str) -> tuple[Header, ...]:
    return tuple(Header(heading, kind) for heading in headings)


texts, prose, numbers, codes = (partial(_make_headers, kind) for kind in get_args(Kind))
"""Columns of one kind, by their headings."""


def headers(*parts: Iterable[Header]) -> tuple[Header, ...]:
    """Return the columns of a table from parts of one kind."""
    return tuple(chain(*parts))


@dataclass(frozen=True)
class Table(harness.wording.table.Table, Part):
    """A table of the page.

    Parameters
    ----------
    caveat
        Caveat of the data; see :func:`reports.source.caveat`.
    folded
        Whether the page folds the table away, and Markdown leaves it out, because few readers need it.
    """

    kind = "table"

    caveat: str = ""
    folded: bool = False

    @property
    def heading(self) -> str:
        """The title with the caveat of its data."""
        return f"{self.title} ({self.caveat})" if self.caveat else self.title

    @property
    def is_long(self) -> bool:
        """Whether the page lets the reader sort and filter it."""
        return len(self.rows) >= LONG

    @property
    def is_cut(self) -> bool:
        """Whether the page shows only the first rows until the reader requests all."""
        return len(self.rows) > OPEN

    def names_a_case(self, row: Sequence[str]) -> bool:
        """Whether the head of a row is the name of an implementation, which the page can highlight."""
        return self.columns[0].kind == "code" and CASE.fullmatch(row[0]) is not None

    def sort_key(self, cell: str) -> str:
        """Return the number by which a cell is sorted, as text; empty if it has none."""
        number = magnitude(cell)
        return "" if number is None else f"{number:.9g}"

    def needs_key(self, cell: str) -> bool:
        """Whether the text of a cell is not its number."""
        try:
            return not cell or not math.isfinite(float(cell.replace(",", "")))
        except ValueError:
            return True


def page_table(table: harness.wording.table.Table, *, caveat: str = "", folded: bool = False) -> Table:
    """Return a table of records as a part of the page."""
    columns, rows = table.select_columns("page")
    plain = tuple(Header(column.heading, column.kind) for column in columns)
    return Table(table.name, table.title, plain, rows, table.caption, caveat=caveat, folded=folded)
