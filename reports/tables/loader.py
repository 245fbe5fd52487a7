"""Tables on loaders: the best configurations, batch size x workers with the limit, and every configuration."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from harness.record import DataSource
from harness.record.bench import Benchmark, LoaderRecord
from harness.wording.number import UNKNOWN, approximate, duration, percent, plain, rate, times
from harness.wording.table.loader import LIMIT, loader_table

from ..source import caveat_of
from ..table import Header, Table, codes, headers, numbers, page_table, prose
from ..text import listing, workers_in_words


def best_loaders(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return the fastest configuration per loader, and its fastest one without workers."""
    rows: list[tuple[str, ...]] = []
    base = float("nan")
    for number, (case, group) in enumerate(frame.groupby("case", sort=False)):
        best = group.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
        without_workers = group[group["workers"] == 0]["samples_per_s"].max()
        base = best["samples_per_s"] if number == 0 else base
        cells = (f"{best['batch_size']:,}", f"{best['workers']}")
        gain = times(best["samples_per_s"] / base)  # without an interval, as in older runs
        if pd.notna(best["gain"]):
            gain = f"{times(best['gain'])} ({plain(best['gain_low'])} – {plain(best['gain_high'])})"
        rates = (approximate(best["samples_per_s"]), gain, approximate(without_workers))
        rows.append((str(case), *cells, *rates, duration(best["first_batch_s"])))
    title = "Fastest configuration per loader"
    rate_headings = ("samples/s", "relative to first loader", "best without workers")
    columns = headers(codes("loader"), numbers("batch size", "workers", *rate_headings, "first batch"))
    caption = (
        "The largest of several medians is biased upwards: configurations that differ by less than their "
        f"intervals are indistinguishable. {conditions(frame)}"
    )
    return Table("best-loaders", title, columns, tuple(rows), caption, caveat=caveat_of(frame, source))


def compare_with_limit(frame: pd.DataFrame) -> str:
    """Return a sentence on loaders that are faster than the limit; empty if there are none."""
    names = list(frame[frame["share_low"] > 1.0]["case"].unique())
    if not names:
        return ""
    return (
        f" More than 100 % of the limit: {listing(names)}. The limit gathers random rows for each batch; a loader that "
        "reorders all samples once per epoch, or has batches ready, is not bound by it."
    )


def conditions(frame: pd.DataFrame) -> str:
    """Return the reference of ratios, and the load of the machine by other processes; empty for older runs."""
    loads, sentences = frame["other_load"].dropna(), []
    if frame["gain"].notna().any():
        sentences.append(
            "Ratios compare with the first loader with the fewest workers, at the same batch size and in the same "
            "rounds; brackets are 95 % intervals."
        )
    if len(loads):
        sentences.append(f"Meanwhile other processes used {loads.min():.1f} to {loads.max():.1f} cores on average.")
    return " ".join(sentences)


def shares(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return rate and share of the limit, a row for each loader and batch size, a column for each number of workers."""
    workers = sorted(frame["workers"].unique())
    rows = []
    for (case, batch_size), group in frame.groupby(["case", "batch_size"], sort=False):
        best = group.sort_values("samples_per_s", ascending=False, kind="stable").drop_duplicates("workers")
        cells = {row["workers"]: f"{rate(row['samples_per_s'])}, {percent(row['share'])}" for _, row in best.iterrows()}
        limit = 1e6 / group["limit_us"].median()
        rows.append((str(case), f"{batch_size:,}", *(cells.get(number, UNKNOWN) for number in workers), rate(limit)))
    title = "Samples per second and share of the limit, by batch size and workers"
    columns = headers(
        codes("loader"),
        numbers("batch size"),
        (Header(workers_in_words(number), "number") for number in workers),
        numbers("the limit"),
    )
    caption = f"{LIMIT} A loader without workers is measured once.{compare_with_limit(frame)} {conditions(frame)}"
    return Table("loader-shares", title, columns, tuple(rows), caption, caveat=caveat_of(frame, source))


def spent(frame: pd.DataFrame) -> Table:
    """Return the parts of the batch time per loader, and the remedy, in words."""
    rows = [(str(row["case"]), str(row["workers"]), str(row["sentence"])) for _, row in first_rows(frame).iterrows()]
    title = "Time budget per loader"
    return Table("budget-table", title, headers(codes("loader"), numbers("workers"), prose("summary")), tuple(rows))


def first_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each loader, without workers if possible."""
    return frame.sort_values("workers", kind="stable").drop_duplicates("case")


def loaders(measured: Sequence[Benchmark[LoaderRecord]], frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return every configuration: rate, CPU time, share of the limit, start, end and memory."""
    table = loader_table(measured)
    caption = f"{table.caption}{compare_with_limit(frame)} {conditions(frame)}"
    return page_table(replace(table, caption=caption), folded=True, caveat=caveat_of(frame, source))
