"""Verdicts as JUnit XML, with the file and the line of each finding."""

import io
from collections.abc import Sequence
from typing import IO, cast

from junitparser import Attr, Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.display.location import Location, find_location, locate_definition
from harness.display.verdict_document import Results
from harness.error import printable
from harness.findings import Finding, findings, index_by_verdict
from harness.findings.merging import group_by
from harness.record import Fix, Status, Verdict
from harness.wording.finding import finding_in_full, sentence
from harness.wording.fix import fix_lines
from harness.wording.verdict import property_sentences


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
        test = TestCase("finishes", classname="harness")
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


def join_junit(texts: Sequence[str]) -> str:
    """Return one JUnit document with the test suites of all targets."""
    document = JUnitXml("harness check")
    for text in texts:
        for suite in JUnitXml.fromstring(text.encode("utf-8")):
            document.add_testsuite(suite)
    return format_xml(document, pretty=False)
