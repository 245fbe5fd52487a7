"""Verdicts as text for other programs: JSON, JUnit XML and Markdown."""

import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import IO, NamedTuple, cast

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.display.location import Location, find_location, locate_definition
from harness.error import printable
from harness.findings import Finding, findings, index_by_verdict
from harness.findings.merging import group_by
from harness.record import SCHEMA, Event, Fix, Property, Record, Status, Verdict
from harness.wording.finding import finding_in_full, sentence
from harness.wording.fix import fix_lines, fix_title
from harness.wording.markdown import fence_code, render_markdown
from harness.wording.table.verdict import law_table
from harness.wording.verdict import census_line, property_sentences, verdict_line


class _Found(Record):
    case: str
    status: Status
    sentence: str
    event: Event | None
    laws: tuple[str, ...]
    dtypes: tuple[str, ...]
    replay: str | None


class _Document(Record):
    schema_version: int = SCHEMA
    verdict: str
    properties: tuple[str, ...]
    findings: tuple[_Found, ...]
    fixes: tuple[Fix, ...]
    verdicts: tuple[Verdict, ...]


class Results(NamedTuple):
    """The results of a check: verdicts, properties, why it ended early if it did, its target, and verified fixes."""

    verdicts: Sequence[Verdict]
    properties: Sequence[Property] = ()
    early: str = ""
    target: str = ""
    fixes: Sequence[Fix] = ()


def make_json(results: Results) -> str:
    """Return a JSON document: the verdict in words, the properties, the findings, the fixes, and every record.

    NaN and infinities are strings, because JSON has no numbers for them.
    """
    document = _Document(
        verdict=verdict_line(results.verdicts, results.early),
        properties=tuple(property_sentences(results.properties)),
        findings=tuple(map(_describe_finding, findings(results.verdicts))),
        fixes=tuple(results.fixes),
        verdicts=tuple(results.verdicts),
    )
    return document.model_dump_json(indent=2) + "\n"


def _describe_finding(finding: Finding) -> _Found:
    return _Found(
        case=finding.case,
        status=finding.status,
        sentence=sentence(finding),
        event=finding.event,
        laws=tuple(finding.laws),
        dtypes=tuple(finding.dtypes),
        replay=finding.violation.replay if finding.violation else None,
    )


class _Test(TestCase):
    """A test with a place."""

    file = Attr()
    line = Attr()


def make_junit(results: Results) -> str:
    """Return JUnit XML: a suite for each case, a test for each law and dtype, with the finding as its message.

    Properties of a case are properties of its suite. A check that ended early has an additional test with an error.
    A test has the file and the line of its finding, else of the function, if the target is given and has a source.
    A fix is in the text of the failure that it repairs.
    """
    verdicts, properties, early, target, fixes = results
    document = JUnitXml("harness check")
    merged = findings(verdicts)
    by_key = index_by_verdict(merged)
    places = {id(finding): find_location(finding, target) for finding in merged} if target else {}
    for case, of_case in group_by(verdicts, lambda verdict: verdict.case).items():
        suite = TestSuite(case)
        default = locate_definition(target, case) if target else None
        for verdict in of_case:
            finding = by_key.get(verdict.key)
            place = places.get(id(finding)) or default
            suite.add_testcase(_add_place(_test_case(verdict, finding, of_case, fixes), place))
        for text in property_sentences(record for record in properties if record.case == case):
            suite.add_property("harness", printable(text))
        document.add_testsuite(suite)
    if early:
        whole = TestSuite("the run")
        test = TestCase("came to its end", classname="harness")
        test.result = [Error(printable(f"{early}, the rest was not checked"), "interrupted")]
        whole.add_testcase(test)
        document.add_testsuite(whole)
    return format_xml(document)


def format_xml(document: JUnitXml, *, pretty: bool = True) -> str:
    """Return a JUnit document as text."""
    written = io.BytesIO()
    document.write(cast("IO[str]", written), pretty=pretty)
    return written.getvalue().decode("utf-8")


