"""A table of the report: text already formatted, written as HTML by the page and as Markdown here."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Literal, NamedTuple, get_args

import pandas as pd

from .number import magnitude
from .part import Part
from .text import markdown_text

HeaderKind = Literal["text", "prose", "number", "code"]


LONG = 12
"""Rows from which a reader wants to sort and to filter."""

OPEN = 30
"""More rows than these are shown when asked for."""


_CASE = re.compile(r"\w+(\.\w+)+")


class Header(NamedTuple):
    """Heading and kind of a column: numbers are aligned right, code is set in a fixed width, prose is given room."""

    heading: str
    kind: HeaderKind = "text"


def _of_kind(kind: HeaderKind, *headings: str) -> tuple[Header, ...]:
    return tuple(Header(heading, kind) for heading in headings)


texts, prose, numbers, codes = (partial(_of_kind, kind) for kind in get_args(HeaderKind))
"""Columns of one kind, by their headings."""


def headers(*parts: Iterable[Header]) -> tuple[Header, ...]:
    """Return the columns of a table from parts of one kind."""
    return tuple(chain(*parts))


@dataclass(frozen=True)
class Table(Part):
    """Rows of text under headings.

    Parameters
    ----------
    name
        Identifier within the page.
    title
        Title of the table.
    columns
        Headings, left to right.
    rows
        One text for each column; the first column heads its row.
    caption
        How to read the table.
    caveat
        Caveat of the data; see :func:`reports.source.caveat`.
    folded
        Whether the page folds the table away, and Markdown leaves it out, because few readers need it.
    """

    kind = "table"

    name: str
    title: str
    columns: tuple[Header, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
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

    @property
    def family(self) -> str:
        """The common prefix of the names that head all rows, up to its dot, which the page shows once above them.

        It is empty for names that are not cases, and for several families.
        """
        names = [row[0] for row in self.rows] if self.columns[0].kind == "code" else []
        families = {name.partition(".")[0] for name in names}
        return f"{families.pop()}." if len(families) == 1 and all(map(_CASE.fullmatch, names)) else ""

    def names_a_case(self, row: Sequence[str]) -> bool:
        """Whether the head of a row is the name of an implementation, which the page can highlight."""
        return self.columns[0].kind == "code" and _CASE.fullmatch(row[0]) is not None

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

    def markdown(self) -> str:
        """Return the table as GitHub-flavored Markdown."""
        headings = [markdown_text(column.heading) for column in self.columns]
        frame = pd.DataFrame([[markdown_text(cell) for cell in row] for row in self.rows], columns=headings)
        align = ["right" if column.kind == "number" else "left" for column in self.columns]
        return str(frame.to_markdown(index=False, disable_numparse=True, colalign=align if self.rows else None))
