"""The verdicts of a suite as annotations, SARIF, JSON and Markdown, and the baseline of known findings."""

import json
import linecache
from collections.abc import Collection, Sequence
from pathlib import Path

from junitparser import Failure, JUnitXml, TestCase, TestSuite

from harness.display.annotation import Annotation, Level
from harness.display.junit import format_xml
from harness.display.location import Location
from harness.display.output_format import format_annotations
from harness.display.sarif import Log, make_rule
from harness.error import UsageError, printable
from harness.record import Tolerance, write_atomically
from harness.tolerances.place import FINDINGS, Place, Suite
from harness.wording.table import Header, render_markdown_table

SCOPE = "tolerance"
"""Scope of the rules."""

Key = tuple[str, str, str]
"""Verdict, file and source of a line: a finding is the same after lines have been added above it."""


def format_suite(kind: str, suite: Suite, summary: str, *, early: str, fails: bool) -> list[str]:
    """Return the findings as `concise`, `github` or `sarif`; the first two end with the summary."""
    annotations = [annotate(place, suite.root) for place in list_findings(suite)]
    rules = {
        f"{SCOPE}/{answer}": make_rule(f"{SCOPE}/{answer}", FINDINGS[answer], "harness tolerances --help")
        for answer in FINDINGS
    }
    return format_annotations(kind, annotations, Log(rules, [summary], early, fails=fails))


def list_findings(suite: Suite) -> list[Place]:
    """Return the places that ask for a change, the most urgent first."""
    return [place for answer in FINDINGS for place in suite.places if place.answer is answer]


def annotate(place: Place, root: str) -> Annotation:
    """Return a finding with its line."""
    path = Path(root, place.file)
    location = Location(path, place.line, text=linecache.getline(str(path), place.line).strip())
    level: Level = "error" if place.answer is Tolerance.VACUOUS else "warning"
    text = f"{place.reason} ({place.function})"
    return Annotation(level, place.answer, place.answer.upper(), place.file, text, location=location, scope=SCOPE)


def write_document(kind: str, suite: Suite, summary: str) -> str:
    """Return all places as JSON, or as a table in Markdown."""
    if kind == "json":
        places = [
            {"answer": place.answer, "reason": place.reason, **place.model_dump(include={"file", "line", "function"})}
            for place in suite.places
        ]
        counts = {"passed": suite.passed, "failed": suite.failed}
        return json.dumps({"summary": summary, **counts, "places": places}, indent=2) + "\n"
    if kind == "junit":
        tests = TestSuite(SCOPE)
        tests.add_testcases([*map(_make_test, suite.places)])
        document = JUnitXml(summary)
        document.add_testsuite(tests)
        return format_xml(document)
    columns = [Header(heading) for heading in ("verdict", "place", "reason", "comparison")]
    rows = [(place.answer, f"{place.file}:{place.line}", place.reason, place.function) for place in suite.places]
    return f"{render_markdown_table(columns, rows)}\n\n{summary}\n"


def _make_test(place: Place) -> TestCase:
    test = TestCase(printable(f"{place.file}:{place.line}"), classname=printable(place.file))
    if place.answer in FINDINGS:
        test.result = [Failure(printable(place.sentence), place.answer.value)]
    return test


def read_baseline(file: Path) -> Collection[Key]:
    """Return the known findings."""
    try:
        return {(row["answer"], row["file"], row["source"]) for row in json.loads(file.read_text(encoding="utf-8"))}
    except FileNotFoundError:
        remedy = "write it with `--update-baseline`"
        raise UsageError(f"cannot read the baseline `{file}`", rule="there is no such file", remedy=remedy) from None
    except (ValueError, TypeError, KeyError):
        remedy = "write it again with `--update-baseline`"
        raise UsageError(
            f"cannot read the baseline `{file}`", rule="it is not one of `harness tolerances`", remedy=remedy
        ) from None


def write_baseline(file: Path, suite: Suite) -> None:
    """Write the findings of a suite, so that only further ones fail."""
    names = ("answer", "file", "source")
    keys = sorted({make_key(place, suite.root) for place in list_findings(suite)})
    write_atomically(file, json.dumps([dict(zip(names, key, strict=True)) for key in keys], indent=1) + "\n")


def make_key(place: Place, root: str) -> Key:
    """Return the parts of a finding that stay the same when its line moves."""
    return place.answer, place.file, linecache.getline(str(Path(root, place.file)), place.line).strip()


def find_new(suite: Suite, known: Collection[Key]) -> Sequence[Place]:
    """Return the findings that a baseline does not have."""
    return [place for place in list_findings(suite) if make_key(place, suite.root) not in known]
