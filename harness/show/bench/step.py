"""Step times in the terminal: each case beside the chapter's, with intervals, and the floor."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.record import Estimate, median_ratio
from harness.show.bench.name import short_names
from harness.show.number import duration, rate, times


def print_steps(console: Console, document: Mapping[str, Any]) -> None:
    """Print a table for each contract and device: times, and what they are as multiples of others.

    Parameters
    ----------
    console
        Where to.
    document
        What pytest-benchmark wrote of the suite ``steps``.
    """
    entries = document["benchmarks"]
    for (contract, device), own in groupby(entries, key=lambda it: _facts(it, "contract", "device")):
        console.print(_table(f"{contract}, {device}: one step", list(own)))
    console.print(
        "Ratios are medians within the rounds of this process, with 95 % intervals; the floor is the time of the least "
        "bytes and operations at the rates measured in the same rounds.",
        soft_wrap=True,
    )


def print_agreement(console: Console, document: Mapping[str, Any]) -> None:
    """Print our times beside those of torch's own timer; ``document`` is that of the suite ``agreement``."""
    table = Table(Column("batch", justify="right"), Column("case", overflow="fold"))
    for heading in ("ours", "torch.utils.benchmark.Timer", "ours / Timer", "rounds"):
        table.add_column(heading, justify="right")
    table.add_column("apart")
    for entry in document["benchmarks"]:
        info, ours = entry["extra_info"], entry["stats"]["data"]
        ratio = median_ratio(ours, info["timer_s"])
        both = (duration(statistics.median(ours)), duration(statistics.median(info["timer_s"])))
        interval = f"{ratio.point:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]"
        case, rounds = escape(info["case"]), str(len(ours))
        table.add_row(str(info["batch_size"]), case, *both, interval, rounds, agreement(ratio, info["tolerance"]))
    console.print(table)


def agreement(ratio: Estimate, tolerance: float) -> str:
    """Say whether two times agree within a tolerance, as far as the interval of their ratio tells."""
    if abs(ratio.low - 1) <= tolerance and abs(ratio.high - 1) <= tolerance:
        return f"within {tolerance:.0%}"
    return "undecided" if ratio.low <= 1 + tolerance and ratio.high >= 1 - tolerance else f"beyond {tolerance:.0%}"


def _facts(entry: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(entry["extra_info"][name] for name in names)


def _table(title: str, entries: Sequence[Mapping[str, Any]]) -> Table:
    references = _references(entries)
    short = short_names(entries)
    table = Table(Column("batch", justify="right"), Column("case", no_wrap=True), title=title, title_justify="left")
    for heading in ("step", "samples/s", *(f"/ {short}" for short in references), "/ floor", "first call"):
        table.add_column(heading, justify="right")
    for _, group in groupby(entries, key=lambda it: _facts(it, "batch_size")):
        together = list(group)
        for entry in together:
            info = entry["extra_info"]
            cells = _cells(entry, together, list(references.values()))
            table.add_row(f"{info['batch_size']:,}", escape(short[info["case"]]), *cells)
        table.add_section()
    return table


def _references(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The first case from scratch and the first concise one, by style; else the first of several cases."""
    found: dict[str, str] = {}
    for entry in entries:
        style, case = _facts(entry, "style", "case")
        if style in {"scratch", "concise"}:
            found.setdefault(style, case)
    cases = list(dict.fromkeys(entry["extra_info"]["case"] for entry in entries))
    return found or ({"first": cases[0]} if len(cases) > 1 else {})


def _cells(entry: Mapping[str, Any], together: Sequence[Mapping[str, Any]], references: Sequence[str]) -> Iterator[str]:
    info, rounds_s = entry["extra_info"], entry["stats"]["data"]
    by_case = {other["extra_info"]["case"]: other["stats"]["data"] for other in together}
    step_s = statistics.median(rounds_s)
    yield duration(step_s)
    yield rate(info["batch_size"] / step_s)
    for reference in references:
        yield "1" if reference == info["case"] else _ratio(median_ratio(rounds_s, by_case.get(reference, ())))
    yield times(median_ratio(rounds_s, info["floor_s"]).point)
    yield duration(info["cold_s"])


def _ratio(ratio: Estimate) -> str:
    """The ratio with its interval; a dash where the other was not measured."""
    return "–" if math.isnan(ratio.point) else f"{ratio.point:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
