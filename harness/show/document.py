"""Verdicts as text for other programs: JSON, JUnit XML and Markdown. It reads records alone."""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import IO, cast

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
from rich.control import strip_control_codes
from tabulate import tabulate

from harness.record import SCHEMA, Record, Status, Verdict, census_line, failing, verdict_line, violation_block


class _Document(Record):
    schema_version: int = SCHEMA
    verdict: str
    verdicts: tuple[Verdict, ...]


def to_json(verdicts: Sequence[Verdict]) -> str:
    """Return one document: the verdict in words, and every record; NaN and infinities are text, as JSON has none."""
    return _Document(verdict=verdict_line(verdicts), verdicts=tuple(verdicts)).model_dump_json(indent=2) + "\n"


def to_junit(verdicts: Sequence[Verdict]) -> str:
    """Return JUnit XML: a suite for each case, a test for each law and dtype."""
    document = JUnitXml("harness check")
    for case in dict.fromkeys(verdict.case for verdict in verdicts):
        suite = TestSuite(case)
        suite.add_testcases([_test_case(verdict) for verdict in verdicts if verdict.case == case])
        document.add_testsuite(suite)
    written = io.BytesIO()
    document.write(cast("IO[str]", written), pretty=True)
    return written.getvalue().decode("utf-8")


def _test_case(verdict: Verdict) -> TestCase:
    test = TestCase(f"{verdict.law} [{verdict.where}]", classname=verdict.case, time=verdict.duration_s)
    if (result := _result(verdict)) is not None:
        test.result = [result]
    return test


def _result(verdict: Verdict) -> Error | Failure | Skipped | None:
    message = printable(verdict.reason or verdict.statement)
    match verdict.status:
        case Status.HOLDS:
            return None
        case Status.SKIPPED | Status.EXPECTED | Status.LOST:
            return Skipped(message, verdict.status.value)
        case Status.ERROR:
            return Error(message, verdict.fault.value if verdict.fault else "error")
    failure = Failure(message, verdict.status.value)
    if verdict.violation is not None:
        failure.text = printable(violation_block(verdict))
    return failure


def to_markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the verdict, a table of laws and dtypes for each case, and a block for each failure."""
    parts = [f"**{cell(verdict_line(verdicts))}**", cell(census_line(verdicts))]
    for case in dict.fromkeys(verdict.case for verdict in verdicts):
        parts += [f"### {cell(case)}", _law_table([verdict for verdict in verdicts if verdict.case == case])]
    for verdict in failing(verdicts):
        text = violation_block(verdict) if verdict.violation is not None else _sentence(verdict)
        parts.append(_fenced(printable(text)))
    return "\n\n".join(parts) + "\n"


def _sentence(verdict: Verdict) -> str:
    return f"{verdict.case} {verdict.law} [{verdict.where}]: {verdict.status}: {verdict.reason}"


def _law_table(verdicts: Sequence[Verdict]) -> str:
    dtypes = list(dict.fromkeys(verdict.dtype for verdict in verdicts))
    by_law: dict[str, dict[str, Verdict]] = {}
    for verdict in verdicts:
        by_law.setdefault(verdict.law, {})[verdict.dtype] = verdict
    rows = [
        [law, *(str(by_dtype[dtype].status) if dtype in by_dtype else "–" for dtype in dtypes)]
        for law, by_dtype in by_law.items()
    ]
    return str(tabulate(rows, headers=["law", *dtypes], tablefmt="github"))


def printable(text: str) -> str:
    """Without what no document may contain, since some of the text is somebody else's."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in strip_control_codes(text)
    )


def cell(text: str) -> str:
    """A text in which no character has a meaning in Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", printable(text).replace("\n", " "))


def _fenced(text: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


WRITERS: Mapping[str, Callable[[Sequence[Verdict]], str]] = {
    "json": to_json,
    "junit": to_junit,
    "markdown": to_markdown,
}
"""The formats by name."""
