"""Tables on loaders: the best configurations, batch size x workers with the limit, and every configuration."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from harness.record import DataSource

from ..number import UNKNOWN, approximate, duration, percent, plain, rate, size, times
from ..source import caveat_of
from ..table import Header, Table, codes, headers, numbers, prose
from ..text import listing, workers_in_words
from .benchmark import SCATTER

INTERVALS = (
    "Medians of slices of the steady state, with 95 % intervals over the slices in one process; differences between "
    "processes are not included."
)
"""Caption below tables of rates and shares."""

LIMIT = (
    "The limit only gathers rows of tensors in memory and converts them; it was measured interleaved with each loader."
)
"""Explains the limit that shares refer to."""


def best_loaders(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return the fastest configuration per loader, and its fastest one without workers."""
    rows: list[tuple[str, ...]] = []
    base = float("nan")
    for number, (case, group) in enumerate(frame.groupby("case", sort=False)):
        best = group.sort_values("samples_per_s", ascending=False, kind="stable").iloc[0]
        without_workers = group[group["workers"] == 0]["samples_per_s"].max()
        base = best["samples_per_s"] if number == 0 else base
        cells = (f"{best['batch_size']:,}", f"{best['workers']}")
        rates = (approximate(best["samples_per_s"]), _gain(best, base), approximate(without_workers))
        rows.append((str(case), *cells, *rates, duration(best["first_batch_s"])))
    title = "Fastest configuration per loader"
    columns = headers(
        codes("loader"),
        numbers(
            "batch size", "workers", "samples/s", "relative to first loader", "best without workers", "first batch"
        ),
    )
    caption = (
        "The largest of several medians is biased upwards: configurations that differ by less than their "
        f"intervals are indistinguishable. {conditions(frame)}"
    )
    return Table("best-loaders", title, columns, tuple(rows), caption, caveat=caveat_of(frame, source))


def _gain(row: pd.Series, base: float) -> str:
    """Return the rate relative to the reference with its interval; for older runs, relative to a rate."""
    if pd.isna(row["gain"]):
        return times(row["samples_per_s"] / base)
    return f"{times(row['gain'])} ({plain(row['gain_low'])} – {plain(row['gain_high'])})"


def above(frame: pd.DataFrame) -> str:
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
    caption = f"{LIMIT} A loader without workers is measured once.{above(frame)} {conditions(frame)}"
    return Table("loader-shares", title, columns, tuple(rows), caption, caveat=caveat_of(frame, source))


def spent(frame: pd.DataFrame) -> Table:
    """Return the parts of the batch time per loader, and the remedy, in words."""
    rows = [(str(row["case"]), str(row["workers"]), str(row["sentence"])) for _, row in first_rows(frame).iterrows()]
    title = "Time budget per loader"
    return Table("budget-table", title, headers(codes("loader"), numbers("workers"), prose("summary")), tuple(rows))


def first_rows(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each loader, without workers if possible."""
    return frame.sort_values("workers", kind="stable").drop_duplicates("case")


class MeasuredColumn(NamedTuple):
    """A heading of the table of every configuration, and the text below it."""

    heading: str
    text: Callable[[pd.Series], str]


SETTINGS = ("prefetch", "persistent", "pin", "start_method")
"""Columns that the table shows where they vary."""

COLUMNS = (
    MeasuredColumn("CPU per sample", lambda row: duration(1e-6 * row["cpu_us"])),
    MeasuredColumn("share of the limit", lambda row: _share_of_limit(row, "share")),
    MeasuredColumn("share of the limit (CPU)", lambda row: _share_of_limit(row, "cpu_share")),
    MeasuredColumn("efficiency", lambda row: percent(row["efficiency"])),
    MeasuredColumn("created in", lambda row: duration(row["made_s"])),
    MeasuredColumn("workers started in", lambda row: duration(row["iterator_s"])),
    MeasuredColumn("first batch", lambda row: duration(row["first_batch_s"])),
    MeasuredColumn("CPU until first batch", lambda row: duration(row["start_cpu_s"])),
    MeasuredColumn("shutdown", lambda row: duration(row["shutdown_s"])),
    MeasuredColumn("memory", lambda row: size(row["pss_bytes"])),
    MeasuredColumn("shared memory", lambda row: size(row["shared_bytes"])),
)
"""Columns of the table after the columns of the rate, left to right."""


def loaders(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return every configuration: rate, CPU time, share of the limit, start, end and memory.

    Older runs, which did not measure these, have fewer columns.
    """
    first = frame[frame["case"] == frame["case"].iloc[0]] if len(frame) else frame
    base = first.drop_duplicates(["batch_size", "workers"]).set_index(["batch_size", "workers"])["samples_per_s"]
    full = bool(frame["cpu_us"].notna().any())
    measured = COLUMNS if full else (MeasuredColumn("first batch", lambda row: duration(row["first_batch_s"])),)
    settings = [name for name in SETTINGS if len(frame[name].unique()) > 1]
    rows = []
    for _, row in frame.iterrows():
        reference = float(base.get((row["batch_size"], row["workers"]), float("nan")))
        cells = (
            row["case"],
            f"{row['batch_size']:,}",
            f"{row['workers']}",
            *(_setting(row[name]) for name in settings),
        )
        rates = (approximate(row["samples_per_s"]), _rate_interval(row), _gain(row, reference))
        rows.append((*cells, *rates, *(column.text(row) for column in measured)))
    title = "Throughput of every loader configuration"
    columns = headers(
        codes("loader"),
        numbers("batch size", "workers"),
        (Header(name.replace("_", " ")) for name in settings),
        numbers("samples/s", "95 % interval" if full else "quartiles", "relative to first loader"),
        (Header(column.heading, "number") for column in measured),
    )
    caption = f"{INTERVALS} {LIMIT} {_WORDS}{above(frame)} {conditions(frame)}" if full else f"Steady epochs. {SCATTER}"
    return Table("loaders-table", title, columns, tuple(rows), caption, folded=True, caveat=caveat_of(frame, source))


_WORDS = (
    "CPU time includes the workers. Efficiency is the rate relative to the rate without workers, divided by the "
    "number of workers: 100 % if each worker adds the full rate of a loader. Memory covers the process and its "
    "workers; "
    "shared pages count once."
)


def _setting(value: object) -> str:
    if pd.isna(value):  # type: ignore[call-overload]
        return UNKNOWN
    return f"{value:g}" if isinstance(value, float) else str(value)


def _rate_interval(row: pd.Series) -> str:
    """Return the interval of a rate, or else its quartiles."""
    ends = ("low", "high") if pd.notna(row["samples_per_s_low"]) else ("q1", "q3")
    return " – ".join(approximate(row[f"samples_per_s_{end}"]) for end in ends)


def _share_of_limit(row: pd.Series, name: str) -> str:
    """Return a share of the limit with its interval."""
    ends = f"({plain(100 * row[f'{name}_low'])} – {plain(100 * row[f'{name}_high'])})"
    share = percent(row[name])
    return share if share == UNKNOWN else f"{share} {ends}"
