"""The tables of data loaders: every configuration, and whether loading keeps up with the training step."""

import statistics
from collections.abc import Sequence
from functools import partial

from harness.record import Estimate
from harness.record.bench import BalanceRecord, Benchmark, LoaderRecord
from harness.wording.number import approximate, duration, interval, percent, size, times
from harness.wording.table import Column, Table, build_table
from harness.wording.table.step import estimate_text

INTERVALS = (
    "Medians of slices of the steady state, with 95 % intervals over the slices in one process; differences between "
    "processes are not included."
)
"""Caption below tables of rates and shares."""

LIMIT = (
    "The limit only gathers rows of tensors in memory and converts them; it was measured interleaved with each loader."
)
"""Explains the limit that shares refer to."""

_WORDS = (
    "CPU time includes the workers. Efficiency is the rate relative to the rate without workers, divided by the number "
    "of workers: 100 % if each worker adds the full rate of a loader. Memory covers the process and its workers; "
    "shared pages count once."
)

Loader = Benchmark[LoaderRecord]

SETTINGS = ("prefetch", "persistent", "pin", "start_method")
"""Settings that the table shows where they vary."""


def loader_table(loaders: Sequence[Loader]) -> Table:
    """Return every configuration: rate, CPU time, share of the limit, start, end and memory."""
    varying = [name for name in SETTINGS if len({getattr(loader.record, name) for loader in loaders}) > 1]
    without_workers = {_get_series(loader): loader.stats.median_s for loader in loaders if loader.record.workers == 0}

    def format_efficiency(it: Loader) -> str | None:
        base_s, workers = without_workers.get(_get_series(it)), it.record.workers
        return percent(base_s / it.stats.median_s / workers) if base_s and workers else None

    columns: list[Column[Loader]] = [
        Column("loader", lambda it: it.record.case, "code"),
        Column("batch size", lambda it: f"{it.record.batch_size:,}", "number"),
        Column("workers", lambda it: f"{it.record.workers}", "number"),
        *(Column(name.replace("_", " "), partial(_get_setting, name=name)) for name in varying),
        Column("samples/s", lambda it: approximate(it.record.samples / it.stats.median_s), "number"),
        Column(
            "95 % interval" if any(loader.record.wall_us for loader in loaders) else "quartiles",
            _format_rate_interval,
            "number",
        ),
        Column(
            "relative to first loader",
            lambda it: estimate_text(it.record.gain) if it.record.gain.is_known else None,
            "number",
            "page",
        ),
        Column("CPU per sample", lambda it: _compute_median(it.record.cpu_us), "number"),
        Column("share of the limit", lambda it: _format_share(it.record.share), "number"),
        Column("share of the limit (CPU)", lambda it: _format_share(it.record.cpu_share), "number"),
        Column("efficiency", format_efficiency, "number", "page"),
        Column("created in", lambda it: _format_time(it.record.made_s), "number", "page"),
        Column("workers started in", lambda it: _format_time(it.record.iterator_s), "number", "page"),
        Column("first batch", lambda it: _format_time(it.record.first_batch_s), "number"),
        Column("CPU until first batch", lambda it: _format_time(it.record.start_cpu_s), "number", "page"),
        Column("shutdown", lambda it: _format_time(it.record.shutdown_s), "number", "page"),
        Column("memory", lambda it: _format_size(it.record.pss_bytes), "number"),
        Column("shared memory", lambda it: _format_size(it.record.shared_bytes), "number", "page"),
    ]
    title = "Throughput of every loader configuration"
    return build_table("loaders-table", title, loaders, columns, caption=f"{INTERVALS} {LIMIT} {_WORDS}", grouped=1)


def _get_series(loader: Loader) -> tuple[str, int]:
    """Return the common facts of configurations that differ only in their workers."""
    return loader.record.case, loader.record.batch_size


def _get_setting(loader: Loader, name: str) -> str | None:
    value = getattr(loader.record, name)
    return None if value is None else str(value)


def _format_rate_interval(loader: Loader) -> str:
    """Return the interval of a rate; the quartiles of older runs."""
    rate, stats, samples = loader.record.rate, loader.stats, loader.record.samples
    ends = (rate.low, rate.high) if rate.is_known else (samples / stats.q3_s, samples / (stats.q1_s or float("nan")))
    return " – ".join(map(approximate, ends))


def _format_share(share: Estimate) -> str | None:
    """Return a share of the limit with its interval; a batch without a tensor has no limit."""
    return f"{percent(share.point)} {interval(100 * share.low, 100 * share.high)}" if share.is_known else None


def _compute_median(series_us: Sequence[float]) -> str | None:
    return duration(1e-6 * statistics.median(series_us)) if series_us else None


def _format_time(value_s: float | None) -> str | None:
    return None if value_s is None else duration(value_s)


def _format_size(value_bytes: int | None) -> str | None:
    return None if value_bytes is None else size(value_bytes)


def balance_table(loops: Sequence[BalanceRecord]) -> Table:
    """Return the time that each training loop waits for its loader, and the verdict."""
    columns: list[Column[BalanceRecord]] = [
        Column("loader", lambda loop: loop.case, "code"),
        Column("batch size", lambda loop: f"{loop.batch_size:,}", "number"),
        Column("workers", lambda loop: f"{loop.workers}", "number"),
        Column("verdict", _judge_loop),
        Column("loop waits", _format_waits, "number"),
        Column("batch alone", lambda loop: duration(loop.load_s), "number"),
        Column("step alone", lambda loop: duration(loop.step_s), "number"),
        Column("loop, per batch", lambda loop: _format_time(loop.loop_s), "number"),
        Column(
            "batch / step",
            lambda loop: f"{times(loop.load_to_step)} {interval(loop.load_to_step_low, loop.load_to_step_high)}",
            "number",
        ),
    ]
    steps = " and ".join(dict.fromkeys(loop.step for loop in loops))
    limit = percent(max((loop.most_waiting for loop in loops), default=None))
    caption = (
        f"The step is {steps}. Loading keeps ahead if the interval of the waiting share is below {limit}. "
        f"{find_cheapest(loops)} Brackets are 95 % intervals within one process."
    )
    return build_table("balance-table", "Does loading keep ahead of the step?", loops, columns, caption=caption)


def _format_waits(loop: BalanceRecord) -> str:
    return f"{percent(loop.wait_share)} {interval(100 * loop.wait_share_low, 100 * loop.wait_share_high)}"


def _judge_loop(loop: BalanceRecord) -> str:
    """Return the verdict on a loop, with the ratio of batch time to step time if the loader is slower."""
    if loop.keeps_ahead:
        return "loading keeps ahead"
    if not loop.is_decided:
        return "not decided"
    return f"starves the step by {times(loop.load_to_step)}" if loop.load_to_step >= 1 else "the step waits"


def find_cheapest(loops: Sequence[BalanceRecord]) -> str:
    """Return the cheapest configuration that keeps ahead: fewest workers, smallest batch, then least waiting."""
    ahead = [loop for loop in loops if loop.keeps_ahead]
    if not ahead:
        return "No configuration keeps ahead."
    loop = min(ahead, key=lambda loop: (loop.workers, loop.batch_size, loop.wait_share))
    workers = f"{loop.workers or 'no'} worker{'s' * (loop.workers != 1)}"
    return (
        f"The cheapest configuration that keeps ahead is {loop.case} at batch {loop.batch_size} with {workers}: "
        f"the loop waits {percent(loop.wait_share)} of its time."
    )
