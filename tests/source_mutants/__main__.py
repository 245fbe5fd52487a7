"""``python -m source_mutants``: change the source of bounds, oracles and formats, and count what the tests detect.

It first tries mutants that once survived, then others, for ``--seconds`` of CPU time. These others belong to a few
modules, which change daily. ``--module`` chooses modules, and ``--all`` tries every mutant of every module.
"""

import argparse
import datetime
import hashlib
import math
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import NamedTuple

from rich.console import Console
from source_mutants.judged import judged
from source_mutants.mutation import Mutation, mutations
from source_mutants.runner import Outcome, tried, unchanged
from source_mutants.witnesses import Witnesses, witnesses

A_DAY = 4
"""Modules whose mutants are tried without ``--all``. The tests of a module first run without a mutant."""


class Row(NamedTuple):
    """The outcome of a mutant, and whether a recorded reason excuses its survival."""

    mutation: Mutation
    outcome: Outcome
    argued: bool

    @property
    def is_left(self) -> bool:
        """Whether the mutant survived without an excuse."""
        return not self.outcome.noticed and not self.argued

    def __str__(self) -> str:
        one = self.mutation
        return f"{one.module}:{one.line}\n    {one.before}\n    {one.after}\n    {self.outcome.noticed}".rstrip()


def main() -> int:
    """Try mutants, print the outcomes, and return 1 if a mutant survives, else 0."""
    parser = argparse.ArgumentParser(prog="python -m source_mutants", description=__doc__)
    parser.add_argument("--all", action="store_true", help="try every mutant, however long it takes")
    parser.add_argument("--module", action="append", default=[], help="try those of a module; may be repeated")
    parser.add_argument("--verbose", action="store_true", help="say what noticed each")
    parser.add_argument(
        "--seconds", type=float, default=100.0, help="of the processors, after which no mutant is begun"
    )
    parser.add_argument("--day", default=str(datetime.datetime.now(tz=datetime.UTC).date()), help="which order")
    asked = parser.parse_args()
    out = Console(width=None if sys.stdout.isatty() else 160, highlight=False, markup=False)
    seconds = math.inf if asked.all else asked.seconds
    rows, unmatched = [], [one for one in judged() if not one.mutations()]
    for one in unmatched:
        out.print(f"JUDGED, AND NO MUTANT ANY MORE {one.module}\n    {one.before}\n    {one.after}")
    others = list(_others(asked.module, asked.day, every=asked.all))
    for row in _tried(list(_once(asked.module)), others, seconds):
        rows.append(row)
        if asked.verbose or row.is_left:
            out.print(f"{'LEFT ' if row.is_left else ''}{row}")
    _print_table(out, rows)
    once = frozenset(_once([]))
    # Not all modules are reviewed: survivors of a module chosen by date are only reported.
    failing = [row for row in rows if row.is_left and (asked.all or asked.module or row.mutation in once)]
    return int(bool(failing) or bool(unmatched) or not rows)


def _once(modules: list[str]) -> Iterator[Mutation]:
    """Return the mutants that once survived."""
    for one in sorted(judged()):
        if not one.reason and (not modules or one.module in modules):
            yield from one.mutations()


def _others(modules: list[str], day: str, *, every: bool) -> Iterator[Mutation]:
    """Return the mutants of the given modules.

    Without modules and without ``--all``, the date chooses the modules.
    """
    known = sorted(dict(witnesses()), key=lambda module: hashlib.sha256(f"{day} {module}".encode()).digest())
    listed = [one for module in modules or (known if every else known[:A_DAY]) for one in mutations(module)]
    yield from sorted(listed, key=lambda one: hashlib.sha256(day.encode() + one.order).digest())


def _tried(once: list[Mutation], others: list[Mutation], seconds: float) -> Iterator[Row]:
    """Try mutants in parallel: first old survivors, then others until the time is up."""
    processes = int(os.environ.get("HARNESS_PROCESSES", "2"))
    asked = dict(witnesses())
    with ProcessPoolExecutor(processes, mp_context=get_context("fork")) as pool:
        # A test that fails without a mutant shows nothing: run the tests once without one for all processes.
        modules = dict.fromkeys(mutation.module for mutation in (*once, *others))
        usual = {who: pool.submit(unchanged, who) for who in dict.fromkeys(asked[module] for module in modules)}
        running: list[Future[Row]] = []
        spent = 0.0
        for place, mutation in enumerate((*once, *others)):
            if place >= len(once) and spent > seconds:
                break
            who = asked[mutation.module]
            running.append(pool.submit(_row, mutation, who, usual[who].result()))
            while len(running) >= 2 * processes:
                row = running.pop(0).result()
                spent += row.outcome.cpu_s
                yield row
        yield from (future.result() for future in running)


def _row(mutation: Mutation, asked: Witnesses, usual: str) -> Row:
    argued = any(one.reason and one.module == mutation.module and mutation in one.mutations() for one in judged())
    return Row(mutation, Outcome("", 0.0) if argued else tried(mutation, asked, usual), argued)


def _print_table(out: Console, rows: list[Row]) -> None:
    """Print for each module how many mutants were tried, detected, excused and left."""
    for module in sorted({row.mutation.module for row in rows}):
        own = [row for row in rows if row.mutation.module == module]
        out.print(f"{module:60} {_counts(own)}")
    out.print(f"{'altogether':60} {_counts(rows)}")


def _counts(rows: list[Row]) -> str:
    noticed, argued = sum(bool(row.outcome.noticed) for row in rows), sum(row.argued for row in rows)
    seconds = sum(row.outcome.cpu_s for row in rows) / max(len(rows) - argued, 1)
    left = len(rows) - noticed - argued
    return f"{len(rows):5} mutants: {noticed} noticed, {argued} argued away, {left} left; {seconds:.1f} s each"


if __name__ == "__main__":
    sys.exit(main())
