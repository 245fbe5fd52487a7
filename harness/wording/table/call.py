"""The tables of single calls: operations, and vectorized code next to loops."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from harness.findings.merging import group_by
from harness.record.bench import Benchmark, OperationRecord, VectorizationRecord
from harness.wording.number import duration, times
from harness.wording.table import Column, Table, build_table

SCATTER = (
    "Medians with the interquartile range of the rounds in one process. The range shows the scatter of rounds, not "
    "the difference between runs."
)
"""Caption below tables and figures of times."""

STANDARD = "256x10"
"""Shape of the standard input, the only one of older runs."""

CallT = TypeVar("CallT", OperationRecord, VectorizationRecord)


def operation_table(calls: Sequence[Benchmark[OperationRecord]], shares: Mapping[str, float] | None = None) -> Table:
    """Return the time of a call for each implementation, with its ratio to the fastest of its contract and shape.

    ``shares`` has the largest deviation of a case as a share of its bound, where it was checked.
    """

    def kind(call: Benchmark[OperationRecord]) -> tuple[str, bool, str]:
        shape = call.record.shape or STANDARD
        return call.record.contract, shape != STANDARD, shape

    columns: list[Column[Benchmark[OperationRecord]]] = [
        Column("contract", lambda call: call.record.contract, "code"),
        Column("shape", lambda call: call.record.shape or STANDARD, "number"),
        Column("case", lambda call: call.record.case, "code"),
        *_build_time_columns({id(call): group for group in group_by(calls, kind).values() for call in group}),
    ]
    if shares is not None:
        known_shares = shares
        columns.append(
            Column("worst deviation / bound", lambda call: times(known_shares.get(call.record.case)), "number", "page")
        )
    caption = (
        "Float32, one thread, with gradient if the contract has one. Shapes are rows x columns; vectors have "
        f"as many elements, but 1,024 at {STANDARD}. {SCATTER}"
    )
    ordered = sorted(calls, key=kind)
    return build_table("operations-table", "Time per call", ordered, columns, caption=caption, grouped=2)


def vectorization_table(calls: Sequence[Benchmark[VectorizationRecord]]) -> Table:
    """Return the times of loops and of vectorized code by size."""

    def kind(call: Benchmark[VectorizationRecord]) -> tuple[str, int]:
        return call.record.contract, call.record.n

    columns: list[Column[Benchmark[VectorizationRecord]]] = [
        Column("contract", lambda call: call.record.contract, "code"),
        Column("n", lambda call: f"{call.record.n:,}", "number"),
        Column("case", lambda call: call.record.case, "code"),
        *_build_time_columns({id(call): group for group in group_by(calls, kind).values() for call in group}),
    ]
    title, ordered = "Loops and vectorized code", sorted(calls, key=kind)
    caption = f"Float32, one thread. {SCATTER}"
    return build_table("vectorization-table", title, ordered, columns, caption=caption, grouped=2)


def _build_time_columns(group_of: Mapping[int, Sequence[Benchmark[CallT]]]) -> list[Column[Benchmark[CallT]]]:
    """Return the columns of times; each call is compared with the fastest of its group."""

    def format_ratio(call: Benchmark[CallT]) -> str:
        fastest_s = min(rival.stats.median_s for rival in group_of[id(call)])
        return times(call.stats.median_s / fastest_s)

    return [
        Column("call", lambda call: duration(call.stats.median_s), "number"),
        Column("quartiles", lambda call: f"{duration(call.stats.q1_s)} – {duration(call.stats.q3_s)}", "number"),
        Column("relative to fastest", format_ratio, "number"),
        Column("first call", lambda call: duration(call.record.cold_s), "number"),
    ]
