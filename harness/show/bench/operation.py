"""Operations in the terminal, and loops beside vectorised code: the time of a call, beside the fastest of its kind."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.show.number import duration, times

Entry = Mapping[str, Any]

_SCATTER = "Medians and quartiles of the rounds of this process; they say how rounds scatter, not how runs differ."


def print_operations(console: Console, document: Mapping[str, Any]) -> None:
    """Print the time of a call of each implementation, contract by contract.

    Parameters
    ----------
    console
        Where to.
    document
        What pytest-benchmark wrote of the suite ``operations``.
    """
    _print(console, document, kind=("contract",))
    console.print(
        f"Float32, one thread, on the contract's standard input, with the gradient where it has one. {_SCATTER}",
        soft_wrap=True,
    )


def print_vectorization(console: Console, document: Mapping[str, Any]) -> None:
    """Print the time of loops and of vectorised code, size by size; ``document`` is of the suite ``vectorization``."""
    _print(console, document, kind=("contract", "n"))
    console.print(f"Float32, one thread. {_SCATTER}", soft_wrap=True)


def _print(console: Console, document: Mapping[str, Any], *, kind: Sequence[str]) -> None:
    table = Table(*(Column(name, justify="right" if name == "n" else "left") for name in kind))
    table.add_column("case", overflow="fold")
    for heading in ("call", "quartiles", "to the fastest", "first call"):
        table.add_column(heading, justify="right", no_wrap=True)

    def facts(entry: Entry) -> tuple[Any, ...]:
        return tuple(entry["extra_info"][name] for name in kind)

    for own, group in groupby(sorted(document["benchmarks"], key=facts), key=facts):
        together = list(group)
        fastest_s = min(entry["stats"]["median"] for entry in together)
        for entry in together:
            places = (f"{fact:,}" if isinstance(fact, int) else escape(fact) for fact in own)
            table.add_row(*places, escape(entry["extra_info"]["case"]), *_cells(entry, fastest_s))
        table.add_section()
    console.print(table)


def _cells(entry: Entry, fastest_s: float) -> tuple[str, ...]:
    stats = entry["stats"]
    quartiles = f"{duration(stats['q1'])} to {duration(stats['q3'])}"
    return (
        duration(stats["median"]),
        quartiles,
        times(stats["median"] / fastest_s),
        duration(entry["extra_info"]["cold_s"]),
    )
