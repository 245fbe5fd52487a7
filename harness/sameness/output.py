"""Judgments as text for readers and for other programs."""

import re
from collections.abc import Sequence

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from harness.display.annotation import Annotation
from harness.display.junit import format_xml
from harness.display.location import Location, find_file, locate_definition, locate_operation
from harness.display.output_format import format_annotations
from harness.display.sarif import Log, make_rule
from harness.error import printable
from harness.record import SCHEMA, Judgment, Record, Sameness
from harness.wording.number import list_counts
from harness.wording.table import Header, render_markdown_table

SCOPE = "same"
"""Scope of the rules."""

RULES = {
    Sameness.DIFFERENT: "Two computations differ by more than rounding explains.",
    Sameness.NOTHING_TRAINED: "Neither of two training steps changes a weight.",
}
"""Answers that fail, and their descriptions."""


def summarize(judgments: Sequence[Judgment], early: str) -> str:
    """Return how many pairs have which answer."""
    answers = list_counts(judgment.answer for judgment in judgments)
    return "; ".join([f"same: {', '.join(answers) or 'nothing was compared'}", *filter(None, [early])])


def format_judgments(kind: str, judgments: Sequence[Judgment], early: str) -> list[str]:
    """Return the answers that fail as `concise`, `github` or `sarif`; the first two end with the summary."""
    ids = {_get_id(answer): text for answer, text in RULES.items()}
    rules = {name: make_rule(name, text, "harness same --help") for name, text in ids.items()}
    failing = [judgment for judgment in judgments if judgment.fails]
    log = Log(rules, [summarize(judgments, early)], early, fails=bool(failing))
    return format_annotations(kind, [*map(_annotate, failing)], log)


def _get_id(answer: Sameness) -> str:
    return f"{SCOPE}/{answer.replace(' ', '-')}"


def _annotate(judgment: Judgment) -> Annotation:
    rule = _get_id(judgment.answer).removeprefix(f"{SCOPE}/")
    text, location = f"{judgment.title}: {judgment.sentence}", _locate(judgment)
    return Annotation("error", rule, judgment.answer.upper(), judgment.first, text, location=location, scope=SCOPE)


def _locate(judgment: Judgment) -> Location | None:
    """Return the line of the first operation in a file of a target, else the definition of the first target."""
    for place in judgment.places:
        match = re.fullmatch(r"(.+) \((.+):(\d+)\)", place)
        files = [find_file(target, "") for target in (judgment.first, judgment.second) if target]
        for file in files:
            if match and file is not None and file.name == match[2]:
                return locate_operation(file, int(match[3]), match[1])
    return locate_definition(judgment.first, "")


class _Document(Record):
    schema_version: int = SCHEMA
    verdict: str
    judgments: tuple[Judgment, ...]


def write_document(kind: str, judgments: Sequence[Judgment], early: str) -> str:
    """Return the judgments as JSON, JUnit XML or Markdown."""
    summary = summarize(judgments, early)
    if kind == "json":
        return _Document(verdict=summary, judgments=tuple(judgments)).model_dump_json(indent=2) + "\n"
    if kind == "junit":
        suite = TestSuite("same")
        suite.add_testcases([*map(_make_test, judgments)])
        document = JUnitXml(summary)
        document.add_testsuite(suite)
        return format_xml(document)
    rows = [(judgment.answer, judgment.title, judgment.sentence) for judgment in judgments]
    table = render_markdown_table([Header(heading) for heading in ("answer", "compared", "because")], rows)
    return f"{table}\n\n{summary}\n"


def _make_test(judgment: Judgment) -> TestCase:
    test = TestCase(printable(judgment.title), classname=printable(judgment.first))
    if judgment.fails:
        test.result = [Failure(printable(judgment.sentence), judgment.answer.value)]
    else:
        test.system_out = printable(str(judgment))
    return test
