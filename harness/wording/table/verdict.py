"""The tables of verdicts: the laws of a function, and the cases of a package."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from harness.dtype import PARAMETERS
from harness.findings import Grade
from harness.findings.merging import group_by
from harness.record.schema import ANY, Status, Verdict
from harness.wording.number import UNKNOWN
from harness.wording.table import Cell, Column, Table, build_table

Verdicts = list[Verdict]


def law_table(verdicts: Sequence[Verdict], *, numbers: bool = False, statements: bool = False) -> Table:
    """Return a row for each law and a column for each dtype.

    ``numbers`` adds the largest deviation, ``statements`` the number of examples and rows and the statement.
    """
    dtypes = sort_dtypes(dict.fromkeys(verdict.dtype for verdict in verdicts))
    columns: list[Column[Verdicts]] = [
        Column("law", lambda law: law[0].law, "code"),
        *(_make_status_column(dtype) for dtype in dtypes),
    ]
    if numbers:
        columns.append(Column("worst / bound", _find_worst))
    if statements:
        columns += [*_make_amount_columns(), Column("statement", lambda law: law[0].statement, "prose")]
    return build_table("laws", "Laws", group_by(verdicts, lambda verdict: verdict.law).values(), columns)


def sort_dtypes(dtypes: Iterable[str]) -> list[str]:
    """Return the known dtypes from wide to narrow, then any others."""
    names = list(dtypes)
    return [*(dtype for dtype in PARAMETERS if dtype in names), *(dtype for dtype in names if dtype not in PARAMETERS)]


def _make_status_column(dtype: str) -> Column[Verdicts]:
    def get_status(law: Verdicts) -> str:
        verdict = next((verdict for verdict in reversed(law) if verdict.dtype == dtype), None)
        if verdict is None:
            return UNKNOWN
        return Cell(str(verdict.status), verdict.status.value, verdict.reason or verdict.statement)

    return Column("verdict" if dtype == ANY else dtype, get_status)


def _make_amount_columns() -> list[Column[Verdicts]]:
    """Return the columns with the number of examples and of rows."""
    return [
        Column("examples", lambda verdicts: f"{sum(verdict.examples for verdict in verdicts):,}", "number"),
        Column("rows", lambda verdicts: f"{sum(verdict.rows for verdict in verdicts):,}", "number"),
    ]


def _find_worst(verdicts: Verdicts) -> str:
    """Return the largest deviation relative to its bound among the dtypes."""

    def compute_ratio(verdict: Verdict) -> float:
        assert verdict.deviation is not None
        return verdict.deviation / verdict.bound if verdict.bound else math.inf if verdict.deviation else 0.0

    measured = [verdict for verdict in verdicts if verdict.deviation is not None and verdict.bound is not None]
    if not measured:
        return UNKNOWN
    verdict = max(measured, key=compute_ratio)
    return f"{verdict.deviation:.3g} / {verdict.bound:.3g} {verdict.unit}"


def case_table(verdicts: Sequence[Verdict], graded: Mapping[tuple[str, str], Grade], *, wide: bool) -> Table:
    """Return a row for each case and contract, with its worst grade and the number of verdicts by status."""

    def tally(status: Status) -> Column[Verdicts]:
        return Column(status.value, lambda case: f"{_count_status(case, status) or UNKNOWN}", "number")

    def list_failures(case: Verdicts) -> str:
        failed = sum(verdict.status.fails for verdict in case)
        return Cell(f"{failed}", "broken") if failed else UNKNOWN

    def get_grade(case: Verdicts) -> str:
        values = [value for (name, _), value in graded.items() if name == case[0].case]
        return str(max(values, key=lambda value: value.rank)) if values else UNKNOWN

    columns: list[Column[Verdicts]] = [
        Column("case", lambda case: case[0].case, "code"),
        Column("contract", lambda case: case[0].contract, "code"),
        Column("grade", get_grade),
        Column("holds", lambda case: f"{_count_status(case, Status.HOLDS)}", "number"),
        tally(Status.EXPECTED),
        tally(Status.LOST),
        Column("failing", list_failures, "number"),
        *_make_amount_columns(),
    ]
    cases = group_by(verdicts, lambda verdict: (verdict.case, verdict.contract)).values()
    table = build_table("cases", "Cases", cases, columns)
    return table if wide else table.drop_columns("contract", "examples", "rows")


def _count_status(verdicts: Verdicts, status: Status) -> int:
    return Counter(verdict.status for verdict in verdicts)[status]
