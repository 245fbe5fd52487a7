"""Terminal output for the suite ``balance``: which loaders keep up with the training step."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.display.narrow import print_sentence, print_table
from harness.record.bench import BalanceRecord, benchmarks


def print_balance(console: Console, document: Mapping[str, Any]) -> None:
    """Print for each loader whether it keeps up with the step, and how long the training loop waits for it."""
    balances = [benchmark.record for benchmark in benchmarks(document, BalanceRecord)]
    table = Table(Column("loader", overflow="fold"), "batch", "workers", "verdict")
    for heading in ("loop waits", "batch / step", "batch alone", "step alone", "loop"):
        table.add_column(heading, justify="right", no_wrap=True)
    for balance in balances:
        cells = (escape(balance.case), str(balance.batch_size), str(balance.workers))
        table.add_row(*cells, _verdict(balance), *_cells(balance))
    print_table(console, table)
    for line in _remarks(balances):
        print_sentence(console, line)


def _cells(balance: BalanceRecord) -> tuple[str, ...]:
    waits = f"{balance.wait_share:.0%} ({balance.wait_share_low:.0%} to {balance.wait_share_high:.0%})"
    load = f"{balance.load_to_step:.3g} ({balance.load_to_step_low:.3g} to {balance.load_to_step_high:.3g})"
    times_s = (balance.load_s, balance.step_s, balance.loop_s)
    return (waits, load, *("–" if time_s is None else f"{1e6 * time_s:,.0f} us" for time_s in times_s))


def _verdict(balance: BalanceRecord) -> str:
    if balance.keeps_ahead:
        return "loading keeps up"
    if not balance.is_decided:
        return "not decided"
    longer = f"{balance.load_to_step:.3g} times as long as the step"
    return longer if balance.load_to_step >= 1 else "the step waits"


def _remarks(balances: Sequence[BalanceRecord]) -> list[str]:
    if not balances:
        return []
    ahead = [balance for balance in balances if balance.keeps_ahead]
    cheapest = min(ahead, key=lambda balance: (balance.workers, balance.batch_size, balance.wait_share), default=None)
    choice = "no configuration keeps up" if cheapest is None else f"cheapest that keeps up: {_place(cheapest)}"
    steps = ", ".join(dict.fromkeys(balance.step for balance in balances))
    limit = f"Loading keeps up if the loop waits at most {balances[0].most_waiting:.0%} of its time"
    return [choice, f"The step is {steps}. {limit}. The 95 % intervals are over time slices within this process."]


def _place(balance: BalanceRecord) -> str:
    return f"{balance.case}, batch {balance.batch_size}, workers {balance.workers}, waits {balance.wait_share:.0%}"
