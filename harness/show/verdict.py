"""What a person reads in the terminal: tables of verdicts and of training, and the blocks of what is broken."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.control import strip_control_codes
from rich.markup import escape
from rich.table import Column, Table

from harness.case import FLOATS
from harness.record import (
    Epoch,
    Fault,
    Grade,
    LearnedParameter,
    Status,
    Verdict,
    failing,
    grades,
    skip_lines,
    violation_block,
)

_STYLE = {
    Status.HOLDS: "green",
    Status.LOST: "yellow",
    Status.BROKEN: "bold red",
    Status.EXPECTED: "yellow",
    Status.UNEXPECTED: "bold red",
    Status.SKIPPED: "dim",
    Status.ERROR: "bold red",
}
_MOST_BLOCKS = 5


def print_verdicts(console: Console, verdicts: Sequence[Verdict], *, single: bool) -> None:
    """Print a table of one function's laws, or of a package's cases, then what fails.

    Parameters
    ----------
    console
        Where to.
    verdicts
        The verdicts.
    single
        Whether they are on one function, whose laws are then listed one by one.
    """
    for device in dict.fromkeys(verdict.device for verdict in verdicts) if single else ():
        _print_laws(console, [verdict for verdict in verdicts if verdict.device == device])
    if verdicts:
        if not single:
            console.print(_case_table(verdicts))
        for line in skip_lines(verdicts):
            console.print(strip_control_codes(line), markup=False, soft_wrap=True)
    groups = _by_example(failing(verdicts))
    for group in groups[:_MOST_BLOCKS]:
        console.print()
        _print_failure(console, group, verdicts)
    if len(groups) > _MOST_BLOCKS:
        left = sum(map(len, groups[_MOST_BLOCKS:]))
        console.print(f"\n{left} further failures on other examples; `--law` and `--dtypes` show them one by one.")
    if groups:
        console.print()


def _print_laws(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Print what the laws of one function say on one device, and its grades."""
    if verdicts[0].device != "cpu":
        console.print(f"on {verdicts[0].device}:")
    console.print(_law_table(verdicts))
    if graded := grades(verdicts):
        console.print("grade: " + ", ".join(f"{value} in {dtype}" for (_, dtype), value in graded.items()))


def _print_failure(console: Console, group: Sequence[Verdict], verdicts: Sequence[Verdict]) -> None:
    """Print the first failure of a group, and name what else breaks on the same example."""
    first, *others = group
    if first.violation is None:
        declared = "declared to fail but it holds: " if first.status is Status.UNEXPECTED else ""
        text = f"{first.case} {first.law} [{first.where}]: {declared}{first.reason}"
        console.print(strip_control_codes(text), markup=False, soft_wrap=True)
    else:
        console.print(strip_control_codes(violation_block(first)), markup=False, soft_wrap=True)
    if others:
        also = _named(others, verdicts)
        console.print(f"  likewise   {also}", markup=False, soft_wrap=True)


def _named(others: Sequence[Verdict], verdicts: Sequence[Verdict]) -> str:
    """Name the laws in which a group fails too; each with its dtypes where these are not all."""
    dtypes = list(dict.fromkeys(verdict.dtype for verdict in verdicts))
    ran = sum(verdict.status is not Status.SKIPPED for verdict in verdicts)
    if len(others) + 1 == ran:
        return f"every other law that was checked ({len(others)})"
    by_law: dict[str, list[str]] = {}
    for verdict in others:
        by_law.setdefault(verdict.law, []).append(verdict.dtype)
    return ", ".join(
        law if len(broken) == len(dtypes) > 1 else f"{law} [{', '.join(broken)}]" for law, broken in by_law.items()
    )


def _by_example(verdicts: Iterable[Verdict]) -> list[list[Verdict]]:
    """Group the failures of a case in a dtype by what they have in common; float32 first, which people know.

    That is the first input of the minimal example, or the kind of the error. Groups of one cause in other dtypes are
    joined to the first one with the same laws.
    """
    groups: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in sorted(verdicts, key=lambda verdict: verdict.dtype != "float32"):
        if verdict.violation is None:
            common = verdict.reason or "" if verdict.fault in {None, Fault.RAISED} else str(verdict.fault)
        else:
            common = str(next(iter(verdict.violation.example.values())))
        groups.setdefault((verdict.case, verdict.dtype, common), []).append(verdict)
    joined: dict[tuple[str, frozenset[str]], list[Verdict]] = {}
    for group in groups.values():
        joined.setdefault((group[0].case, frozenset(verdict.law for verdict in group)), []).extend(group)
    return list(joined.values())


