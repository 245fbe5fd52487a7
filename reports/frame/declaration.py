"""How a frame is declared: columns, keys, and the function that makes its rows from a run, all in one place.

::

    @frame(*CASE, Column("parameter", TEXT, "name of the parameter"), keys=("case", "parameter"))
    def estimates(run: RunFolder) -> Iterator[Row]:
        ...

The name of the function is that of the frame, the first line of its docstring says what a row is. A frame of a
benchmark may take every further field of its record for a column: what a suite measures anew is then declared by its
record alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

import pandas as pd
from pydantic import BaseModel

from harness.record import RunFolder
from reports.frame.column import RECORD, Column, further_columns
from reports.text import clean

Row = Mapping[str, Any]
"""Values by column name; missing values are unknown, and other names are ignored."""


@dataclass(frozen=True)
class Frame:
    """The declaration of a frame. Called with a run, it gives that of the run.

    Parameters
    ----------
    name
        Name of the frame, of its attribute in :class:`reports.frame.Frames` and of its file.
    meaning
        What a row is, in a line.
    columns
        Its columns, in order; the record that a row is from is the last.
    keys
        The columns that say what a row is about; the other numbers are what was measured.
    rows
        Makes the rows of a run.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...]
    rows: Callable[[RunFolder], Iterable[Row]]

    def __call__(self, run: RunFolder) -> pd.DataFrame:
        """Return the rows of a run under the columns and types of the frame; unknown numbers are NaN, texts missing.

        Raises
        ------
        UsageError
            If a record or a benchmark that it is made from is damaged.
        """
        names = [column.name for column in self.columns]
        rows = [{name: _clean(row.get(name)) for name in names} for row in self.rows(run)]
        return pd.DataFrame(rows).reindex(columns=names).astype({column.name: column.dtype for column in self.columns})


def _clean(value: Any) -> Any:
    """Let no control character into a frame, and so into no CSV and no Parquet file."""
    return clean(value) if isinstance(value, str) else value


def frame(
    *columns: Column, keys: tuple[str, ...], further: type[BaseModel] | None = None, without: Collection[str] = ()
) -> Callable[[Callable[[RunFolder], Iterable[Row]]], Frame]:
    """Declare a frame by what makes its rows: a function that is named like the frame and says what a row is.

    Parameters
    ----------
    columns
        All but the last, the record, and the further ones.
    keys
        Names of those that say what a row is about.
    further
        A record whose fields are columns too, after these.
    without
        Its fields that are none.
    """
    columns += further_columns(further, columns, without=without) if further else ()

    def declare(rows: Callable[[RunFolder], Iterable[Row]]) -> Frame:
        meaning = (getdoc(rows) or "").partition("\n")[0]
        return Frame(rows.__name__, meaning, (*columns, RECORD), keys, rows)

    return declare
