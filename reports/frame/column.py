"""A column of a frame: name, type and meaning, with the unit in the name; and the columns that many frames share."""

from types import NoneType, UnionType
from typing import Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel

TEXT, REAL, WHOLE, TRUTH = "string", "float64", "int64", "boolean"


class Column(NamedTuple):
    """Name, type and meaning of a column."""

    name: str
    dtype: str
    meaning: str


CASE = (
    Column("case", TEXT, "family.module.function"),
    Column("family", TEXT, "folder the case belongs to"),
    Column("style", TEXT, "scratch, concise or foreign"),
)
CONTRACT = Column("contract", TEXT, "contract the case claims")
DTYPE = Column("dtype", TEXT, "floating-point format")
LAW = Column("law", TEXT, "name of the law")
GROUP = Column("group", TEXT, "group of laws")
DATA = Column("data", TEXT, "label of the data")
UNIT = Column("unit", TEXT, "unit of deviation and bound")
TIMING = (
    Column("median_s", REAL, "median of the rounds, seconds a call"),
    Column("q1_s", REAL, "first quartile of the rounds"),
    Column("q3_s", REAL, "third quartile of the rounds"),
    Column("min_s", REAL, "fastest round"),
    Column("mean_s", REAL, "mean of the rounds"),
    Column("rounds", WHOLE, "rounds measured, all in one process"),
    Column("iterations", WHOLE, "calls a round"),
    Column("cold_s", REAL, "first call, before any warm-up"),
)

RECORD = Column("record", TEXT, "place of the record in the run: file and line, or file and number of the benchmark")
"""The last column of every frame: every number can be traced to its record."""


def columns_of(record: type[BaseModel], *names: str, dtype: str | None = None) -> tuple[Column, ...]:
    """Return the columns that fields of a record make as they stand: name, type and description are the field's.

    Parameters
    ----------
    record
        The record.
    names
        Its fields, in the order of the columns.
    dtype
        Type of these columns where it is not the field's: that of a series that is kept as its median, for one.

    Raises
    ------
    TypeError
        If a field has no description, or is neither text, number nor truth and no ``dtype`` is given.
    """
    return tuple(Column(name, dtype or _dtype(record, name), _meaning(record, name)) for name in names)


_DTYPES: tuple[tuple[type, str], ...] = ((bool, TRUTH), (int, WHOLE), (float, REAL), (str, TEXT))
"""Types of fields and of their columns; a truth is a whole number too, and so it stands first."""


def _dtype(record: type[BaseModel], name: str) -> str:
    """Return the type of a field's column; a whole number that may be unknown is a real one, which has NaN."""
    annotation = record.model_fields[name].annotation
    parts = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
    kinds = [str if get_origin(part) is Literal else part for part in parts if part is not NoneType]
    kind = kinds[0] if len(kinds) == 1 and isinstance(kinds[0], type) else NoneType
    dtype = next((dtype for known, dtype in _DTYPES if issubclass(kind, known)), None)
    if dtype is None:
        raise TypeError(f"`{record.__name__}.{name}` makes no column: it is neither text, number nor truth")
    return REAL if dtype == WHOLE and NoneType in parts else dtype


def _meaning(record: type[BaseModel], name: str) -> str:
    description = record.model_fields[name].description
    if description is None:
        raise TypeError(f"`{record.__name__}.{name}` makes no column: it has no description")
    return description
