"""Terminal output for input drawing methods: rows checked per second, and share of the worst deviation found."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.display.narrow import print_sentence, print_table
from harness.record import share_of_best
from harness.record.bench import BenchRecord, ScreeningRecord, SearchRecord, benchmarks
from harness.wording.number import rate, times

LONGER = "longer"
"""Name of the longer search, used only for the best known deviation."""


def print_screening(console: Console, document: Mapping[str, Any]) -> None:
    """Print the rows checked per second by each method, compared with one row at a time."""
    screenings = benchmarks(document, ScreeningRecord)
    table, short = Table(Column("case", no_wrap=True), "method"), short_names([it.record for it in screenings])
    for heading in ("rows/s", "quartiles", "vs one at a time"):
        table.add_column(heading, justify="right", no_wrap=True)
    for case, group in groupby(screenings, key=lambda it: it.record.case):
        ways = {it.record.way: (it.record.rows, it.stats) for it in group}
        rates = {way: rows / stats.median_s for way, (rows, stats) in ways.items()}
        for way, (rows, stats) in ways.items():
            ratio = times(rates[way] / rates["one-at-a-time"]) if "one-at-a-time" in rates else "–"
            quartiles = f"{rate(rows / stats.q3_s)} to {rate(rows / stats.q1_s)}"
            table.add_row(escape(short[case]), way, rate(rates[way]), quartiles, ratio)
        table.add_section()
    print_table(console, table)
    print_sentence(console, "Times include the implementation, the oracle and the deviation; float32, one core.")


def print_search(console: Console, document: Mapping[str, Any]) -> None:
    """Print the share of the best known deviation that each method finds in the suite ``search``."""
    searches = [benchmark.record for benchmark in benchmarks(document, SearchRecord)]
    ordinary = [search for search in searches if search.way != LONGER]
    ways = list(dict.fromkeys(search.way for search in ordinary))
    table, short = Table(Column("case", no_wrap=True)), short_names(searches)
    for heading in ("best known", *ways):
        table.add_column(heading, justify="right")
    for case, group in groupby(searches, key=lambda search: search.case):
        table.add_row(escape(short[case]), *_shares(list(group), ways))
    print_table(console, table)
    if ordinary:
        seeds = len({search.seed for search in ordinary})
        seconds = statistics.median(search.seconds for search in ordinary)
        print_sentence(
            console,
            f"Shares of the best known deviation: medians of {seeds} seeds, {seconds:g} s each, one core, float32. "
            "The best known deviation is the largest that any method found, including a longer search.",
        )


def _shares(searches: Sequence[SearchRecord], ways: Sequence[str]) -> Iterator[str]:
    best = max(search.score for search in searches)
    yield f"{best:.4g} {'of its bound' if searches[0].objective == 'ratio' else 'ulp'}"
    for way in ways:
        scores = [search.score for search in searches if search.way == way]
        yield f"{share_of_best(statistics.median(scores), best):.1%}" if scores else "–"


def short_names(records: Sequence[BenchRecord]) -> dict[str, str]:
    """Return each case without its family if all cases share one."""
    families = {record.family for record in records}
    cases = {record.case for record in records}
    return {case: case.partition(".")[2] if len(families) == 1 and "." in case else case for case in cases}
