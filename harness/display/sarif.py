"""Findings as SARIF 2.1.0, which code scanning services read.

References: OASIS (2020), Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.display.annotation import FORMULA, NOT_AUDITED, PROPERTY, Annotation, get_scope
from harness.display.location import Location
from harness.error import printable
from harness.record import Edit, Fix, Status, Verdict

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

ROOT = "SRCROOT"
"""Name of the working directory, to which paths are relative."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Log:
    """All of a log but its results."""

    rules: Mapping[str, Object]
    """The rules by name."""
    verdicts: Sequence[str]
    """The verdict on each subject in words."""
    early: str
    """Reason for an early end; empty without one."""
    fails: bool

    def text(self, annotations: Sequence[Annotation]) -> str:
        """Return the log, with a result for each annotation."""
        ids = list(self.rules)
        line = printable("; ".join(self.verdicts))
        invocation: Object = {"executionSuccessful": not self.early, "exitCode": int(self.fails)}
        if self.early:
            invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": line}}]
        driver = {"name": "harness", "version": version("stability-harness"), "rules": list(self.rules.values())}
        run: Object = {
            "tool": {"driver": driver},
            "invocations": [invocation],
            "originalUriBaseIds": {ROOT: {"uri": f"{Path.cwd().as_uri()}/"}},
            "columnKind": "unicodeCodePoints",
            "results": [_make_result(annotation, ids) for annotation in annotations],
            "properties": {"verdict": line},
        }
        return json.dumps({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def make_check_rules(verdicts: Sequence[Verdict], annotations: Sequence[Annotation]) -> Mapping[str, Object]:
    """Return a rule for each law of each contract that ran, and one for all properties if there are any."""
    rules: dict[str, Object] = {}
    for verdict in verdicts:
        if verdict.status is not Status.SKIPPED:
            rules.setdefault(f"{get_scope(verdict)}/{verdict.law}", _describe_law(verdict))
    return {
        **rules,
        **({PROPERTY: _OF_PROPERTIES} if any(annotation.rule == PROPERTY for annotation in annotations) else {}),
    }


def make_audit_rules(annotations: Sequence[Annotation]) -> Mapping[str, Object]:
    """Return a rule for each kind of finding."""
    return {
        note.id: make_rule(note.id, _OF_AUDITS[note.rule], "harness explain audit", tags=["numerics"])
        for note in annotations
    }


_OF_AUDITS = {
    "overflow": "A result is beyond the largest number of its format.",
    "pole": "A function is evaluated where it is infinite, as in a division by zero or the logarithm of zero.",
    "invalid": "An operation returns NaN although its inputs are not NaN.",
    "masked": "All entries of a softmax row are masked.",
    "underflow": "Results are below the smallest number of the format, and something depends on them.",
    "cancellation": "A difference of rounded numbers loses digits.",
    "accumulation": "A long sum accumulates in too narrow a format.",
    "inaccurate": "An operation loses digits.",
    "update-lost": "An update is too small for the format of its target.",
    "eps": "A protecting constant is zero in the format.",
    "training": "A call in a training step has no effect, or an unintended one.",
    "clamped": "A clamp is active where the loss depends on its input.",
    "repeated": "Neighboring numbers of a range are equal in the format.",
    "wrapped": "Integers exceed their range.",
    "data": "An input of the step is not finite.",
    NOT_AUDITED: "A step without an audit has a loss or a weight that is not finite.",
}
"""Descriptions of the rules of audits."""


def _describe_law(verdict: Verdict) -> Object:
    contract, statement = get_scope(verdict), printable(verdict.statement)
    explain = f"harness explain {verdict.law}" + ("" if contract == FORMULA else f" --contract {contract}")
    details = f"{statement}\nSource: {printable(verdict.source)}"
    return make_rule(f"{contract}/{verdict.law}", statement, explain, details, tags=["numerics", verdict.group])


def make_rule(
    id_: str, text: str, explain: str, details: str = "", *, level: str = "error", tags: Sequence[str] = ()
) -> Object:
    """Return a rule; ``details`` is its text at full length."""
    return {
        "id": id_,
        "shortDescription": {"text": text},
        "help": {"text": f"{details or text}\nFor more, run `{explain}`."},
        "defaultConfiguration": {"level": level},
        **({"properties": {"tags": tags}} if tags else {}),
    }


_OF_PROPERTIES = make_rule(
    PROPERTY, "A consistent behavior that may be intended.", "harness explain property", level="note"
)
"""The rule of all properties."""


def _make_result(annotation: Annotation, ids: Sequence[str]) -> Object:
    fixes = {} if annotation.fix is None else {"fixes": [_make_fix(annotation.fix)]}
    return {
        "ruleId": annotation.id,
        "ruleIndex": ids.index(annotation.id),
        "level": annotation.level,
        "message": {"text": printable("\n".join([annotation.sentence, *annotation.details]))},
        "locations": [_make_location(annotation)],
        "partialFingerprints": {"finding/v1": _compute_fingerprint(annotation)},
        **fixes,
    }


def _make_fix(fix: Fix) -> Object:
    """Return a verified fix."""
    replacements = [_make_replacement(edit) for edit in fix.edits]
    change = {"artifactLocation": _make_artifact(Path(fix.file)), "replacements": replacements}
    text = f"{'; '.join(fix.titles)} ({fix.sentence})"
    return {"description": {"text": printable(text)}, "artifactChanges": [change]}


def _make_replacement(edit: Edit) -> Object:
    region = {"startLine": edit.line, "startColumn": 1, "endLine": edit.end, "endColumn": edit.end_column}
    return {"deletedRegion": region, "insertedContent": {"text": edit.content}}


def _make_location(annotation: Annotation) -> Object:
    """Return the function, and its place in a file where that is known."""
    logical = {"fullyQualifiedName": printable(annotation.subject), "kind": "function"}
    physical = {} if annotation.location is None else {"physicalLocation": _make_physical_location(annotation.location)}
    return {**physical, "logicalLocations": [logical]}


def _make_artifact(path: Path) -> Object:
    """Return the address of a file, relative to the working directory if it is below it."""
    relative = Location(path.resolve()).relative_to()
    is_below = not Path(relative).is_absolute()
    return {"uri": quote(relative), "uriBaseId": ROOT} if is_below else {"uri": path.resolve().as_uri()}


def _make_physical_location(place: Location) -> Object:
    artifact = _make_artifact(place.path)
    if place.line is None:
        return {"artifactLocation": artifact}
    region = {"startLine": place.line, "startColumn": place.column, "endColumn": place.end_column}
    return {
        "artifactLocation": artifact,
        "region": {name: value for name, value in region.items() if value is not None},
    }


def _compute_fingerprint(annotation: Annotation) -> str:
    """Return a digest of the rule, the function, the text of the line and the sentence, without any number."""
    text = annotation.location.text if annotation.location is not None else ""
    sentence = re.sub(r"\d+", "#", annotation.sentence)
    parts = "\0".join([annotation.id, annotation.subject, text, sentence])
    return hashlib.sha256(parts.encode(errors="replace")).hexdigest()[:32]
