"""Balance and the tuner's benchmark in the terminal. It imports no torch."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

Info = Mapping[str, Any]


def print_balance(console: Console, document: Info) -> None:
    """Print by how much each loader starves the step, and how long the training loop waits for it.

    Parameters
    ----------
    console
        Where to.
    document
        What pytest-benchmark wrote of the suite ``balance``.
    """
    infos = [entry["extra_info"] for entry in document["benchmarks"]]
    table = Table(Column("loader", overflow="fold"), "batch", "workers", "verdict")
    for heading in ("loop waits", "batch / step", "batch alone", "step alone", "loop"):
        table.add_column(heading, justify="right", no_wrap=True)
    for info in infos:
        waits = f"{info['wait_share']:.0%} ({info['wait_share_low']:.0%} to {info['wait_share_high']:.0%})"
        load = f"{info['load_to_step']:.3g} ({info['load_to_step_low']:.3g} to {info['load_to_step_high']:.3g})"
        times = (f"{1e6 * info[name]:,.0f} us" for name in ("load_s", "step_s", "loop_s"))
        place = (escape(info["case"]), str(info["batch_size"]), str(info["workers"]))
        table.add_row(*place, _verdict(info), waits, load, *times)
    console.print(table)
    for line in _remarks(infos):
        console.print(escape(line), soft_wrap=True)


def _verdict(info: Info) -> str:
    if info["wait_share_high"] <= info["most_waiting"]:
        return "loading keeps ahead"
    if info["wait_share_low"] <= info["most_waiting"]:
        return "not decided"
    return f"starves the step by {info['load_to_step']:.3g}" if info["load_to_step"] >= 1 else "the step waits"


def _remarks(infos: Sequence[Info]) -> list[str]:
    if not infos:
        return []
    ahead = [info for info in infos if _verdict(info) == "loading keeps ahead"]
    cheapest = min(ahead, key=lambda info: (info["workers"], info["batch_size"], info["wait_share"]), default=None)
    found = "none of these keeps ahead" if cheapest is None else f"cheapest that keeps ahead: {_place(cheapest)}"
    steps = ", ".join(dict.fromkeys(info["step"] for info in infos))
    limit = f"Loading keeps ahead where the loop waits for at most {infos[0]['most_waiting']:.0%} of its time"
    return [found, f"The step is {steps}. {limit}; intervals are 95 %, over stretches of one process."]


def _place(info: Info) -> str:
    return f"{info['case']}, batch {info['batch_size']}, workers {info['workers']}, waits {info['wait_share']:.0%}"


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
