"""The frames of single calls: operations and their vectorization."""

from collections.abc import Iterator

from harness.record import RunFolder, Verdict
from harness.record.bench import OperationRecord, VectorizationRecord

from .. import benchmark
from .column import CASE, REAL, TIMING, Column, columns_of
from .declaration import Row, frame
from .law import share_of_bound


@frame(
    *CASE,
    *columns_of(OperationRecord, "contract", "shape"),
    *TIMING,
    Column("ratio", REAL, "largest deviation of the float32 values / bound; missing if not checked"),
    keys=("case", "contract", "shape"),
)
def operations(run: RunFolder) -> Iterator[Row]:
    """One row for each timed operation and shape, with its largest float32 deviation relative to the bound."""
    calls = benchmark.list_placed(run, OperationRecord)
    shares = _find_shares(run) if calls else {}
    for location, call in calls:
        yield {**call.row(), "ratio": shares.get(call.record.case), "record": location}


def _find_shares(run: RunFolder) -> dict[str, float | None]:
    """Return the share of its bound that the value of every case reaches in float32 on the CPU."""
    return {
        verdict.case: share_of_bound(verdict.deviation, verdict.bound)
        for verdict in run.read(Verdict)
        if (verdict.law, verdict.dtype, verdict.device) == ("value", "float32", "cpu")
    }


@frame(
    *CASE,
    *columns_of(VectorizationRecord, "contract", "n"),
    *TIMING,
    keys=("case", "contract", "n"),
)
def vectorization(run: RunFolder) -> Iterator[Row]:
    """One row for each timed operation and length."""
    for location, call in benchmark.list_placed(run, VectorizationRecord):
        yield {**call.row(), "record": location}
