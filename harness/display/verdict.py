"""Terminal output for checks and training: tables of verdicts, findings, and tables of results."""

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console

from harness.display.table import TABLE_WIDTH, make_rich_table, show_table
from harness.error import printable
from harness.findings import WRONG, Grade, findings, grades
from harness.findings.merging import group_by
from harness.record import Epoch, LearnedParameter, Property, Status, Verdict
from harness.wording.finding import finding_block, finding_in_short, title_of
from harness.wording.number import count
from harness.wording.table.training import estimate_table, training_table
from harness.wording.table.verdict import case_table, law_table
from harness.wording.verdict import filled, property_sentences, skip_lines, violation_block

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
    merged = findings(verdicts, wrong)
    visible = [finding for finding in merged if verbose or not finding.is_of_rare_numbers]
    full = len(visible) if verbose else _IN_FULL
    width = min(console.width, _WIDTH)
    for number, finding in enumerate(visible[: full + _IN_SHORT]):
        name = title_of(finding) + ("" if single else f"  {finding.case}")
        if number < full:
            _print(console, finding_block(finding, verdicts, width=width, name=name, options_only=single))
        else:
            _print(console, finding_in_short(finding, verdicts, width=width, name=name))
        if verbose and finding.violation is not None:
            _print(console, f"\n{violation_block(finding.first)}\n")
    if len(visible) > full + _IN_SHORT:
        console.print(f"and {count(len(visible) - full - _IN_SHORT, 'more finding')}; use -v to show all")
    if rare := len(merged) - len(visible):
        verb = "is" if rare == 1 else "are"
        console.print(f"{count(rare, 'more finding')} {verb} about subnormal, extreme or infinite numbers; use -v")
    if single and graded:
        _print(console, _format_grades(graded))
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


def _format_grades(graded: Mapping[tuple[str, str], Grade]) -> str:
    """Return the grades of one function, each with its dtypes."""
    by_grade = group_by(graded, lambda key: graded[key])
    parts = [f"{value} in {', '.join(dtype for _, dtype in keys)}" for value, keys in by_grade.items()]
    return f"grade: {'; '.join(parts)}"


def _print_tables(
    console: Console, verdicts: Sequence[Verdict], graded: Mapping[tuple[str, str], Grade], *, single: bool
) -> None:
    """Print a table of one function's laws for each device, or a table of a package's cases."""
    if not single:
        console.print(make_rich_table(case_table(verdicts, graded, wide=console.width >= TABLE_WIDTH)))
    for device in dict.fromkeys(verdict.device for verdict in verdicts) if single else ():
        if device != "cpu":
            console.print(f"on {device}:")
        selected = [verdict for verdict in verdicts if verdict.device == device]
        console.print(make_rich_table(law_table(selected, numbers=True, statements=console.width >= TABLE_WIDTH)))


def print_training(console: Console, rows: Sequence[object]) -> None:
    """Print the last epoch of every training, and the learned parameters next to the true ones."""
    epochs = [row for row in rows if isinstance(row, Epoch)]
    estimates = [row for row in rows if isinstance(row, LearnedParameter)]
    for table in (training_table(epochs), estimate_table(estimates)):
        if table.rows:
            show_table(console, table, with_title=True)
