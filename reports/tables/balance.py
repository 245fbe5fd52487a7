"""Tables on balance: whether loading keeps up with the step, and the distance of the tuner from the best loader."""

from typing import Any

import pandas as pd

from harness.record import DataSource

from ..number import duration, percent, plain, times
from ..source import caveat_of
from ..table import Table, codes, headers, numbers, texts
from ..text import count, workers_in_words

NEAR, QUICK = 0.95, 0.25
"""Goals of the tuner: share of the best rate, and share of the exhaustive time."""


def balance(frame: pd.DataFrame, source: DataSource | None) -> Table:
    """Return the time that each training loop waits for its loader, and the verdict."""
    rows = []
    for _, row in frame.iterrows():
        cells = (str(row["case"]), f"{row['batch_size']:,}", f"{row['workers']}")
        took = (duration(row[name]) for name in ("load_s", "step_s", "loop_s"))
        starved = f"{times(row['load_to_step'])} {_interval(row, 'load_to_step')}"
        waits = f"{percent(row['wait_share'])} {_interval(row, 'wait_share', scale=100)}"
        rows.append((*cells, verdict(row), waits, *took, starved))
    steps = " and ".join(map(str, frame["step"].unique()))
    limit = percent(float(frame["most_waiting"].max()))
    title = "Does loading keep ahead of the step?"
    columns = headers(
        codes("loader"),
        numbers("batch size", "workers"),
        texts("verdict"),
        numbers("loop waits", "batch alone", "step alone", "loop, per batch", "batch / step"),
    )
    caption = (
        f"The step is {steps}. Loading keeps ahead if the interval of the waiting share is below {limit}. "
        f"{cheapest(frame)} Brackets are 95 % intervals within one process."
    )
    return Table("balance-table", title, columns, tuple(rows), caption, caveat=caveat_of(frame, source))


def verdict(row: Any) -> str:
    """Return the verdict on a loop, with the ratio of batch time to step time if the loader is slower."""
    if row["verdict"] == "starves the step" and row["load_to_step"] >= 1:
        return f"starves the step by {times(row['load_to_step'])}"
    words = {"keeps ahead": "loading keeps ahead", "not decided": "not decided", "starves the step": "the step waits"}
    return words[str(row["verdict"])]


def cheapest(frame: pd.DataFrame) -> str:
    """Return the cheapest configuration that keeps ahead: fewest workers, smallest batch, then least waiting."""
    ahead = frame[frame["verdict"] == "keeps ahead"]
    if ahead.empty:
        return "No configuration keeps ahead."
    row = ahead.sort_values(["workers", "batch_size", "wait_share"], kind="stable").iloc[0]
    cells = f"{row['case']} at batch {row['batch_size']} with {workers_in_words(int(row['workers']))}"
    waits = percent(row["wait_share"])
    return f"The cheapest configuration that keeps ahead is {cells}: the loop waits {waits} of its time."


def _interval(row: Any, name: str, *, scale: float = 1.0) -> str:
    return f"({plain(scale * row[f'{name}_low'])} – {plain(scale * row[f'{name}_high'])})"


def tuner(frame: pd.DataFrame) -> Table:
    """Return the distance of the tuner's runs from the best loader per data set, and the share of the time."""
    rows, whole = [], 0
    for name, group in frame.groupby("case", sort=False):
        reached = ((group["share_of_best"] >= NEAR) & (group["share_of_time"] <= QUICK)).sum()
        whole += int(reached == len(group))
        chosen = group["choice"].value_counts()
        choices = "; ".join(f"{choice} ({number})" for choice, number in chosen.items())
        rate, time = group["share_of_best"], group["share_of_time"]
        shares = (percent(rate.median()), percent(rate.min()), percent(time.median()), percent(time.max()))
        best = str(group["best"].iloc[0])
        rows.append((str(name), f"{reached} of {len(group)}", *shares, best, choices))
    columns = headers(
        texts("data set"),
        numbers("runs that reach both goals", "rate, median", "rate, minimum", "time, median", "time, maximum"),
        texts("best of all", "chosen (runs)"),
    )
    caption = (
        f"Both goals: at least {percent(NEAR)} of the best rate, in at most {percent(QUICK)} of the time of "
        f"measuring every configuration. All runs reach both on {whole} of {count(len(rows), 'data set')}. The best of "
        "many measurements is biased upwards, so the best and the choice are remeasured in pairs. The exhaustive time "
        "counts slices only; the time of the tuner counts everything."
    )
    return Table("tuner-table", "Tuner compared with exhaustive measurement", columns, tuple(rows), caption)