def _law_table(verdicts: Sequence[Verdict]) -> Table:
    dtypes = [dtype for dtype in FLOATS if any(verdict.dtype == dtype for verdict in verdicts)]
    table = Table(Column("law", overflow="fold"), *dtypes, "worst / bound", "statement")
    for law in dict.fromkeys(verdict.law for verdict in verdicts):
        by_dtype = {verdict.dtype: verdict for verdict in verdicts if verdict.law == law}
        marks = [_mark(by_dtype[dtype]) if dtype in by_dtype else "–" for dtype in dtypes]
        first = next(iter(by_dtype.values()))
        table.add_row(law, *marks, _worst(by_dtype.values()), escape(first.statement))
    return table


def _mark(verdict: Verdict) -> str:
    return f"[{_STYLE[verdict.status]}]{verdict.status}[/]"


def _worst(verdicts: Iterable[Verdict]) -> str:
    """The largest deviation relative to its bound among the dtypes."""
    ratios = [
        (verdict.deviation / verdict.bound if verdict.bound else (float("inf") if verdict.deviation else 0.0), verdict)
        for verdict in verdicts
        if verdict.deviation is not None and verdict.bound is not None
    ]
    if not ratios:
        return "–"
    _, verdict = max(ratios, key=lambda pair: pair[0])
    return f"{verdict.deviation:.3g} / {verdict.bound:.3g} {verdict.unit}"


def _case_table(verdicts: Sequence[Verdict]) -> Table:
    graded = grades(verdicts)
    table = Table(Column("case", overflow="fold"), Column("contract", overflow="fold"), "grade")
    for heading in ("holds", "expected", "failing", "examples", "rows"):
        table.add_column(heading, justify="right")
    for case, contract in dict.fromkeys((verdict.case, verdict.contract) for verdict in verdicts):
        own = [verdict for verdict in verdicts if (verdict.case, verdict.contract) == (case, contract)]
        counts = Counter(verdict.status for verdict in own)
        failed = sum(verdict.status.fails for verdict in own)
        table.add_row(
            escape(case),
            contract,
            _worst_grade([value for (name, _), value in graded.items() if name == case]),
            str(counts[Status.HOLDS]),
            str(counts[Status.EXPECTED] or "–"),
            f"[bold red]{failed}[/]" if failed else "–",
            f"{sum(verdict.examples for verdict in own):,}",
            f"{sum(verdict.rows for verdict in own):,}",
        )
    return table


def _worst_grade(values: Sequence[Grade]) -> str:
    """The worst grade among the dtypes."""
    return str(max(values, key=lambda grade: grade.rank)) if values else "–"


def print_training(console: Console, rows: Sequence[object]) -> None:
    """Print the last epoch of every training and the learned parameters beside the true ones."""
    curves = Table(
        Column("case", overflow="fold"), "experiment", "data", title="After the last epoch", title_justify="left"
    )
    for heading in ("epochs", "train loss", "held-out loss", "train accuracy", "held-out accuracy"):
        curves.add_column(heading, justify="right")
    last = {(row.case, row.experiment): row for row in rows if isinstance(row, Epoch)}
    for epoch in last.values():
        numbers = (epoch.train_loss, epoch.held_out_loss, epoch.train_accuracy, epoch.held_out_accuracy)
        spelled = ["–" if number is None else f"{number:.4g}" for number in numbers]
        curves.add_row(escape(epoch.case), epoch.experiment, epoch.data, str(epoch.epoch), *spelled)
    console.print(curves)
    estimates = Table(Column("case", overflow="fold"), "parameter", title="Learned parameters", title_justify="left")
    for heading in ("true", "learned", "off by (standard errors)"):
        estimates.add_column(heading, justify="right")
    for row in rows:
        if isinstance(row, LearnedParameter):
            off = (row.learned - row.true) / row.standard_error
            estimates.add_row(
                escape(row.case), escape(row.parameter), f"{row.true:g}", f"{row.learned:.5f}", f"{off:+.1f}"
            )
    console.print(estimates)
