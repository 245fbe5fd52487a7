"""Annotations: findings of checks and audits as single lines for editors and for GitHub Actions."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.display.location import Location, find_location, locate_definition, locate_operation
from harness.error import printable
from harness.findings import Finding, findings
from harness.record import Audit, AuditFinding, AuditKind, Fix, Property, Verdict
from harness.record.audit import name_format
from harness.wording.audit import finding_lines, run_lines
from harness.wording.finding import NOT_REQUIRED, list_details, sentence, title_of
from harness.wording.fix import fix_lines
from harness.wording.verdict import property_sentences

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
    details: tuple[str, ...] = ()
    """Further lines of the finding."""
    location: Location | None = None
    scope: str = ""
    """The contract of the rule, or the command that has the rule."""
    fix: Fix | None = None
    """The verified fix, if one was found."""

    @property
    def id(self) -> str:
        """Name of the rule, unique among all contracts."""
        return f"{self.scope}/{self.rule}" if self.scope else self.rule

    @property
    def message(self) -> str:
        """The finding with its further lines and its fix."""
        return "\n".join([self.sentence, *self.details, *([] if self.fix is None else fix_lines(self.fix))])


def choose_level(finding: Finding) -> Level:
    """Return an error for a failure, a warning for lost digits, and a note for a law that is not required."""
    if finding.status.fails:
        return "error"
    return "note" if title_of(finding) == NOT_REQUIRED else "warning"


FORMULA = "formula"
"""Stands for a contract that is given as a formula."""

_NAME = re.compile(r"\w+")


def get_scope(verdict: Verdict) -> str:
    """Return the name of the contract of a verdict."""
    return verdict.contract if _NAME.fullmatch(verdict.contract) else FORMULA


def annotate_findings(verdicts: Sequence[Verdict], target: str, fixes: Sequence[Fix] = ()) -> list[Annotation]:
    """Return the findings of a check as annotations, the worst first."""
    fix_of = {fix.repairs: fix for fix in fixes}
    return [
        Annotation(
            choose_level(finding),
            finding.first.law,
            title_of(finding),
            finding.case,
            sentence(finding),
            tuple(f"{label}: {text}" for label, text in list_details(finding, verdicts)),
            find_location(finding, target),
            get_scope(finding.first),
            fix_of.get(sentence(finding)),
        )
        for finding in findings(verdicts)
    ]


PROPERTY = "property"
"""Stands for the law in an annotation about a property."""


def annotate_properties(properties: Sequence[Property], target: str) -> list[Annotation]:
    """Return the properties of a check as notes at the definition of the function."""
    return [
        Annotation("note", PROPERTY, "PROPERTY", case, text, (), locate_definition(target, case))
        for case in dict.fromkeys(record.case for record in properties)
        for text in property_sentences(record for record in properties if record.case == case)
    ]


AUDIT = "audit"
"""Scope of the rules of audits."""


def annotate_audits(audits: Sequence[Audit], fixes: Sequence[Fix] = ()) -> list[Annotation]:
    """Return the findings of audits as annotations; simulated formats and expected findings are notes."""
    notes: list[Annotation] = []
    for audit in audits:
        notes += [_annotate_audit_finding(audit, finding, fixes) for finding in audit.findings]
        for kind in audit.missing:
            text = f"no {kind} was found, which was expected"
            notes.append(Annotation("error", get_rule_name(kind), kind.value, audit.title, text, scope=AUDIT))
        if audit.run is not None and audit.run.is_open:
            text, *more = run_lines(audit.run)[::-1]
            notes.append(Annotation("error", NOT_AUDITED, NOT_AUDITED, audit.title, text, tuple(more), scope=AUDIT))
    return notes


NOT_AUDITED = "not-audited"
"""Rule of a step that is not finite and that no audit has seen."""


def get_rule_name(kind: AuditKind) -> str:
    """Return the name of a kind of finding as a rule."""
    return kind.value.replace(" ", "-")


def _annotate_audit_finding(audit: Audit, finding: AuditFinding, fixes: Sequence[Fix]) -> Annotation:
    return Annotation(
        "error" if finding in audit.unexpected else "note",
        get_rule_name(finding.kind),
        finding.kind.value,
        audit.title,
        finding.sentence if audit.what_if is None else f"{name_format(audit.what_if)}: {finding.sentence}",
        tuple(" ".join(line.split()) for line in finding_lines(finding)[1:]),
        locate_operation(Path(finding.file), finding.line, finding.operation),
        AUDIT,
        next((fix for fix in fixes if fix.repairs == finding.sentence), None),
    )


def format_concise(annotations: Sequence[Annotation]) -> list[str]:
    """Return a line for each annotation in the format of compilers: ``file:line:column: severity: message [rule]``."""
    return [
        f"{_format_place(annotation)}: {annotation.level}: {' '.join(annotation.sentence.split())} [{annotation.rule}]"
        for annotation in annotations
    ]


def _format_place(annotation: Annotation) -> str:
    """Return file, line and column if known, otherwise the name of the function."""
    if annotation.location is None:
        return annotation.subject
    numbers = (annotation.location.line, annotation.location.column)
    return ":".join([annotation.location.relative_to(), *(str(number) for number in numbers if number is not None)])


def format_github(annotations: Sequence[Annotation]) -> list[str]:
    """Return a workflow command of GitHub Actions for each annotation."""
    return [_format_command(annotation) for annotation in annotations]


_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}
"""Workflow commands by severity."""


def _format_command(annotation: Annotation) -> str:
    """Return a line such as ``::error file=own.py,line=3,col=12,title=DEFECT own.softmax::message``."""
    place = annotation.location
    parameters: dict[str, object] = {}
    if place is not None:
        parameters = {"file": place.relative_to(_find_repository(place.path)), "line": place.line, "col": place.column}
        parameters["endColumn"] = place.end_column
    parameters["title"] = f"{annotation.title} {annotation.subject}"
    texts = {name: _escape_data(str(value)) for name, value in parameters.items() if value is not None}
    listed = ",".join(f"{name}={text.replace(':', '%3A').replace(',', '%2C')}" for name, text in texts.items())
    return f"::{_COMMANDS[annotation.level]} {listed}::{_escape_data(annotation.message)}"


def _find_repository(path: Path) -> Path | None:
    """Return the checkout, to which GitHub takes paths as relative, if a file is in it."""
    checkout = os.environ.get("GITHUB_WORKSPACE")
    return Path(checkout) if checkout and path.is_relative_to(Path(checkout).resolve()) else None


def _escape_data(text: str) -> str:
    """Escape a message of a workflow command."""
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
