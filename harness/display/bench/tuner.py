"""Terminal output for the tuner's benchmark: rate and time per run, as shares of an exhaustive search."""

import statistics
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.display.narrow import print_sentence, print_table
from harness.record.bench import TunerRecord, benchmarks

NEAR, QUICK = 0.95, 0.2
"""Target of the tuner: minimum share of the best rate, and maximum share of the time."""


def print_tuner(console: Console, document: Mapping[str, Any]) -> None:
    """Print the rate and the time per run of the tuner, as shares of an exhaustive search."""
    records = [benchmark.record for benchmark in benchmarks(document, TunerRecord)]
    table = Table("data set", "best configuration", "chosen", "reason")
    for heading in ("share of rate", "share of time"):
        table.add_column(heading, justify="right", no_wrap=True)
    lines, reached = [], []
    for whole in (record for record in records if record.is_exhaustive):
        tuned = [record for record in records if not record.is_exhaustive and record.case == whole.case]
        rates = [choice.share_of_best(whole) for choice in tuned]
        times = [choice.share_of_time(whole) for choice in tuned]
        for choice, rate, time in zip(tuned, rates, times, strict=True):
            table.add_row(whole.case, whole.choice, choice.choice, choice.reason, f"{rate:.1%}", f"{time:.1%}")
        if tuned:
            rate, time = statistics.median(rates), statistics.median(times)
            reached.append(rate >= NEAR and time <= QUICK)
            medians = f"{rate:.1%} of the best rate in {time:.1%} of the time of an exhaustive search"
            lines.append(f"{whole.case}: medians of {len(tuned)} runs: {medians}")
        if ruled := whole.shares_of_rules():
            shares = ", ".join(f"{rule} {share:.1%}" for rule, share in ruled.items())
            lines.append(f"{whole.case}: rules of thumb: {shares}")
    if reached:
        target = f"target (at least {NEAR:.0%} of the best rate in at most {QUICK:.0%} of the time)"
        lines.append(f"{target}: met for {sum(reached)} of {len(reached)} data sets")
    print_table(console, table)
    for line in lines:
        print_sentence(console, line)
