"""Declarations of frames."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from inspect import getdoc
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, get_args, get_origin

import pandas as pd
from pydantic import BaseModel

from harness.record import Estimate, RunFolder
from harness.record.bench import Benchmark, BenchRecord, RecordT, Rounds, Stats, benchmarks

from ..text import clean

TEXT, REAL, WHOLE, TRUTH = "string", "float64", "int64", "boolean"


class Column(NamedTuple):
    """Name, type and meaning of a column."""

    name: str
    dtype: str
    meaning: str


def columns_of(record: type[BaseModel], *names: str, dtype: str | None = None) -> tuple[Column, ...]:
    """Return the columns for the named fields of a record, with name, type and description of the fields.

    ``dtype`` replaces their types, for example by text for a boolean that a page spells out.

    Raises
    ------
    TypeError
        If a field has no description, or has no type for a column and no ``dtype`` is given.
    """
    return tuple(Column(name, dtype or _get_dtype(record, name), _get_meaning(record, name)) for name in names)


def further_columns(
    record: type[BaseModel], declared: Collection[Column], *, without: Collection[str] = ()
) -> tuple[Column, ...]:
    """Return the columns of the fields of a record that are not declared one by one, in their order.

    Fields in ``without`` make no column, and neither do fields that are not text, number, boolean or series.
    """
    passed = {column.name for column in declared} | set(without)
    names = [name for name in record.model_fields if name not in passed and _find_dtype(record, name)]
    return columns_of(record, *names)


_DTYPES: tuple[tuple[type, str], ...] = ((bool, TRUTH), (int, WHOLE), (float, REAL), (str, TEXT))
"""Types of fields and of their columns; a truth is a whole number too, and so it stands first."""


def _get_dtype(record: type[BaseModel], name: str) -> str:
    dtype = _find_dtype(record, name)
    if dtype is None:
        raise TypeError(
            f"`{record.__name__}.{name}` cannot become a column: it is neither text, number, bool nor series"
        )
    return dtype


def _find_dtype(record: type[BaseModel], name: str) -> str | None:
    """Return the column type, if any: a series becomes its median, an optional integer a real number with NaN."""
    annotation = record.model_fields[name].annotation
    if annotation == Rounds:
        return REAL
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    kinds = [str if get_origin(part) is Literal else part for part in parts if part is not NoneType]
    kind = kinds[0] if len(kinds) == 1 and isinstance(kinds[0], type) else NoneType
    dtype = next((dtype for base, dtype in _DTYPES if issubclass(kind, base)), None)
    return REAL if dtype == WHOLE and NoneType in parts else dtype


def _get_meaning(record: type[BaseModel], name: str) -> str:
    description = record.model_fields[name].description
    if description is None:
        raise TypeError(f"`{record.__name__}.{name}` cannot become a column: it has no description")
    return description


CASE = columns_of(BenchRecord, "case", "family", "style")
CONTRACT = Column("contract", TEXT, "contract of the case")
DTYPE = Column("dtype", TEXT, "floating-point format")
LAW = Column("law", TEXT, "name of the law")
GROUP = Column("group", TEXT, "group of laws")
DATA = Column("data", TEXT, "label of the data")
UNIT = Column("unit", TEXT, "unit of deviation and bound")
LAW_CHECKED = (*CASE, CONTRACT, LAW, GROUP, DTYPE)
LAW_MEASURED = (*CASE, CONTRACT, LAW, DTYPE)
TIMING = (
    *columns_of(Stats, "median_s", "q1_s", "q3_s", "min_s", "mean_s", "rounds", "iterations"),
    *columns_of(BenchRecord, "cold_s"),
)

RECORD = Column("record", TEXT, "place of the record in the run: file and line, or file and benchmark number")
"""The last column of every frame: every number can be traced to its record."""


def interval_columns(name: str, meaning: str, over: str = "") -> tuple[Column, ...]:
    """Return the columns for :func:`estimate_columns`, for an interval over the rounds, for example."""
    low, high = (f"{name}_{end}" if name != "ratio" else end for end in ("low", "high"))
    ends = (
        Column(low, REAL, f"lower end of the 95 % interval{over}"),
        Column(high, REAL, "upper end of the 95 % interval"),
    )
    return (Column(name, REAL, meaning), *ends)


def estimate_columns(estimate: Estimate, name: str = "") -> dict[str, float]:
    """Return an estimate under the names of its columns; all are NaN if it is unknown.

    These are ``ratio``, ``low`` and ``high``, or ``name`` and columns with this prefix.
    """
    low, high = (f"{name}_{end}" if name else end for end in ("low", "high"))
    return {name or "ratio": estimate.point, low: estimate.low, high: estimate.high}


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
        # Control characters must not be in a frame, CSV file or Parquet file.
        values = ({name: row.get(name) for name in names} for row in self.rows(run))
        rows = [{name: clean(cell) if isinstance(cell, str) else cell for name, cell in row.items()} for row in values]
        return pd.DataFrame(rows).reindex(columns=names).astype({column.name: column.dtype for column in self.columns})


def frame(
    *columns: Column, keys: tuple[str, ...], further: type[BaseModel] | None = None, without: Collection[str] = ()
) -> Callable[[Callable[[RunFolder], Iterable[Row]]], Frame]:
    """Declare a frame by the function that makes its rows, with the name of the frame and a description of a row."""
    columns += further_columns(further, columns, without=without) if further else ()

    def declare(rows: Callable[[RunFolder], Iterable[Row]]) -> Frame:
        meaning = (getdoc(rows) or "").partition("\n")[0]
        return Frame(rows.__name__, meaning, (*columns, RECORD), keys, rows)

    return declare


def list_placed(run: RunFolder, kind: type[RecordT]) -> list[tuple[str, Benchmark[RecordT]]]:
    """Return every benchmark of a suite with its place, as ``bench-steps.json:17``, in the order they ran.

    Raises
    ------
    UsageError
        If a benchmark lacks what its suite promises.
    """
    file = f"bench-{kind.suite}.json"
    document = dict(run.benchmarks()).get(kind.suite)
    read = benchmarks(document, kind, file=f"{run.path}/{file}")
    return [(f"{file}:{number}", benchmark) for number, benchmark in enumerate(read, 1)]
