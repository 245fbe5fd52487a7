"""Findings of the gate as text for other programs: JSON, JUnit XML and Markdown."""

from collections.abc import Callable, Mapping, Sequence

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.display.junit import format_xml
from harness.error import printable
from harness.gate.finding import findings_to_print, gate_line
from harness.record import SCHEMA, Gate, GateFinding, Outcome, Record
from harness.wording.markdown import render_markdown
from harness.wording.table.gate import gate_table


class _Document(Record):
    schema_version: int = SCHEMA
    verdict: str
    exit_code: int
    findings: tuple[GateFinding, ...]


def to_json(findings: Sequence[GateFinding], code: int) -> str:
    """Return a JSON document: the verdict in words, the exit code, and every finding."""
    document = _Document(verdict=gate_line(findings, code), exit_code=code, findings=tuple(findings))
    return document.model_dump_json(indent=2) + "\n"


def to_junit(findings: Sequence[GateFinding], code: int) -> str:
    """Return JUnit XML: a suite for each gate, a test for each finding."""
    document = JUnitXml(gate_line(findings, code))
    for gate in Gate:
        selected = [finding for finding in findings if finding.gate is gate]
        if selected:
            suite = TestSuite(f"gate: {gate}")
            suite.add_testcases([_test_case(finding) for finding in selected])
            document.add_testsuite(suite)
    return format_xml(document)


def _test_case(finding: GateFinding) -> TestCase:
    test = TestCase(finding.subject or str(finding.gate), classname=finding.case or str(finding.gate))
    message = printable(finding.sentence)
    match finding.outcome:
        case Outcome.REGRESSED:
            test.result = [Failure(message, finding.outcome.value)]
        case Outcome.NO_VERDICT:
            test.result = [Error(message, finding.outcome.value)]
        case Outcome.INCONCLUSIVE | Outcome.NEW | Outcome.RELEASE:
            test.result = [Skipped(message, finding.outcome.value)]
        case _:
            test.system_out = message
    return test


def to_markdown(findings: Sequence[GateFinding], code: int) -> str:
    """Return the verdict, a table of findings, and a folded list of unchanged times."""
    parts = [f"**{render_markdown(gate_line(findings, code))}**"]
    if deciding := findings_to_print(findings):
        parts.append(gate_table(deciding).markdown())
    unchanged = [finding for finding in findings if finding.gate is Gate.TIME and finding.outcome is Outcome.UNCHANGED]
    if unchanged:
        listed = "\n".join(f"- {render_markdown(finding.sentence)}" for finding in unchanged)
        parts.append(f"<details><summary>time, unchanged</summary>\n\n{listed}\n\n</details>")
    return "\n\n".join(parts) + "\n"


WRITERS: Mapping[str, Callable[[Sequence[GateFinding], int], str]] = {
    "json": to_json,
    "junit": to_junit,
    "markdown": to_markdown,
}
"""The formats by name."""
