"""Ways of drawing inputs in the terminal: how fast each checks rows, and how much of the worst each finds."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.record import share_of_best
from harness.show.bench.name import short_names
from harness.show.number import rate, times

Entry = Mapping[str, Any]

LONGER = "longer"
"""What the longer search of our own is called, which serves for the best known alone."""


def print_screening(console: Console, document: Mapping[str, Any]) -> None:
    """Print the rows checked a second in each way, beside one row at a time.

    Parameters
    ----------
    console
        Where to.
    document
        What pytest-benchmark wrote of the suite ``screening``.
    """
    table, short = Table(Column("case", no_wrap=True), "drawn"), short_names(document["benchmarks"])
    for heading in ("rows/s", "quartiles", "to one at a time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for _, group in groupby(document["benchmarks"], key=_case):
        together = list(group)
        alone = [entry for entry in together if entry["extra_info"]["way"] == "one-at-a-time"]
        for entry in together:
            own, low, high = (_rows_per_s(entry, name) for name in ("median", "q3", "q1"))
            beside = times(own / _rows_per_s(alone[0], "median")) if alone else "–"
            cells = (rate(own), f"{rate(low)} to {rate(high)}", beside)
            table.add_row(escape(short[_case(entry)]), entry["extra_info"]["way"], *cells)
        table.add_section()
    console.print(table)
    console.print("Implementation, oracle and deviation together, float32, on one core.", soft_wrap=True)


def _rows_per_s(entry: Entry, name: str) -> float:
    return float(entry["extra_info"]["rows"] / entry["stats"][name])


def print_search(console: Console, document: Mapping[str, Any]) -> None:
    """Print what share of the best known deviation each way finds; ``document`` is that of the suite ``search``."""
    entries = document["benchmarks"]
    ways = [way for way in dict.fromkeys(entry["extra_info"]["way"] for entry in entries) if way != LONGER]
    table, short = Table(Column("case", no_wrap=True)), short_names(entries)
    for heading in ("best known", *ways):
        table.add_column(heading, justify="right")
    for case, group in groupby(entries, key=_case):
        table.add_row(escape(short[case]), *_shares(list(group), ways))
    console.print(table)
    usual = [entry["extra_info"] for entry in entries if entry["extra_info"]["way"] != LONGER]
    if usual:
        seeds = len({info["seed"] for info in usual})
        seconds = statistics.median(info["seconds"] for info in usual)
        console.print(
            f"Shares of the best known deviation, medians of {seeds} seeds, {seconds:g} s each on one core, float32. "
            "The best known is the largest that any way found, a longer search of our own among them.",
            soft_wrap=True,
        )


def _shares(together: Sequence[Entry], ways: Sequence[str]) -> Iterator[str]:
    infos = [entry["extra_info"] for entry in together]
    best = max(info["score"] for info in infos)
    yield f"{best:.4g} {'of its bound' if infos[0]['objective'] == 'ratio' else 'ulp'}"
    for way in ways:
        scores = [info["score"] for info in infos if info["way"] == way]
        yield f"{share_of_best(statistics.median(scores), best):.1%}" if scores else "–"


def _case(entry: Entry) -> str:
    return str(entry["extra_info"]["case"])
