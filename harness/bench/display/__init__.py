"""The terminal output of ``harness bench``, one module per kind of suite; imports no torch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rich.console import Console

from harness.bench.display.loader import print_loaders
from harness.display.table import show_table
from harness.findings.merging import group_by
from harness.record.bench import (
    AgreementRecord,
    BalanceRecord,
    OperationRecord,
    StepRecord,
    VectorizationRecord,
    benchmarks,
)
from harness.record.crossing import compare_devices
from harness.wording.table.call import operation_table, vectorization_table
from harness.wording.table.loader import balance_table
from harness.wording.table.step import agreement_table, crossing_table, step_table


def print_steps(console: Console, document: Mapping[str, Any]) -> None:
    """Print a table for each contract and device: times with their ratios to the reference cases and to the floor."""
    steps = benchmarks(document, StepRecord)
    groups = group_by(steps, lambda step: (step.record.contract, step.record.device))
    for number, ((contract, device), group) in enumerate(groups.items(), 1):
        table = replace(step_table(group).drop_columns("device"), title=f"{contract}, {device}: one step")
        show_table(
            console, table if number == len(groups) else replace(table, caption=""), with_title=True, is_short=True
        )
    if comparisons := list(compare_devices(steps)):
        show_table(console, crossing_table(comparisons), with_title=True, is_short=True)


def print_balance(console: Console, document: Mapping[str, Any]) -> None:
    """Print for each loader whether it keeps ahead of the step, and how long the training loop waits for it."""
    if loops := [benchmark.record for benchmark in benchmarks(document, BalanceRecord)]:
        show_table(console, balance_table(loops))


def print_operations(console: Console, document: Mapping[str, Any]) -> None:
    """Print the time per call for each implementation, by contract and shape."""
    show_table(console, operation_table(benchmarks(document, OperationRecord)))


def print_vectorization(console: Console, document: Mapping[str, Any]) -> None:
    """Print the times of loops and of vectorized code by size."""
    show_table(console, vectorization_table(benchmarks(document, VectorizationRecord)))


def print_agreement(console: Console, document: Mapping[str, Any]) -> None:
    """Print our times next to the times of torch's own timer."""
    show_table(console, agreement_table(benchmarks(document, AgreementRecord)))


SUMMARIES: Mapping[str, Callable[[Console, Mapping[str, Any]], None]] = {
    "steps": print_steps,
    "loaders": print_loaders,
    "balance": print_balance,
    "operations": print_operations,
    "vectorization": print_vectorization,
    "agreement": print_agreement,
}
"""The function that prints the results of a suite, by its name."""