def _test_case(verdict: Verdict, finding: Finding | None, checked: Sequence[Verdict], fixes: Sequence[Fix]) -> _Test:
    test = _Test(f"{verdict.law} [{verdict.where}]", classname=verdict.case, time=verdict.duration_s)
    if finding is not None:
        test.result = [_make_result(verdict, finding, checked, fixes)]
    elif verdict.status in {Status.SKIPPED, Status.EXPECTED}:
        test.result = [Skipped(printable(verdict.reason or verdict.statement), verdict.status.value)]
    return test


def _add_place(test: _Test, at: Location | None) -> _Test:
    """Add the file and the line as attributes, as pytest's `xunit1` has them."""
    if at is not None:
        test.file = at.relative_to()
    if at is not None and at.line is not None:
        test.line = str(at.line)
    return test


def _make_result(
    verdict: Verdict, finding: Finding, checked: Sequence[Verdict], fixes: Sequence[Fix]
) -> Error | Failure | Skipped:
    """Return the result of a test; the finding appears in full in the test of its first verdict."""
    if verdict.status is Status.LOST:
        return Skipped(printable(f"loses digits: {verdict.reason}"), verdict.status.value)
    message = printable(sentence(finding))
    if verdict.status is Status.ERROR:
        return Error(message, verdict.fault.value if verdict.fault else "error")
    failure = Failure(message, verdict.status.value)
    first = finding.first
    repairs = [line for fix in fixes if fix.repairs == sentence(finding) for line in fix_lines(fix)]
    whole = "\n".join([finding_in_full(finding, checked), *repairs])
    failure.text = printable(whole if verdict is first else f"same cause as {first.law} [{first.where}]: {message}")
    return failure


def make_markdown(results: Results) -> str:
    """Return the verdict, the properties, the findings, the fixes, and a table of laws for each case."""
    verdicts = results.verdicts
    parts = [f"**{render_markdown(verdict_line(verdicts, results.early))}**", render_markdown(census_line(verdicts))]
    parts += [f"- {render_markdown(text)}" for text in property_sentences(results.properties)]
    parts += [fence_code(finding_in_full(finding, verdicts)) for finding in findings(verdicts)]
    parts += format_fixes(results.fixes)
    for case, of_case in group_by(verdicts, lambda verdict: verdict.case).items():
        parts += [f"### {render_markdown(case)}", law_table(of_case).markdown()]
    return "\n\n".join(parts) + "\n"


def format_fixes(fixes: Sequence[Fix]) -> list[str]:
    """Return the titles, the diff and the verification of each fix."""
    blocks = [
        (render_markdown(fix_title(fix)), fence_code("\n".join(fix.diff), "diff"), render_markdown(fix.sentence))
        for fix in fixes
    ]
    return [part for parts in blocks for part in parts]


WRITERS: Mapping[str, Callable[[Results], str]] = {"json": make_json, "junit": make_junit, "markdown": make_markdown}
"""The formats by name."""


def join_json(texts: Sequence[str]) -> str:
    """Return one JSON document with the records of all targets and their common verdict."""
    first, *rest = map(json.loads, texts)
    for document in rest:
        first |= {name: [*first[name], *more] for name, more in document.items() if isinstance(more, list)}
    first["verdict"] = verdict_line([Verdict.model_validate(record) for record in first["verdicts"]])
    return json.dumps(first, indent=2, ensure_ascii=False) + "\n"


def join_junit(texts: Sequence[str]) -> str:
    """Return one JUnit document with the test suites of all targets."""
    document = JUnitXml("harness check")
    for text in texts:
        for suite in JUnitXml.fromstring(text.encode("utf-8")):
            document.add_testsuite(suite)
    return format_xml(document, pretty=False)


JOIN: Mapping[str, Callable[[Sequence[str]], str]] = {"json": join_json, "junit": join_junit, "markdown": "\n".join}
"""The joins by format."""
