"""Annotations: findings as single lines for editors and for GitHub Actions."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.display.location import Location, defined, location
from harness.error import printable
from harness.findings import Finding, findings
from harness.record import Property, Verdict, property_sentences
from harness.wording import facts, sentence, title_of
from harness.wording.finding import NOT_REQUIRED

Level = Literal["error", "warning", "note"]
"""Severities, named as compilers and SARIF name them."""


@dataclass(frozen=True)
class Annotation:
    """A finding with its place in the source."""

    level: Level
    rule: str
    title: str
    subject: str
    """Name of the function."""
    sentence: str
    facts: tuple[str, ...] = ()
    """Further lines of the finding."""
    location: Location | None = None


def level_of(finding: Finding) -> Level:
    """Return an error for a failure, a warning for lost digits, and a note for a law that is not required."""
    if finding.status.fails:
        return "error"
    return "note" if title_of(finding) == NOT_REQUIRED else "warning"


def annotated(verdicts: Sequence[Verdict], target: str) -> list[Annotation]:
    """Return the findings of a check as annotations, the worst first."""
    return [
        Annotation(
            level_of(finding),
            finding.first.law,
            title_of(finding),
            finding.case,
            sentence(finding),
            tuple(f"{label}: {text}" for label, text in facts(finding, verdicts)),
            location(finding, target),
        )
        for finding in findings(verdicts)
    ]


PROPERTY = "property"
"""Stands for the law in an annotation about a property."""


def remarked(properties: Sequence[Property], target: str) -> list[Annotation]:
    """Return the properties of a check as notes at the definition of the function."""
    return [
        Annotation("note", PROPERTY, "PROPERTY", case, said, (), defined(target, case))
        for case in dict.fromkeys(one.case for one in properties)
        for said in property_sentences(one for one in properties if one.case == case)
    ]


def concise(annotations: Sequence[Annotation]) -> list[str]:
    """Return a line for each annotation in the format of compilers: ``file:line:column: severity: message [rule]``."""
    return [f"{_place(one)}: {one.level}: {_line(one.sentence)} [{one.rule}]" for one in annotations]


def _place(one: Annotation) -> str:
    """Return file, line and column if known, otherwise the name of the function."""
    if one.location is None:
        return one.subject
    numbers = (one.location.line, one.location.column)
    return ":".join([one.location.shown(), *(str(number) for number in numbers if number is not None)])


def github(annotations: Sequence[Annotation]) -> list[str]:
    """Return a workflow command of GitHub Actions for each annotation."""
    return [_command(one) for one in annotations]


_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
"""Workflow commands by severity."""


def _command(one: Annotation) -> str:
    """Return a line such as ``::error file=own.py,line=3,col=12,title=DEFECT own.softmax::message``."""
    at = one.location
    parameters: dict[str, object] = {}
    if at is not None:
        parameters = {"file": at.shown(_repository(at.path)), "line": at.line, "col": at.column}
        parameters["endColumn"] = at.end_column
    parameters["title"] = f"{one.title} {one.subject}"
    shown = ",".join(f"{name}={_property(str(value))}" for name, value in parameters.items() if value is not None)
    message = "\n".join([one.sentence, *one.facts])
    return f"::{_COMMANDS[one.level]} {shown}::{_data(message)}"


def _repository(path: Path) -> Path | None:
    """Return the checkout, to which GitHub takes paths as relative, if a file is in it."""
    checkout = os.environ.get("GITHUB_WORKSPACE")
    return Path(checkout) if checkout and path.is_relative_to(Path(checkout).resolve()) else None


def _data(text: str) -> str:
    """Escape a message of a workflow command."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a parameter of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _line(text: str) -> str:
    return " ".join(text.split())
