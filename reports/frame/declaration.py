"""Declarations of frames: columns, keys, and the function that makes the rows from a run, in one place.

::

    @frame(*CASE, Column("parameter", TEXT, "name of the parameter"), keys=("case", "parameter"))
    def estimates(run: RunFolder) -> Iterator[Row]:
        ...

The name of the function is the name of the frame. The first line of its docstring describes a row. A frame of a
benchmark may use every further field of its record as a column. A new field of a suite therefore needs no declaration.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

import pandas as pd
from pydantic import BaseModel

from harness.record import RunFolder

from ..text import clean
from .column import RECORD, Column, further_columns

Row = Mapping[str, Any]
"""Values by column name; missing values are unknown, and other names are ignored."""


@dataclass(frozen=True)
class Frame:
    """The declaration of a frame, which returns the frame of a run if it is called.

    Parameters
    ----------
    name
        Name of the frame, of its attribute in :class:`reports.frame.Frames` and of its file.
    meaning
        Description of a row, in one line.
    columns
        Its columns, in order; the last one is the source record of a row.
    keys
        Columns that identify a row; the other numbers are measurements.
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
            If a record or a benchmark of the frame is damaged.
        """
        names = [column.name for column in self.columns]
        rows = [{name: _clean(row.get(name)) for name in names} for row in self.rows(run)]
        return pd.DataFrame(rows).reindex(columns=names).astype({column.name: column.dtype for column in self.columns})


def _clean(value: Any) -> Any:
    """Remove control characters, which must not be in a frame, CSV file or Parquet file."""
    return clean(value) if isinstance(value, str) else value


def frame(
    *columns: Column, keys: tuple[str, ...], further: type[BaseModel] | None = None, without: Collection[str] = ()
) -> Callable[[Callable[[RunFolder], Iterable[Row]]], Frame]:
    """Declare a frame by the function that makes its rows, with the name of the frame and a description of a row."""
    columns += further_columns(further, columns, without=without) if further else ()

    def declare(rows: Callable[[RunFolder], Iterable[Row]]) -> Frame:
        meaning = (getdoc(rows) or "").partition("\n")[0]
        return Frame(rows.__name__, meaning, (*columns, RECORD), keys, rows)

    return declare
