"""The terminal output of ``harness bench``; imports no torch."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from rich.console import Console

from harness.display.table import print_sentence, show_table
from harness.findings.merging import group_by
from harness.record.bench import (
    AgreementRecord,
    BalanceRecord,
    LoaderRecord,
    OperationRecord,
    StepRecord,
    VectorizationRecord,
    benchmarks,
)
from harness.record.crossing import compare_devices
from harness.wording.table.call import operation_table, vectorization_table
from harness.wording.table.loader import balance_table, loader_table
from harness.wording.table.step import agreement_table, crossing_table, format_table, step_table

TORCH = "torch.utils.data.dataloader.DataLoader"
"""Record name of torch's ``DataLoader``."""

ABOVE_LIMIT = (
    "more than 100 % of the limit. The limit gathers random rows for each batch; a loader that reorders all samples "
    "once per epoch, or has batches ready, is not bound by it."
)
"""Explains a share of the limit above 100 %."""


def print_loaders(console: Console, document: Mapping[str, Any]) -> None:
    """Print a table of every loader and configuration, and a summary."""
    measured = benchmarks(document, LoaderRecord)
    loaders = [benchmark.record for benchmark in measured]
    if loaders:
        show_table(console, loader_table(measured), is_short=True)
        for sentence in remarks(loaders):
            print_sentence(console, sentence)
        for remark in dict.fromkeys(loader.remark for loader in loaders if loader.remark):
            print_sentence(console, remark)
        if above := list(dict.fromkeys(_remove_family(loader.case) for loader in loaders if loader.exceeds_limit)):
            print_sentence(console, f"{', '.join(above)}: {ABOVE_LIMIT}")
        if load := loads_in_words([loader.other_load for loader in loaders]):
            print_sentence(console, load)
        for line in budgets(loaders):
            print_sentence(console, line)


def remarks(loaders: Sequence[LoaderRecord]) -> Iterator[str]:
    """Yield for each batch size the fastest loader and the fastest ``DataLoader``, compared with the first loader."""
    for size, group in groupby(sorted(loaders, key=_get_size), key=_get_size):
        same_size = list(group)
        base = min(
            (loader for loader in same_size if loader.case == loaders[0].case), key=lambda loader: loader.workers
        )
        best = min(same_size, key=_compute_wall_us)
        yield from _compare_rates(size, "the fastest", best, base)
        same_size = [loader for loader in same_size if loader.loader == TORCH]
        if same_size and best.loader != TORCH:
            yield from _compare_rates(size, "the fastest DataLoader", min(same_size, key=_compute_wall_us), base)


def budgets(loaders: Sequence[LoaderRecord]) -> Iterator[str]:
    """Yield for each loader and number of workers the time budget of a batch in a training loop."""
    for number, loader in enumerate(loader for loader in loaders if loader.budget is not None):
        assert loader.budget is not None
        if number == 0:
            yield f"Time budget of a batch of {loader.batch_size} in a training loop:"
        yield f"  {_format_place(loader)}: {'; '.join(loader.budget.sentences(loader.on_workers(loaders)))}"


def _compare_rates(size: int, words: str, best: LoaderRecord, base: LoaderRecord) -> Iterator[str]:
    """Compare with the reference of the same rounds; for older runs, whose loaders had no turns, with no interval."""
    line = f"batch {size}: {words} is {_format_place(best)}"
    if best is not base:
        gain, costs = best.gain, statistics.median(base.cpu_us) / statistics.median(best.cpu_us)
        times = f"{gain.point:,.1f} [{gain.low:,.1f}, {gain.high:,.1f}]"
        if not gain.is_known:
            times = f"{_compute_wall_us(base) / _compute_wall_us(best):,.1f}"
        line += f", {times} times as fast as {_format_place(base)}, which takes {costs:,.1f} times as much CPU time"
    yield line


def loads_in_words(loads: Sequence[float | None]) -> str:
    """Return how busy other processes kept the machine; empty for older runs."""
    measured_loads = [load for load in loads if load is not None]
    if not measured_loads:
        return ""
    return f"Meanwhile other processes used {min(measured_loads):.1f} to {max(measured_loads):.1f} cores on average."


def _format_place(loader: LoaderRecord) -> str:
    workers = loader.workers
    return f"{_remove_family(loader.case)} with {workers or 'no'} worker{'s' * (workers != 1)}"


def _remove_family(case: str) -> str:
    """Return a case without its family; the name of a data set stays unchanged."""
    return case if ":" in case else case.partition(".")[2] or case


def _get_size(loader: LoaderRecord) -> int:
    return loader.batch_size


def _compute_wall_us(loader: LoaderRecord) -> float:
    return statistics.median(loader.wall_us)


def print_steps(console: Console, document: Mapping[str, Any]) -> None:
    """Print a table for each contract and device: times with their ratios to the reference cases and to the floor."""
    steps = benchmarks(document, StepRecord)
    groups = group_by(steps, lambda step: (step.record.contract, step.record.device))
    for number, ((contract, device), group) in enumerate(groups.items(), 1):
        table = replace(step_table(group).drop_columns("device"), title=f"{contract}, {device}: one step")
        show_table(
            console, table if number == len(groups) else replace(table, caption=""), with_title=True, is_short=True
        )
    if any(step.record.formats for step in steps):
        show_table(console, format_table(steps), with_title=True, is_short=True)
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
