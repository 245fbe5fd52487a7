"""Balance in the terminal: which loader keeps ahead of the step, and by how much another starves it."""

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
