"""Terminal output for step times: each case compared with the chapter's cases and with the floor."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.display.bench.drawing import short_names
from harness.display.narrow import print_sentence, print_table
from harness.record import Estimate
from harness.record.bench import AgreementRecord, Benchmark, StepRecord, benchmarks
from harness.wording.number import duration, rate, times

Step = Benchmark[StepRecord]


def print_steps(console: Console, document: Mapping[str, Any]) -> None:
    """Print a table for each contract and device: times with their ratios to the reference cases and to the floor."""
    steps = benchmarks(document, StepRecord)
    for (contract, device), group in groupby(steps, key=lambda step: (step.record.contract, step.record.device)):
        print_table(console, _table(f"{contract}, {device}: one step", list(group)))
    print_sentence(
        console,
        "Ratios are medians within the rounds of this process, with 95 % intervals. The floor is the time for the "
        "minimum number of bytes and operations at the rates measured in the same rounds.",
    )


def print_agreement(console: Console, document: Mapping[str, Any]) -> None:
    """Print our times next to the times of torch's own timer, from the suite ``agreement``."""
    table = Table(Column("batch", justify="right"), Column("case", overflow="fold"))
    for heading in ("ours", "torch.utils.benchmark.Timer", "ours / Timer", "rounds"):
        table.add_column(heading, justify="right")
    table.add_column("agreement")
    for step in benchmarks(document, AgreementRecord):
        record, ours_s = step.record, step.stats.rounds_s
        ratio = step.over(record.timer_s)
        both = (duration(statistics.median(ours_s)), duration(statistics.median(record.timer_s)))
        interval = f"{ratio.point:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
        cells = (*both, interval, str(len(ours_s)), agreement(ratio, record.tolerance))
        table.add_row(str(record.batch_size), escape(record.case), *cells)
    print_table(console, table)


def agreement(ratio: Estimate, tolerance: float) -> str:
    """Return whether two times agree within a tolerance, judged by the interval of their ratio."""
    if abs(ratio.low - 1) <= tolerance and abs(ratio.high - 1) <= tolerance:
        return f"within {tolerance:.0%}"
    return "undecided" if ratio.low <= 1 + tolerance and ratio.high >= 1 - tolerance else f"beyond {tolerance:.0%}"


def _table(title: str, steps: Sequence[Step]) -> Table:
    references = _references([step.record for step in steps])
    short = short_names([step.record for step in steps])
    table = Table(Column("batch", justify="right"), Column("case", no_wrap=True), title=title, title_justify="left")
    for heading in ("step", "samples/s", *(f"/ {short}" for short in references), "/ floor", "first call"):
        table.add_column(heading, justify="right")
    for batch_size, group in groupby(steps, key=lambda step: step.record.batch_size):
        together = list(group)
        for step in together:
            cells = _cells(step, together, list(references.values()))
            table.add_row(f"{batch_size:,}", escape(short[step.record.case]), *cells)
        table.add_section()
    return table


def _references(steps: Sequence[StepRecord]) -> dict[str, str]:
    """Return the first case from scratch and the first concise one by style, else the first of several cases."""
    first: dict[str, str] = {}
    for step in steps:
        if step.style in {"scratch", "concise"}:
            first.setdefault(step.style, step.case)
    cases = list(dict.fromkeys(step.case for step in steps))
    return first or ({"first": cases[0]} if len(cases) > 1 else {})


def _cells(step: Step, steps: Sequence[Step], references: Sequence[str]) -> Iterator[str]:
    record = step.record
    by_case = {other.record.case: other.stats.rounds_s for other in steps}
    step_s = statistics.median(step.stats.rounds_s)
    yield duration(step_s)
    yield rate(record.batch_size / step_s)
    for reference in references:
        yield "1" if reference == record.case else _ratio(step.over(by_case.get(reference, ())))
    yield times(step.over(record.floor_s).point)
    yield duration(record.cold_s)


def _ratio(ratio: Estimate) -> str:
    """Return the ratio with its interval, or a dash if the other time is missing."""
    return f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]" if ratio.is_known else "–"
