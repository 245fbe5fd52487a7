"""The frames of single calls: operations, their vectorisation, and the speed of checking."""

from collections.abc import Iterator

from harness.record import RunFolder, Verdict
from reports import benchmark
from reports.frame.column import CASE, CONTRACT, REAL, TEXT, TIMING, WHOLE, Column
from reports.frame.declaration import Row, frame
from reports.frame.law import share_of_bound


@frame(
    *CASE,
    CONTRACT,
    *TIMING,
    Column("ratio", REAL, "largest deviation of its float32 values / its bound there; missing where not checked"),
    keys=("case", "contract"),
)
def operations(run: RunFolder) -> Iterator[Row]:
    """One row for each timed operation, with the share of its bound that its values reach in float32."""
    rows = benchmark.rows(run, "operations")
    shares = _shares(run) if rows else {}
    for row in rows:
        yield {**row, "ratio": shares.get(row["case"])}


def _shares(run: RunFolder) -> dict[str, float | None]:
    """Return the share of its bound that the value of each case reaches in float32 on the CPU."""
    return {
        verdict.case: share_of_bound(verdict.deviation, verdict.bound)
        for verdict in run.read(Verdict)
        if (verdict.law, verdict.dtype, verdict.device) == ("value", "float32", "cpu")
    }


@frame(
    *CASE,
    Column("contract", TEXT, "operation"),
    Column("n", WHOLE, "size: elements of a vector; rows, features and outputs of a linear map"),
    *TIMING,
    keys=("case", "contract", "n"),
)
def vectorization(run: RunFolder) -> list[Row]:
    """One row for each timed operation and length."""
    return [*benchmark.rows(run, "vectorization")]


@frame(
    *CASE,
    Column("way", TEXT, "how rows are drawn: one batch, recipes of batches, one at a time"),
    Column("rows", WHOLE, "rows checked in a call"),
    Column("classes", WHOLE, "entries a row"),
    *TIMING,
    Column("rows_per_s", REAL, "rows / median_s"),
    keys=("case", "way", "classes"),
)
def screening(run: RunFolder) -> Iterator[Row]:
    """One row for each case and way of checking."""
    for row in benchmark.rows(run, "screening"):
        yield {**row, "rows_per_s": row["rows"] / row["median_s"]}
