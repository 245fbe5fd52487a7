"""The tuner's benchmark in the terminal: how near each run came to the best, and in what share of the time."""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

Info = Mapping[str, Any]


def print_tuner(console: Console, document: Info) -> None:
    """Print how near each run of the tuner came to the best, and in what share of the exhaustive time.

    Parameters
    ----------
    console
        Where to.
    document
        What pytest-benchmark wrote of the suite ``tuner``.
    """
    infos = [entry["extra_info"] for entry in document["benchmarks"]]
    table = Table("data set", "best of all", "chosen", "why")
    for heading in ("rate to best", "time to all"):
        table.add_column(heading, justify="right", no_wrap=True)
    lines = []
    for whole in (info for info in infos if info["way"] == "exhaustive"):
        tuned = [info for info in infos if info["way"] == "tuner" and info["case"] == whole["case"]]
        rates = [_rate(info, whole) for info in tuned]
        times = [info["spent_s"] / whole["spent_s"] for info in tuned]
        for info, rate, time in zip(tuned, rates, times, strict=True):
            table.add_row(whole["case"], whole["choice"], info["choice"], info["reason"], f"{rate:.1%}", f"{time:.1%}")
        if tuned:
            medians = f"{statistics.median(rates):.1%} of the best rate in {statistics.median(times):.1%} of the time"
            lines.append(f"{whole['case']}: medians of {len(tuned)} runs: {medians}")
    console.print(table)
    for line in lines:
        console.print(line, soft_wrap=True)


def _rate(info: Info, whole: Info) -> float:
    """The rate of a choice to that of the best; NaN where the choice was not measured exhaustively."""
    rate, best = whole["rates"].get(info["choice"], float("nan")), max(whole["rates"].values())
    return float(rate) / float(best)
