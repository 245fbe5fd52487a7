"""The frames of loaders, of training loops and of the tuner; rates of loaders beside the limit of memory.

What the table of every loader configuration shows of its frame stands below the frame: a new column is declared, and
shown, in this file.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from harness.record import RunFolder
from reports import benchmark
from reports.frame.column import CASE, DATA, REAL, TEXT, TIMING, WHOLE, Column
from reports.frame.declaration import Row, frame
from reports.frame.series import median, ratio_columns
from reports.number import UNKNOWN, duration, percent, plain, size

CONFIGURATION = (
    DATA,
    Column("batch_size", WHOLE, "samples a batch"),
    Column("workers", WHOLE, "worker processes"),
)


@frame(
    *CASE,
    *CONFIGURATION,
    Column("samples", WHOLE, "samples an epoch"),
    Column("batches", WHOLE, "batches an epoch"),
    *TIMING,
    Column("first_batch_s", REAL, "time from nothing to the first batch"),
    Column("made_s", REAL, "of this, until the loader was made: files read, tensors converted"),
    Column("iterator_s", REAL, "of this, until it could be asked: workers started"),
    Column("start_cpu_s", REAL, "CPU time to the first batch, workers counted"),
    Column("shutdown_s", REAL, "time of letting go of the loader and its workers"),
    Column("cpu_us", REAL, "CPU microseconds a sample, workers counted; median of the slices"),
    Column("limit_us", REAL, "microseconds a sample of the limit of memory, measured in turns"),
    Column("share", REAL, "limit over loader: the share of the limit's rate that is reached"),
    Column("share_low", REAL, "lower end of its 95 % interval"),
    Column("share_high", REAL, "upper end"),
    Column("cpu_share", REAL, "CPU time of the limit over that of the loader, which minds no other load"),
    Column("cpu_share_low", REAL, "lower end of its 95 % interval"),
    Column("cpu_share_high", REAL, "upper end"),
    Column("efficiency", REAL, "rate over that without workers, divided by the workers"),
    Column("pss_bytes", REAL, "memory of the process and its workers, shared pages counted once"),
    Column("shared_bytes", REAL, "of this, in shared memory"),
    Column("loader", TEXT, "type of the loader"),
    Column("prefetch", REAL, "batches a worker keeps ahead"),
    Column("persistent", TEXT, "whether workers outlive an epoch"),
    Column("pin", TEXT, "whether batches are in page-locked memory"),
    Column("start_method", TEXT, "how workers are started, where that was told"),
    Column("samples_per_s", REAL, "samples / median_s"),
    Column("samples_per_s_q1", REAL, "samples / q3_s"),
    Column("samples_per_s_q3", REAL, "samples / q1_s"),
    Column("samples_per_s_low", REAL, "lower end of the 95 % interval within the process"),
    Column("samples_per_s_high", REAL, "upper end"),
    keys=("case", "data", "batch_size", "workers"),
)
def loaders(run: RunFolder) -> Iterator[Row]:
    """One row for each timed loader configuration; what older runs did not measure is unknown."""
    rows = benchmark.rows(run, "loaders")
    alone = {_loader(row): row for row in rows if row["workers"] == 0}
    for row in rows:
        yield {
            **row,
            "cpu_us": median(row["cpu_us"]),
            "limit_us": median(row["limit_wall_us"]),
            **ratio_columns(row["limit_wall_us"], row["wall_us"], "share"),
            **ratio_columns(row["limit_cpu_us"], row["cpu_us"], "cpu_share"),
            "efficiency": _efficiency(row, alone.get(_loader(row))),
            **_rates(row),
        }


class Shown(NamedTuple):
    """A heading of the table of every configuration, and the text below it."""

    heading: str
    text: Callable[[pd.Series], str]


SETTINGS = ("prefetch", "persistent", "pin", "start_method")
"""Columns that the table shows where they vary."""

SHOWN = (
    Shown("CPU a sample", lambda row: duration(1e-6 * row["cpu_us"])),
    Shown("share of the limit", lambda row: _beside_the_limit(row, "share")),
    Shown("the same in CPU time", lambda row: _beside_the_limit(row, "cpu_share")),
    Shown("efficiency", lambda row: percent(row["efficiency"])),
    Shown("made in", lambda row: duration(row["made_s"])),
    Shown("workers started in", lambda row: duration(row["iterator_s"])),
    Shown("first batch", lambda row: duration(row["first_batch_s"])),
    Shown("CPU to there", lambda row: duration(row["start_cpu_s"])),
    Shown("shutdown", lambda row: duration(row["shutdown_s"])),
    Shown("memory", lambda row: size(row["pss_bytes"])),
    Shown("shared memory", lambda row: size(row["shared_bytes"])),
)
"""What the table shows besides the configuration and its rate, left to right."""


def _beside_the_limit(row: pd.Series, name: str) -> str:
    """Return a share of the limit with its interval."""
    ends = f"({plain(100 * row[f'{name}_low'])} – {plain(100 * row[f'{name}_high'])})"
    share = percent(row[name])
    return share if share == UNKNOWN else f"{share} {ends}"


def _loader(row: Row) -> tuple[Any, ...]:
    return (row["case"], row["batch_size"])


def _rates(row: Row) -> dict[str, float | None]:
    """Return samples a second from the rounds, and the interval over the slices; unknown where there are none."""
    interval = ratio_columns([1e6] * len(row["wall_us"]), row["wall_us"], "samples_per_s")
    return interval | {
        "samples_per_s": row["samples"] / row["median_s"],
        "samples_per_s_q1": row["samples"] / row["q3_s"],
        "samples_per_s_q3": row["samples"] / row["q1_s"] if row["q1_s"] > 0 else None,
    }


def _efficiency(row: Row, alone: Row | None) -> float | None:
    """Return what each worker adds, as a share of what the loader does without any."""
    if alone is None or not row["workers"]:
        return None
    speedup = (alone["median_s"] / alone["samples"]) / (row["median_s"] / row["samples"])
    return float(speedup / row["workers"])


@frame(
    *CASE,
    *CONFIGURATION,
    Column("step", TEXT, "case of the training step"),
    Column("load_s", REAL, "seconds of a batch, loaded without stepping"),
    Column("step_s", REAL, "seconds of a step on one batch, without loading"),
    Column("loop_s", REAL, "seconds of the training loop for a batch: waiting and stepping"),
    Column("load_to_step", REAL, "load_s / step_s, from stretches shortly after each other"),
    Column("load_to_step_low", REAL, "lower end of its 95 % interval"),
    Column("load_to_step_high", REAL, "upper end of its 95 % interval"),
    Column("wait_share", REAL, "share of the training loop spent waiting for the next batch"),
    Column("wait_share_low", REAL, "lower end of its 95 % interval"),
    Column("wait_share_high", REAL, "upper end of its 95 % interval"),
    Column("most_waiting", REAL, "share up to which loading keeps ahead"),
    Column("batches", WHOLE, "batches of the training loop"),
    Column("verdict", TEXT, "keeps ahead, starves the step, or not decided"),
    keys=("case", "data", "batch_size", "workers", "step"),
)
def balance(run: RunFolder) -> Iterator[Row]:
    """One row for each training loop of a loader and a step."""
    for row in benchmark.rows(run, "balance"):
        yield {**row, "verdict": _verdict(row)}


def _verdict(row: Row) -> str:
    """Say whether loading keeps ahead: where the whole interval of the share that waits is below the limit."""
    if row["wait_share_high"] <= row["most_waiting"]:
        return "keeps ahead"
    return "not decided" if row["wait_share_low"] <= row["most_waiting"] else "starves the step"


@frame(
    *CASE,
    Column("seed", WHOLE, "seed of the tuner"),
    Column("choice", TEXT, "configuration it chose"),
    Column("best", TEXT, "fastest configuration when every one is measured"),
    Column("share_of_best", REAL, "rate of the choice / rate of the best, both measured exhaustively"),
    Column("spent_s", REAL, "seconds the tuner took in all"),
    Column("exhaustive_s", REAL, "seconds of measuring every configuration, starting them not counted"),
    Column("share_of_time", REAL, "spent_s / exhaustive_s"),
    Column("reason", TEXT, "why the tuner ended"),
    keys=("case", "seed"),
)
def tuner(run: RunFolder) -> Iterator[Row]:
    """One row for each run of the tuner whose data set was measured exhaustively too."""
    rows = benchmark.rows(run, "tuner")
    exhaustive = {row["case"]: row for row in rows if row["way"] == "exhaustive"}
    for row in rows:
        if row["way"] != "exhaustive" and row["case"] in exhaustive:
            yield {**row, **_beside(row, exhaustive[row["case"]])}


def _beside(tuned: Row, exhaustive: Row) -> Mapping[str, Any]:
    """Return how a choice of the tuner compares with the best of all."""
    rates = exhaustive["rates"] or {}
    return {
        "best": exhaustive["choice"],
        "share_of_best": rates.get(tuned["choice"], float("nan")) / max(rates.values(), default=float("nan")),
        "exhaustive_s": exhaustive["spent_s"],
        "share_of_time": tuned["spent_s"] / exhaustive["spent_s"],
    }
