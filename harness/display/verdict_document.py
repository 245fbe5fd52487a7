"""Verdicts as JSON and Markdown."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from harness.findings import Finding, findings
from harness.findings.merging import group_by
from harness.record import SCHEMA, Event, Fix, Property, Record, Status, Verdict
from harness.wording.finding import finding_in_full, sentence
from harness.wording.fix import fix_title
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


def join_json(texts: Sequence[str]) -> str:
    """Return one JSON document with the records of all targets and their common verdict."""
    first, *rest = map(json.loads, texts)
    for document in rest:
        first |= {name: [*first[name], *more] for name, more in document.items() if isinstance(more, list)}
    first["verdict"] = verdict_line([Verdict.model_validate(record) for record in first["verdicts"]])
    return json.dumps(first, indent=2, ensure_ascii=False) + "\n"
