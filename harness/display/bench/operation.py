"""Terminal output for operations and vectorized code: the time of a call, compared with the fastest of its kind."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.display.narrow import print_sentence, print_table
from harness.record.bench import Benchmark, OperationRecord, VectorizationRecord, benchmarks
from harness.wording.number import duration, times

STANDARD = "256x10"
"""Shape of the standard input, the only one of older runs."""

_SCATTER = "Medians and quartiles of the rounds of this process: they show how rounds vary, not how runs vary."


def print_operations(console: Console, document: Mapping[str, Any]) -> None:
    """Print the time per call for each implementation, by contract and shape, from the suite ``operations``."""

    def kind(call: Benchmark[OperationRecord]) -> tuple[str, bool, str]:
        shape = call.record.shape or STANDARD
        return call.record.contract, shape != STANDARD, shape

    table = _table("contract", Column("shape", justify="right"))
    for (contract, _, shape), group in groupby(sorted(benchmarks(document, OperationRecord), key=kind), key=kind):
        _add(table, (escape(contract), shape), list(group))
    print_table(console, table)
    print_sentence(console, f"Float32, one thread, including the gradient if the contract has one. {_SCATTER}")


def print_vectorization(console: Console, document: Mapping[str, Any]) -> None:
    """Print the times of loops and of vectorized code by size, from the suite ``vectorization``."""

    def kind(call: Benchmark[VectorizationRecord]) -> tuple[str, int]:
        return call.record.contract, call.record.n

    table = _table("contract", Column("n", justify="right"))
    for (contract, n), group in groupby(sorted(benchmarks(document, VectorizationRecord), key=kind), key=kind):
        _add(table, (escape(contract), f"{n:,}"), list(group))
    print_table(console, table)
    print_sentence(console, f"Float32, one thread. {_SCATTER}")


def _table(*kind: str | Column) -> Table:
    """Return an empty table of calls."""
    table = Table(*kind, Column("case", overflow="fold"))
    for heading in ("call", "quartiles", "vs the fastest", "first call"):
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _add(table: Table, kind: Sequence[str], calls: Sequence[Benchmark[Any]]) -> None:
    """Add the calls of one kind, each compared with the fastest."""
    fastest_s = min(call.stats.median_s for call in calls)
    for call in calls:
        stats = call.stats
        quartiles = f"{duration(stats.q1_s)} to {duration(stats.q3_s)}"
        cells = (duration(stats.median_s), quartiles, times(stats.median_s / fastest_s), duration(call.record.cold_s))
        table.add_row(*kind, escape(call.record.case), *cells)
    table.add_section()
