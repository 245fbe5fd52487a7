"""Tables of an audit: the failing lines of a step, and the headroom of other lines."""

from collections.abc import Sequence
from pathlib import PurePath

from harness.record import Audit, AuditFinding, Headroom, Stretch

from ..number import plain
from ..table import Header, Table, codes, headers, numbers, prose, texts
from ..text import listing


def place(record: AuditFinding | Headroom | Stretch) -> str:
    """Return file name, line and function, without the folder, which differs between users."""
    backward = ", backward" if record.backward else ""
    module = f" [{record.module}]" if record.module else ""
    return f"{PurePath(record.file).name}:{record.line} {record.function}{module}{backward}"


def _source(records: Sequence[AuditFinding | Headroom]) -> tuple[Header, ...]:
    """Return the column of the source lines, which older runs do not have."""
    return (Header("source", "code"),) if any(record.code for record in records) else ()


def findings(audit: Audit) -> Table:
    """Return the lines that go wrong, the worst first."""
    source = _source(audit.findings)
    return Table(
        name="audit-findings",
        title=f"Findings in {audit.title}",
        columns=headers(
            codes("line"),
            source,
            texts("kind"),
            prose("problem", "remedy"),
            texts("reaches"),
            codes("dtype"),
            texts("evidence"),
            numbers("times"),
        ),
        rows=tuple(
            (
                *(place(found), *((found.code.strip(),) if source else ())),
                *(found.kind.value, found.sentence, found.remedy),
                *(listing([*found.reaches], at_most=3) or "–", found.dtype, found.oracle or "the step itself"),
                f"{found.times:,}",
            )
            for found in audit.findings
        ),
        caption=f"The audit checked {audit.operations:,} operations and {audit.ends:,} results (losses, gradients, "
        "updates, buffers and outputs). Ball arithmetic or a float64 shadow shows lost digits; the step itself shows "
        "values that are not finite and updates without effect.",
    )


def blind(audit: Audit) -> Table:
    """Return the operations that could not be followed, and are assumed to be exact."""
    rows = []
    for text, times in sorted(audit.blind.items()):
        what, _, at = text.rpartition(" at ")
        rows.append((PurePath(at).name, what.strip(", "), f"{times:,}"))
    title = f"Operations in {audit.title} that were not tracked (assumed exact)"
    return Table("audit-blind", title, headers(codes("line"), prose("operation"), numbers("times")), tuple(rows))


def headroom(audit: Audit) -> Table:
    """Return the headroom of operations on this batch, the smallest first."""
    source = _source(audit.headroom)
    return Table(
        name="audit-headroom",
        title=f"Headroom in {audit.title}",
        columns=headers(
            codes("line"),
            source,
            codes("operation"),
            texts("quantity"),
            numbers("value on this batch", "breaks at", "factor"),
            codes("dtype"),
        ),
        rows=tuple(
            (
                *(
                    place(line),
                    *((line.code.strip(),) if source else ()),
                    line.operation,
                    line.quantity,
                ),
                *(plain(line.value, digits=4), line.breaks_from, plain(line.factor)),
                line.dtype,
            )
            for line in audit.headroom
        ),
    )
