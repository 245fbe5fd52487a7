"""The tables of an audit, the failing lines of a step and the headroom of other lines, and its text in a notebook."""

from collections.abc import Callable, Sequence
from html import escape

from harness.record.audit import Audit, AuditFinding, Headroom
from harness.wording.audit import audit_line, finding_lines, format_place, list_blind_spots, run_lines, select_narrowest
from harness.wording.card import PRE, card
from harness.wording.number import plain
from harness.wording.table import Column, Table, build_table


def _format_place(record: AuditFinding | Headroom) -> str:
    backward = ", backward" if record.backward else ""
    return f"{format_place(record.file, record.line, record.function, record.module)}{backward}"


def audit_table(audit: Audit, place_of: Callable[[AuditFinding | Headroom], str] = _format_place) -> Table:
    """Return the lines that go wrong, the worst first."""
    columns: list[Column[AuditFinding]] = [
        Column("line", place_of, "code"),
        Column("source", lambda finding: finding.code.strip() or None, "code", "page"),
        Column("kind", lambda finding: finding.kind.value),
        Column("problem", lambda finding: finding.sentence, "prose"),
        Column("remedy", lambda finding: finding.remedy, "prose"),
        Column("reaches", lambda finding: _list_first(finding.reaches), "text", "page"),
        Column("dtype", lambda finding: finding.dtype, "code", "page"),
        Column("evidence", lambda finding: finding.oracle or "the step itself", "text", "page"),
        Column("times", lambda finding: f"{finding.times:,}", "number", "page"),
    ]
    caption = (
        f"The audit checked {audit.operations:,} operations and {audit.ends:,} results (losses, gradients, "
        "updates, buffers and outputs). Ball arithmetic or a float64 shadow shows lost digits; the step itself shows "
        "values that are not finite and updates without effect."
    )
    return build_table("audit-findings", f"Findings in {audit.title}", audit.findings, columns, caption=caption)


def _list_first(names: Sequence[str]) -> str:
    """Return the first three names, and the number of the others."""
    listed = [*names] if len(names) <= 3 else [*names[:3], f"{len(names) - 3} more"]
    return " and ".join([", ".join(listed[:-1]), listed[-1]]) if len(listed) > 1 else "".join(listed) or "–"


def headroom_table(
    audit: Audit, lines: Sequence[Headroom], place_of: Callable[[AuditFinding | Headroom], str] = _format_place
) -> Table:
    """Return the headroom of operations on this batch, the smallest first."""
    columns: list[Column[Headroom]] = [
        Column("line", place_of, "code"),
        Column("source", lambda line: line.code.strip() or None, "code", "page"),
        Column("operation", lambda line: line.operation, "code"),
        Column("quantity", lambda line: line.quantity),
        Column("value on this batch", lambda line: plain(line.value, digits=4), "number"),
        Column("breaks at", lambda line: f"{line.breaks_from}", "number"),
        Column("factor", lambda line: plain(line.factor), "number"),
        Column("dtype", lambda line: line.dtype, "code"),
    ]
    return build_table("audit-headroom", f"Headroom in {audit.title}", lines, columns)


def audit_html(audit: Audit) -> str:
    """Return an audit as HTML for a notebook."""
    findings = "".join(f"{PRE}{escape(chr(10).join(finding_lines(finding)))}</pre>" for finding in audit.findings)
    lines = headroom_table(audit, select_narrowest(audit, len(audit.headroom)))
    table = f"<details><summary>headroom</summary>{lines.html()}</details>" if lines.rows else ""
    blind = list_blind_spots(audit)
    unseen = "" if blind is None else f"<p>{escape(blind)}</p>"
    run = "" if audit.run is None else "".join(f"<p>{escape(line)}</p>" for line in run_lines(audit.run))
    return card(audit_line(audit), f"{run}{findings}{unseen}{table}", good=not audit.fails)
