"""Findings as SARIF 2.1.0, which code scanning services read.

References: OASIS (2020), Static Analysis Results Interchange Format (SARIF) Version 2.1.0.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.display.annotation import PROPERTY, Annotation
from harness.display.location import Location
from harness.error import printable
from harness.record import Status, Verdict
from harness.wording import verdict_line

SCHEMA_URI = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

ROOT = "SRCROOT"
"""Name of the working directory, to which paths are relative."""

Object = dict[str, Any]


def to_sarif(verdicts: Sequence[Verdict], annotations: Sequence[Annotation], early: str = "") -> str:
    """Return a SARIF log with one run: a rule for each law that ran, and a result for each annotation."""
    rules = {**_rules(verdicts), **({PROPERTY: _OF_PROPERTIES} if any(map(_is_property, annotations)) else {})}
    ids = list(rules)
    contracts = {verdict.case: _contract(verdict) for verdict in verdicts}
    results = [_result(one, ids, contracts.get(one.subject, FORMULA)) for one in annotations]
    line = printable(verdict_line(verdicts, early))
    invocation: Object = {"executionSuccessful": not early, "exitCode": int(any(one.status.fails for one in verdicts))}
    if early:
        invocation["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": line}}]
    run: Object = {
        "tool": {"driver": {"name": "harness", "version": version("stability-harness"), "rules": list(rules.values())}},
        "invocations": [invocation],
        "originalUriBaseIds": {ROOT: {"uri": f"{Path.cwd().as_uri()}/"}},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"verdict": line},
    }
    return json.dumps({"$schema": SCHEMA_URI, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rules(verdicts: Sequence[Verdict]) -> Mapping[str, Object]:
    """Return a rule for each law of each contract that ran."""
    rules: dict[str, Object] = {}
    for verdict in verdicts:
        if verdict.status is not Status.SKIPPED:
            rules.setdefault(f"{_contract(verdict)}/{verdict.law}", _rule(verdict))
    return rules


def _rule(verdict: Verdict) -> Object:
    contract, statement = _contract(verdict), printable(verdict.statement)
    explain = f"harness explain {verdict.law}" + ("" if contract == FORMULA else f" --contract {contract}")
    return {
        "id": f"{contract}/{verdict.law}",
        "shortDescription": {"text": statement},
        "help": {"text": f"{statement}\nSource: {printable(verdict.source)}\nFor more, run `{explain}`."},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["numerics", verdict.group]},
    }


_OF_PROPERTIES: Object = {
    "id": PROPERTY,
    "shortDescription": {"text": "A consistent behavior that may be intended."},
    "help": {"text": "A consistent behavior that may be intended.\nFor more, run `harness explain property`."},
    "defaultConfiguration": {"level": "note"},
}
"""The rule of all properties."""


def _is_property(one: Annotation) -> bool:
    return one.rule == PROPERTY


FORMULA = "formula"
"""Stands for a contract that is given as a formula."""

_NAME = re.compile(r"\w+")


def _contract(verdict: Verdict) -> str:
    """Return the name of the contract of a verdict."""
    return verdict.contract if _NAME.fullmatch(verdict.contract) else FORMULA


def _result(one: Annotation, ids: Sequence[str], contract: str) -> Object:
    rule = PROPERTY if _is_property(one) else f"{contract}/{one.rule}"
    text = printable("\n".join([one.sentence, *one.facts]))
    return {
        "ruleId": rule,
        "ruleIndex": ids.index(rule),
        "level": one.level,
        "message": {"text": text},
        "locations": [_location(one)],
        "partialFingerprints": {"finding/v1": _fingerprint(one, rule)},
    }


def _location(one: Annotation) -> Object:
    """Return the function, and its place in a file where that is known."""
    logical = {"fullyQualifiedName": printable(one.subject), "kind": "function"}
    physical = {} if one.location is None else {"physicalLocation": _physical(one.location)}
    return {**physical, "logicalLocations": [logical]}


def _physical(at: Location) -> Object:
    shown = at.shown()
    is_below = not Path(shown).is_absolute()
    artifact = {"uri": quote(shown), "uriBaseId": ROOT} if is_below else {"uri": at.path.as_uri()}
    if at.line is None:
        return {"artifactLocation": artifact}
    region = {"startLine": at.line, "startColumn": at.column, "endColumn": at.end_column}
    return {
        "artifactLocation": artifact,
        "region": {name: value for name, value in region.items() if value is not None},
    }


def _fingerprint(one: Annotation, rule: str) -> str:
    """Return a digest of the rule, the function, the text of the line and the sentence, without any number."""
    text = one.location.text if one.location is not None else ""
    said = re.sub(r"\d+", "#", one.sentence)
    return hashlib.sha256("\0".join([rule, one.subject, text, said]).encode(errors="replace")).hexdigest()[:32]
