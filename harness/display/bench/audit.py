"""Terminal output for the cost of audits: CPU time and memory as multiples of the step's, compared with targets."""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.display.narrow import print_sentence, print_table
from harness.record import Estimate, median_ratio
from harness.record.bench import AuditRecord, Benchmark, benchmarks
from harness.wording.number import duration


def print_audits(console: Console, document: Mapping[str, Any]) -> None:
    """Print a row for each step."""
    table = Table(Column("step", no_wrap=True))
    floors: list[str] = []
    for heading in ("CPU time", "calls", "idle mode", "events", "full", "run", "memory", "us per call"):
        table.add_column(heading, justify="right")
    table.add_column("above the target")
    for audited in benchmarks(document, AuditRecord):
        record = audited.record
        idle, events, full = (_over(audited, rounds) for rounds in (record.idle_s, record.events_s, record.full_s))
        memory = record.memory(record.full_bytes)
        plain_s = statistics.median(audited.stats.rounds_s)
        each_us = " ".join(
            f"{1e6 * plain_s * (ratio.point - 1.0) / record.calls:.0f}" for ratio in (idle, events, full)
        )
        slower = [
            f"{name} ({limit:g})"
            for name, least, limit in (
                ("events", events.low, record.events_limit),
                ("full", full.low, record.full_limit),
                ("run", record.run or 0.0, record.events_limit),
                ("memory", memory, record.memory_limit),
            )
            if least > limit
        ]
        if events.low > record.events_limit:
            left_us, taken_us = (
                1e6 * plain_s * (ratio - idle.point) / record.calls for ratio in (record.events_limit, events.point)
            )
            floors.append(
                f"{record.case}: events may take {record.events_limit:g} times the plain step. An idle mode takes "
                f"{idle.point:.2f}, which leaves {left_us:.0f} us per operation; events took {taken_us:.0f} us."
            )
        table.add_row(
            *(escape(record.case), duration(plain_s), f"{record.calls:,}", f"{idle.point:.2f}"),
            *(
                _interval(events),
                _interval(full),
                _run(record),
                f"{memory:.2f}",
                each_us,
                ", ".join(slower) or "none",
            ),
        )
    print_table(console, table)
    print_sentence(
        console,
        "All columns are multiples of the plain step. CPU times are medians within the rounds, with 95 % intervals; "
        "memory includes the memory in use before the step. `run` covers 100 steps, audited for events within the time "
        "limit; the number of audited steps is in parentheses. `idle mode` intercepts operations and does nothing. "
        "`us per call` is the mean overhead of idle mode, events and full for each operation that torch dispatches.",
    )
    for floor in floors:
        print_sentence(console, floor)


def _run(record: AuditRecord) -> str:
    return "" if record.run is None else f"{record.run:.2f} ({record.run_audited})"


def _over(audited: Benchmark[AuditRecord], rounds: tuple[float, ...]) -> Estimate:
    """Return an audited step as a multiple of the plain one."""
    return median_ratio(rounds, audited.stats.rounds_s)


def _interval(ratio: Estimate) -> str:
    return f"{ratio.point:.1f} [{ratio.low:.1f}, {ratio.high:.1f}]"
