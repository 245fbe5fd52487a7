"""The kill matrix, the kill rate and the false-alarm rate of the harness.

``tox run -e mutants`` runs it. It fails below a kill rate of 100 %, if there is a false alarm, and if a bound differs
from ``tests/recorded/tightness.txt``.
"""

import argparse
import multiprocessing
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from typing import NamedTuple

import torch
from controls.catalogue import CONTROLS
from corpus.catalogue import MUTANTS
from rich.console import Console
from rich.progress import track
from rich.table import Table
from tightness.record import differing, read

from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.floats import format_of
from harness.record import Status, Verdict
from harness.verdict.decide import decide
from harness.verdict.job import Job

ELSEWHERE = 6
"""Number of examples for the other laws of a mutant; its own law gets the usual number."""

LARGE = {"value_on_many_rows"}
"""Laws with large examples by design; minimizing them takes minutes."""

MARKS = {Status.HOLDS: "·", Status.BROKEN: "x", Status.ERROR: "e", Status.SKIPPED: "–"}


class Cell(NamedTuple):
    """One verdict: on a mutant or on a control."""

    job: Job
    examples: int | None
    row: int
    """Index of the mutant, or of the control, counted down from -1."""


@cache
def cells() -> list[Cell]:
    """Return every law of every mutant's contract and of every control, in the same order in every process."""
    to_reach = []
    for row, mutant in enumerate(MUTANTS):
        contract = contract_named(mutant.contract)
        case = Case(mutant.function, mutant.contract, declares=mutant.declares, name=f"mutant.{mutant.name}")
        for law in contract.laws:
            if law.name == mutant.law or not mutant.generic:
                own = None if law.name == mutant.law else ELSEWHERE
                to_reach.append(Cell(Job(case, contract, law, format_of(mutant.dtype), strict=True), own, row))
    rows = {case.name: -1 - at for at, case in enumerate(case for control in CONTROLS for case in control.cases())}
    to_reach += [Cell(job, None, rows[job.case.name]) for control in CONTROLS for job in control.jobs()]
    return to_reach


def shares(*, own: bool) -> list[list[int]]:
    """Return the groups of cells that a process decides together: the mutants or the controls of a contract.

    Their examples are drawn and rounded once. The slowest groups come first. ``own`` selects only the law for which
    each mutant was made.
    """
    together = defaultdict(list)
    for index, cell in enumerate(cells()):
        if cell.row < 0 or not own or _is_own(cell):
            together[cell.job.contract.name, cell.row < 0].append(index)
    return sorted(together.values(), key=lambda share: (cells()[share[0]].job.contract.form != "delivery", -len(share)))


def decided_together(share: list[int]) -> list[Verdict]:
    """Decide the cells of a group."""
    return [decided(index) for index in share]


def decided(index: int) -> Verdict:
    """Decide one cell: a control as usual, a mutant by drawn examples only, without the corpus.

    The example that kills a mutant is minimized, and must break the law in ball arithmetic too.
    """
    cell = cells()[index]
    if cell.row < 0:
        return decide(cell.job, minimal=False, further=0)
    minimal = _is_own(cell) and cell.job.law.name not in LARGE
    return decide(cell.job, examples=cell.examples, corpora=(), minimal=minimal, further=0)


def _prepare(start_method: str) -> None:
    """Compute on one thread, and restore the usual start method of loader workers."""
    torch.set_num_threads(1)
    # tox sets it. All processes would then order sets alike, and some wrong loaders depend on that order.
    os.environ.pop("PYTHONHASHSEED", None)
    multiprocessing.set_start_method(start_method, force=True)


