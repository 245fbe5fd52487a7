"""The frames of loaders and of training loops, with the rates of loaders and the limit of memory.

A new field in the record of a loader becomes a column automatically. This module has the computed columns.
The table of configurations is in ``harness/wording/table/loader.py``.
"""

from collections.abc import Iterator

from harness.record import RunFolder
from harness.record.bench import BalanceRecord, Benchmark, LoaderRecord

from .declaration import (
    CASE,
    REAL,
    TEXT,
    TIMING,
    Column,
    Row,
    columns_of,
    estimate_columns,
    frame,
    interval_columns,
    list_placed,
)

Loader = Benchmark[LoaderRecord]


@frame(
    *CASE,
    *columns_of(LoaderRecord, "data", "batch_size", "workers", "samples", "batches"),
    *TIMING,
    *columns_of(LoaderRecord, "first_batch_s", "made_s", "iterator_s", "start_cpu_s", "shutdown_s", "cpu_us"),
    Column("limit_us", REAL, "microseconds per sample of the memory limit, measured interleaved"),
    *interval_columns("share", "rate of the loader / rate of the limit"),
    *interval_columns("cpu_share", "CPU time of the limit / CPU time of the loader, independent of other load"),
    *interval_columns("gain", "rate / rate of the reference, median over the same rounds"),
    Column("efficiency", REAL, "rate relative to the rate without workers, divided by the number of workers"),
    *columns_of(LoaderRecord, "pss_bytes", "shared_bytes", "loader", "prefetch"),
    *columns_of(LoaderRecord, "persistent", "pin", dtype=TEXT),
    *columns_of(LoaderRecord, "start_method"),
    Column("samples_per_s", REAL, "samples / median_s"),
    Column("samples_per_s_q1", REAL, "samples / q3_s"),
    Column("samples_per_s_q3", REAL, "samples / q1_s"),
    Column("samples_per_s_low", REAL, "lower end of the 95 % interval within the process"),
    Column("samples_per_s_high", REAL, "upper end of the 95 % interval"),
    keys=("case", "data", "batch_size", "workers"),
    further=LoaderRecord,
    without=(
        *("slice_batches", "wall_us", "limit_wall_us", "limit_cpu_us", "remark"),
        *("reference_wall_us", "reference_cpu_us"),
    ),
)
def loaders(run: RunFolder) -> Iterator[Row]:
    """One row for each timed loader configuration; quantities that older runs did not measure are missing."""
    records = list_placed(run, LoaderRecord)
    without_workers = {_get_series(loader): loader for _, loader in records if loader.record.workers == 0}
    for location, loader in records:
        row = loader.row()
        yield {
            **row,
            "limit_us": row["limit_wall_us"],
            **estimate_columns(loader.record.share, "share"),
            **estimate_columns(loader.record.cpu_share, "cpu_share"),
            **estimate_columns(loader.record.gain, "gain"),
            "efficiency": _compute_efficiency(loader, without_workers.get(_get_series(loader))),
            **_compute_rates(loader),
            "record": location,
        }


@frame(
    *CASE,
    *columns_of(LoaderRecord, "data", "batch_size", "workers"),
    Column("part", TEXT, "part of the batch time"),
    Column("seconds", REAL, "seconds per batch in a training loop"),
    Column("share", REAL, "share of the loop; the parts of a loader sum to one"),
    Column("unseen", REAL, "share not covered by any part, in the median round"),
    Column("sentence", TEXT, "largest part with its line, possible gain from workers, and the rest"),
    keys=("case", "data", "batch_size", "workers", "part"),
)
def budgets(run: RunFolder) -> Iterator[Row]:
    """One row for each part of the batch time of each loader with a complete budget."""
    placed = list_placed(run, LoaderRecord)
    records = [loader.record for _, loader in placed]
    for location, loader in placed:
        if (budget := loader.record.budget) is None:
            continue
        on_workers = loader.record.on_workers(records)
        sentence = budget.sentence if on_workers is None else budget.sentence_with(on_workers)
        whole = {**loader.row(), "unseen": budget.unseen, "sentence": sentence, "record": location}
        for part, seconds, share in budget.table():
            yield {**whole, "part": part, "seconds": seconds, "share": share}


def _get_series(loader: Loader) -> tuple[str, int]:
    """Return the common facts of configurations that differ only in their workers."""
    return (loader.record.case, loader.record.batch_size)


def _compute_rates(loader: Loader) -> dict[str, float | None]:
    """Return samples per second from the rounds, and the interval over the slices; unknown without them."""
    samples, stats = loader.record.samples, loader.stats
    return estimate_columns(loader.record.rate, "samples_per_s") | {
        "samples_per_s": samples / stats.median_s,
        "samples_per_s_q1": samples / stats.q3_s,
        "samples_per_s_q3": samples / stats.q1_s if stats.q1_s > 0 else None,
    }


def _compute_efficiency(loader: Loader, without_workers: Loader | None) -> float | None:
    """Return the contribution per worker, as a share of the rate without workers."""
    if without_workers is None or not loader.record.workers:
        return None
    return _sample_s(without_workers) / _sample_s(loader) / loader.record.workers


def _sample_s(loader: Loader) -> float:
    return loader.stats.median_s / loader.record.samples


@frame(
    *CASE,
    *columns_of(BalanceRecord, "data", "batch_size", "workers", "step", "load_s", "step_s", "loop_s"),
    *columns_of(BalanceRecord, "load_to_step", "load_to_step_low", "load_to_step_high"),
    *columns_of(BalanceRecord, "wait_share", "wait_share_low", "wait_share_high", "most_waiting", "batches"),
    Column("verdict", TEXT, "keeps ahead, starves the step, or not decided"),
    keys=("case", "data", "batch_size", "workers", "step"),
)
def balance(run: RunFolder) -> Iterator[Row]:
    """One row for each training loop of a loader and a step."""
    for location, loop in list_placed(run, BalanceRecord):
        starves = "starves the step" if loop.record.is_decided else "not decided"
        verdict = "keeps ahead" if loop.record.keeps_ahead else starves
        yield {**loop.row(), "verdict": verdict, "record": location}
