"""Terminal output for checks and training: tables of verdicts, findings, and tables of results."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from harness.case import FLOATS
from harness.display.narrow import TABLE_WIDTH, print_table
from harness.error import printable
from harness.findings import WRONG, Finding, Grade, findings, grades
from harness.findings.merging import grouped
from harness.record import ANY, Epoch, LearnedParameter, Property, Status, Verdict
from harness.wording import finding_block, finding_in_short, property_sentences, skip_lines, title_of, violation_block
from harness.wording.number import count
from harness.wording.verdict import filled

_STYLE = {
    Status.HOLDS: "green",
    Status.LOST: "yellow",
    Status.BROKEN: "bold red",
    Status.EXPECTED: "yellow",
    Status.UNCLAIMED: "dim",
    Status.UNEXPECTED: "bold red",
    Status.SKIPPED: "dim",
    Status.ERROR: "bold red",
}
_IN_FULL = 1
"""Number of findings shown in full; the others are shortened by default."""

_IN_SHORT = 5
"""Number of shortened findings."""

_WIDTH = 80
"""Maximum width of findings, in columns."""


def print_verdicts(
    console: Console, verdicts: Sequence[Verdict], *, single: bool, verbose: bool = False, early: str = ""
) -> None:
    """Print the findings and, for a single function, its grades; with ``verbose`` also tables and full findings.

    ``early`` tells how the check ended early; it is empty for a complete check. An incomplete check has no grades.
    """
    graded = {} if early else grades(verdicts)
    if verbose:
        _print_tables(console, verdicts, graded, single=single)
    # For a package, lost digits are only counted unless the user asks for details.
    wrong = list(WRONG) if single or verbose else [status for status in Status if status.fails]
    every = findings(verdicts, wrong)
    found = [finding for finding in every if verbose or not finding.is_of_rare_numbers]
    full = len(found) if verbose else _IN_FULL
    width = min(console.width, _WIDTH)
    for number, finding in enumerate(found[: full + _IN_SHORT]):
        name = _name(finding, single=single)
        if number < full:
            _print(console, finding_block(finding, verdicts, width=width, name=name, options_only=single))
        else:
            _print(console, finding_in_short(finding, verdicts, width=width, name=name))
        if verbose and finding.violation is not None:
            _print(console, f"\n{violation_block(finding.first)}\n")
    if len(found) > full + _IN_SHORT:
        console.print(f"and {count(len(found) - full - _IN_SHORT, 'more finding')}; use -v to show all")
    if rare := len(every) - len(found):
        verb = "is" if rare == 1 else "are"
        console.print(f"{count(rare, 'more finding')} {verb} about subnormal, extreme or infinite numbers; use -v")
    if single and graded:
        _print(console, _grade_line(graded))
    elif single and early:
        _print(console, f"grade: none, {early}")
    for line in skip_lines(verdicts):
        _print(console, line)


def print_properties(console: Console, properties: Iterable[Property]) -> None:
    """Print the properties of each case as wrapped sentences."""
    for sentence in property_sentences(properties):
        _print(console, "\n".join(filled(f"property: {sentence}", min(console.width, _WIDTH), subsequent_indent="  ")))


def _print(console: Console, text: str) -> None:
    console.print(printable(text), markup=False, soft_wrap=True)


def _name(finding: Finding, *, single: bool) -> str:
    """Return the start of a finding: its kind, and the case if there are several."""
    return title_of(finding) if single else f"{title_of(finding)}  {finding.case}"


def _grade_line(graded: Mapping[tuple[str, str], Grade]) -> str:
    """Return the grades of one function, each with its dtypes."""
    by_grade = grouped(graded, lambda key: graded[key])
    parts = [f"{value} in {', '.join(dtype for _, dtype in keys)}" for value, keys in by_grade.items()]
    return f"grade: {'; '.join(parts)}"


def _print_tables(
    console: Console, verdicts: Sequence[Verdict], graded: Mapping[tuple[str, str], Grade], *, single: bool
) -> None:
    """Print a table of one function's laws for each device, or a table of a package's cases."""
    if not single:
        console.print(_case_table(verdicts, graded, wide=console.width >= TABLE_WIDTH))
    for device in dict.fromkeys(verdict.device for verdict in verdicts) if single else ():
        if device != "cpu":
            console.print(f"on {device}:")
        selected = [verdict for verdict in verdicts if verdict.device == device]
        console.print(_law_table(selected, wide=console.width >= TABLE_WIDTH))


def _law_table(verdicts: Sequence[Verdict], *, wide: bool) -> Table:
    dtypes = [dtype for dtype in (*FLOATS, ANY) if any(verdict.dtype == dtype for verdict in verdicts)]
    headings = ["verdict" if dtype == ANY else dtype for dtype in dtypes]
    table = Table(Column("law", overflow="fold"), *headings, "worst / bound", "examples", "rows", "statement")
    for law in dict.fromkeys(verdict.law for verdict in verdicts):
        by_dtype = {verdict.dtype: verdict for verdict in verdicts if verdict.law == law}
        marks = [_mark(by_dtype[dtype]) if dtype in by_dtype else "–" for dtype in dtypes]
        first = next(iter(by_dtype.values()))
        drawn = [f"{sum(getattr(verdict, name) for verdict in by_dtype.values()):,}" for name in ("examples", "rows")]
        cells = (*drawn, escape(first.statement)) if wide else ()
        table.add_row(law, *marks, _worst(by_dtype.values()), *cells)
    return table


def _mark(verdict: Verdict) -> str:
    return f"[{_STYLE[verdict.status]}]{verdict.status}[/]"


def _worst(verdicts: Iterable[Verdict]) -> str:
    """Return the largest deviation relative to its bound among the dtypes."""
    ratios = [
        (verdict.deviation / verdict.bound if verdict.bound else (float("inf") if verdict.deviation else 0.0), verdict)
        for verdict in verdicts
        if verdict.deviation is not None and verdict.bound is not None
    ]
    if not ratios:
        return "–"
    _, verdict = max(ratios, key=lambda pair: pair[0])
    return f"{verdict.deviation:.3g} / {verdict.bound:.3g} {verdict.unit}"


def _case_table(verdicts: Sequence[Verdict], graded: Mapping[tuple[str, str], Grade], *, wide: bool) -> Table:
    names = (Column("case", overflow="fold"), *([Column("contract", overflow="fold")] if wide else []))
    table = Table(*names, "grade")
    for heading in ("holds", "expected", "lost", "failing", *(("examples", "rows") if wide else ())):
        table.add_column(heading, justify="right")
    for case, contract in dict.fromkeys((verdict.case, verdict.contract) for verdict in verdicts):
        selected = [verdict for verdict in verdicts if (verdict.case, verdict.contract) == (case, contract)]
        counts = Counter(verdict.status for verdict in selected)
        failed = sum(verdict.status.fails for verdict in selected)
        drawn = [f"{sum(getattr(verdict, name) for verdict in selected):,}" for name in ("examples", "rows")]
        table.add_row(
            escape(case),
            *([contract] if wide else []),
            _worst_grade([value for (name, _), value in graded.items() if name == case]),
            str(counts[Status.HOLDS]),
            str(counts[Status.EXPECTED] or "–"),
            str(counts[Status.LOST] or "–"),
            f"[bold red]{failed}[/]" if failed else "–",
            *(drawn if wide else []),
        )
    return table


def _worst_grade(values: Sequence[Grade]) -> str:
    """Return the worst grade among the dtypes."""
    return str(max(values, key=lambda grade: grade.rank)) if values else "–"


def print_training(console: Console, rows: Sequence[object]) -> None:
    """Print the last epoch of every training, and the learned parameters next to the true ones."""
    # The name of an experiment contains its data, which may be synthetic; it must not be wrapped.
    named = (Column("case", overflow="fold"), Column("experiment", no_wrap=True), "data")
    curves = Table(*named, title="After the last epoch", title_justify="left")
    for heading in ("epochs", "train loss", "held-out loss", "train accuracy", "held-out accuracy"):
        curves.add_column(heading, justify="right")
    last = {(row.case, row.experiment): row for row in rows if isinstance(row, Epoch)}
    for epoch in last.values():
        numbers = (epoch.train_loss, epoch.held_out_loss, epoch.train_accuracy, epoch.held_out_accuracy)
        # Missing numbers stay empty, and so do the data if the experiment's name contains them.
        texts = ["" if number is None else f"{number:.4g}" for number in numbers]
        data = "" if epoch.data in epoch.experiment else epoch.data
        curves.add_row(escape(epoch.case), escape(epoch.experiment), escape(data), str(epoch.epoch), *texts)
    estimates = Table(Column("case", overflow="fold"), "parameter", title="Learned parameters", title_justify="left")
    for heading in ("true", "learned", "off by (standard errors)"):
        estimates.add_column(heading, justify="right")
    for row in rows:
        if isinstance(row, LearnedParameter):
            off = (row.learned - row.true) / row.standard_error
            estimates.add_row(
                escape(row.case), escape(row.parameter), f"{row.true:g}", f"{row.learned:.5f}", f"{off:+.1f}"
            )
    for table in (curves, estimates):
        if table.row_count:
            print_table(console, table)