def main() -> int:
    """Print the matrices and the rates; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m mutants", description=__doc__)
    parser.add_argument("--own", action="store_true", help="ask a mutant for the law alone that it is made for")
    to_reach = shares(own=parser.parse_args().own)
    out = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    listed = cells()
    processes = int(os.environ.get("HARNESS_PROCESSES", "2"))
    context = get_context("spawn")
    usual = multiprocessing.get_start_method()
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_prepare, initargs=(usual,)) as pool:
        arriving = zip(to_reach, pool.map(decided_together, to_reach), strict=True)
        shown = track(arriving, "deciding", len(to_reach), console=Console(stderr=True), transient=True)
        reached = {index: verdict for share, several in shown for index, verdict in zip(share, several, strict=True)}
    verdicts = [(listed[index], reached[index]) for index in sorted(reached)]
    for name in contracts():
        _print_matrix(out, name, verdicts)
    alarms = _print_controls(out, verdicts)
    killed = [_is_killed(cell, verdict) for cell, verdict in verdicts if cell.row >= 0 and _is_own(cell)]
    unseen = _laws_without_a_mutant()
    others = differing(verdict for cell, verdict in verdicts if cell.row < 0)
    for sentence in others:
        out.print(f"TIGHTNESS {sentence}")
    controlled = sum(cell.row < 0 for cell, _ in verdicts)
    _print_survivors(out, verdicts)
    out.print(f"kill rate: {sum(killed)} of {len(killed)} mutants, {sum(killed) / len(killed):.1%}")
    out.print(f"laws without a mutant: {', '.join(unseen) or 'none'}")
    out.print(f"bounds that are not as recorded: {len(others)} of {len(read())}")
    out.print(f"false alarms: {alarms} of {controlled} verdicts on sound implementations, {alarms / controlled:.2%}")
    return int(not all(killed) or bool(unseen) or bool(others) or alarms > 0)


def _is_own(cell: Cell) -> bool:
    return cell.job.law.name == MUTANTS[cell.row].law


def _is_killed(cell: Cell, verdict: Verdict) -> bool:
    return verdict.status is MUTANTS[cell.row].status


def _print_survivors(out: Console, verdicts: Sequence[tuple[Cell, Verdict]]) -> None:
    """Print survivors at the end too, where a truncated log still shows them."""
    for cell, verdict in verdicts:
        if cell.row >= 0 and _is_own(cell) and not _is_killed(cell, verdict):
            mutant = MUTANTS[cell.row]
            seen = f"{verdict.status} over {verdict.examples} examples and {verdict.rows} rows"
            out.print(
                f"SURVIVES {mutant.contract} {mutant.name} [{mutant.dtype}], made for {mutant.law}: {seen}"
                f"{f': {verdict.reason}' if verdict.reason else ''}"
            )


def _laws_without_a_mutant() -> list[str]:
    aimed_at = {(mutant.contract, mutant.law) for mutant in MUTANTS}
    every = [(contract.name, law.name) for contract in contracts().values() for law in contract.laws]
    return [f"{contract} {law}" for contract, law in every if (contract, law) not in aimed_at]


def _print_matrix(out: Console, name: str, verdicts: Sequence[tuple[Cell, Verdict]]) -> None:
    """Print mutants of a contract against its laws: K its law breaks, x another, e raises, – skipped, ! survives."""
    laws = contract_named(name).laws
    table = Table("mutant", "dtype", "laws", "made for", title=f"{name}: {len(laws)} laws", title_justify="left")
    rows = dict.fromkeys(cell.row for cell, _ in verdicts if cell.row >= 0 and MUTANTS[cell.row].contract == name)
    for row in rows:
        mutant = MUTANTS[row]
        mark_of = {cell.job.law.name: _mark(cell, verdict) for cell, verdict in verdicts if cell.row == row}
        marks = "".join(mark_of.get(law.name, " ") for law in laws)
        table.add_row(mutant.name, mutant.dtype, marks, mutant.law)
    out.print(table)


def _mark(cell: Cell, verdict: Verdict) -> str:
    if _is_own(cell):
        return "K" if _is_killed(cell, verdict) else "!"
    return MARKS[verdict.status]


def _print_controls(out: Console, verdicts: Sequence[tuple[Cell, Verdict]]) -> int:
    """Print verdicts on controls and their worst deviations; return the number of false alarms."""
    table = Table("control", "laws", "verdicts", "rows", "false alarms", "value: worst deviation / bound, by dtype")
    alarms = 0
    for case in dict.fromkeys(verdict.case for cell, verdict in verdicts if cell.row < 0):
        own = [verdict for cell, verdict in verdicts if cell.row < 0 and verdict.case == case]
        # A control may refuse an axis or a second derivative.
        wrong = [verdict for verdict in own if verdict.status not in {Status.HOLDS, Status.SKIPPED}]
        alarms += len(wrong)
        tight = "  ".join(
            f"{v.dtype} {v.deviation / v.bound:.2f}"
            for v in own
            if v.law == "value" and v.deviation is not None and v.bound
        )
        laws = len({verdict.law for verdict in own})
        rows = sum(verdict.rows for verdict in own)
        table.add_row(case, str(laws), str(len(own)), f"{rows:,}", str(len(wrong) or "–"), tight)
        for verdict in wrong:
            out.print(f"FALSE ALARM {case} {verdict.law} [{verdict.dtype}] {verdict.reason or verdict.violation}")
    out.print(table)
    return alarms
