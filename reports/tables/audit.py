"""Tables of an audit: the failing lines of a step, and the headroom of other lines."""

from pathlib import PurePath

from harness.record import Audit, AuditFinding, Headroom, Stretch
from harness.wording.table.audit import audit_table, headroom_table

from ..table import Table, codes, headers, numbers, page_table, prose


def place(record: AuditFinding | Headroom | Stretch) -> str:
    """Return file name, line and function, without the folder, which differs between users."""
    backward = ", backward" if record.backward else ""
    module = f" [{record.module}]" if record.module else ""
    return f"{PurePath(record.file).name}:{record.line} {record.function}{module}{backward}"


def findings(audit: Audit) -> Table:
    """Return the lines that go wrong, the worst first."""
    return page_table(audit_table(audit, place))


def blind(audit: Audit) -> Table:
    """Return the operations that could not be followed, and are assumed to be exact."""
    rows = []
    for text, times in sorted(audit.blind.items()):
        operation, _, location = text.rpartition(" at ")
        rows.append((PurePath(location).name, operation.strip(", "), f"{times:,}"))
    title = f"Operations in {audit.title} that were not tracked (assumed exact)"
    return Table("audit-blind", title, headers(codes("line"), prose("operation"), numbers("times")), tuple(rows))


def headroom(audit: Audit) -> Table:
    """Return the headroom of operations on this batch, the smallest first."""
    return page_table(headroom_table(audit, audit.headroom, place))
