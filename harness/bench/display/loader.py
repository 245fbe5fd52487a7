"""Terminal output for loaders: rates with intervals, compared with the limit of memory."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console

from harness.display.narrow import print_sentence
from harness.display.table import show_table
from harness.record.bench import LoaderRecord, benchmarks
from harness.wording.table.loader import loader_table

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
