"""Audits as JSON, JUnit XML and Markdown."""

from collections.abc import Sequence

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from harness.display.junit import format_xml
from harness.display.verdict_document import format_fixes
from harness.error import printable
from harness.record import SCHEMA, Audit, AuditFinding, Fix, Record
from harness.wording.audit import audit_line, finding_lines, format_place, run_lines, select_narrowest
from harness.wording.fix import fix_lines
from harness.wording.markdown import render_markdown
from harness.wording.table.audit import audit_table, headroom_table


class _Document(Record):
    schema_version: int = SCHEMA
    verdict: tuple[str, ...]
    fixes: tuple[Fix, ...]
    audits: tuple[Audit, ...]


def audits_to_json(audits: Sequence[Audit], fixes: Sequence[Fix] = ()) -> str:
    """Return a JSON document: the verdict on each step in words, the fixes, and every record."""
    document = _Document(verdict=tuple(map(audit_line, audits)), fixes=tuple(fixes), audits=tuple(audits))
    return document.model_dump_json(indent=2) + "\n"


def audits_to_junit(audits: Sequence[Audit], fixes: Sequence[Fix] = ()) -> str:
    """Return JUnit XML: a suite for each step, and a test for each finding, or a passing one."""
    document = JUnitXml("harness audit")
    for audit in (audit for audit in audits if audit.what_if is None):  # formats that were only simulated are not tests
        suite = TestSuite(audit.case)
        tests = [_test_case(audit, finding, fixes) for finding in audit.findings]
        if audit.run is not None and audit.run.is_open:
            tests.append(_make_failure(audit, "the steps that were not looked at", "not finite", run_lines(audit.run)))
        suite.add_testcases(tests or [TestCase("goes nowhere wrong", classname=audit.case, time=audit.duration_s)])
        document.add_testsuite(suite)
    return format_xml(document)


def _test_case(audit: Audit, finding: AuditFinding, fixes: Sequence[Fix]) -> TestCase:
    name = f"{format_place(finding.file, finding.line)} {finding.kind}"
    repairs = [line for fix in fixes if fix.repairs == finding.sentence for line in fix_lines(fix)]
    return _make_failure(audit, name, finding.kind.value, [finding.sentence, *finding_lines(finding), *repairs])


def _make_failure(audit: Audit, name: str, kind: str, lines: Sequence[str]) -> TestCase:
    """Return a failing test; its message is the first line, its text the rest."""
    test = TestCase(name, classname=audit.case)
    failure = Failure(printable(lines[0]), kind)
    failure.text = printable("\n".join(lines[1:]))
    test.result = [failure]
    return test


def audits_to_markdown(audits: Sequence[Audit], fixes: Sequence[Fix] = ()) -> str:
    """Return the verdict on each step, a table of findings, a table of the narrowest headroom, and the fixes."""
    parts: list[str] = []
    for audit in audits:
        parts.append(f"**{render_markdown(audit_line(audit))}**")
        parts += [render_markdown(line) for line in (() if audit.run is None else run_lines(audit.run))]
        tables = (audit_table(audit), headroom_table(audit, select_narrowest(audit)))
        parts += [table.markdown() for table in tables if table.rows]
    return "\n\n".join([*parts, *format_fixes(fixes)]) + "\n"


AUDIT_WRITERS = {"json": audits_to_json, "junit": audits_to_junit, "markdown": audits_to_markdown}
"""The formats by name."""
