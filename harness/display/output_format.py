"""The formats of ``--output-format``."""

from collections.abc import Callable, Mapping, Sequence

from harness.display.annotation import (
    Annotation,
    annotate_audits,
    annotate_findings,
    annotate_properties,
    format_concise,
    format_github,
)
from harness.display.junit import join_junit, make_junit
from harness.display.sarif import Log, make_audit_rules, make_check_rules
from harness.display.verdict_document import Results, join_json, make_json, make_markdown
from harness.record import Audit, Fix
from harness.wording.audit import audit_line
from harness.wording.verdict import verdict_line

WRITERS: Mapping[str, Callable[[Results], str]] = {"json": make_json, "junit": make_junit, "markdown": make_markdown}
"""Writers of the files of a check, by format."""

JOIN: Mapping[str, Callable[[Sequence[str]], str]] = {"json": join_json, "junit": join_junit, "markdown": "\n".join}
"""Functions that join the files of several targets, by format."""


def format_check(kind: str, results: Results) -> list[str]:
    """Return the output of a check as `concise`, `github` or `sarif`; the first two end with the verdict."""
    verdicts, properties, early, target, fixes = results
    annotations = [*annotate_findings(verdicts, target, fixes), *annotate_properties(properties, target)]
    fails = any(verdict.status.fails for verdict in verdicts)
    log = Log(make_check_rules(verdicts, annotations), [verdict_line(verdicts, early)], early, fails=fails)
    return format_annotations(kind, annotations, log)


def format_audits(kind: str, audits: Sequence[Audit], early: str = "", fixes: Sequence[Fix] = ()) -> list[str]:
    """Return the output of audits as `concise`, `github` or `sarif`; the first two end with a line for each step."""
    annotations = annotate_audits(audits, fixes)
    verdicts = [audit_line(audit, early) for audit in audits]
    log = Log(make_audit_rules(annotations), verdicts, early, fails=any(audit.fails for audit in audits))
    return format_annotations(kind, annotations, log)


def format_annotations(kind: str, annotations: Sequence[Annotation], log: Log) -> list[str]:
    """Return annotations as `concise`, `github` or `sarif`; the first two end with the verdicts of the log."""
    if kind == "sarif":
        return [log.text(annotations)]
    write = {"concise": format_concise, "github": format_github}[kind]
    return [*write(annotations), *log.verdicts]
