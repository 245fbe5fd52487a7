"""The findings of the first layer by cause, the worst first, and the observed declared failures."""

from collections.abc import Iterator, Sequence

from harness.findings import Finding, findings
from harness.record import AuditFinding, Status
from harness.wording.audit import excerpt
from harness.wording.finding import format_source, list_details, sentence, title_of
from harness.wording.verdict import property_sentences

from .. import summary
from ..page_part import Cause, Causes, Findings, Note, Part
from ..reading import Reading
from ..section import section
from ..summary import breaks
from ..tables.run import place
from ..text import count, cut, listing
from .block import block_name, has_block

MAX_CAUSES = 6
"""More findings than these are named in a sentence, and more than these again are counted."""

MAX_SENTENCES = 12

MAX_DECLARED = 8
"""Declared failures that the first layer names."""

MAX_CHARACTERS = 400
"""Of one fact."""

LABELS = {"example", "worst", "look at", "breaks", "affects", "rerun"}


def _count_needs(reading: Reading) -> str:
    """Return the number of findings as the title of their section."""
    lines = [finding for audit in reading.audits for finding in audit.unexpected]
    open_findings, grouped = summary.wrong_in(reading), breaks(summary.unknown(reading).breakings)
    number = len(open_findings) + len(lines) + len(grouped) + len(_list_sentences(reading)) + len(_list_failed(reading))
    if not number:
        is_clear = _has_verdicts(reading) and not summary.remarks(reading.head)
        return "Nothing needs attention" if is_clear else "Remarks on this run"
    return f"{count(number, 'finding')} {'needs' if number == 1 else 'need'} attention"


def _has_verdicts(reading: Reading) -> bool:
    return bool(reading.verdicts or reading.survey or reading.proofs or reading.audits)


def _count_declared(reading: Reading) -> str:
    """Return the number of declared causes as the title of their section."""
    lines = [finding for audit in reading.audits for finding in audit.findings if finding.kind in audit.expected]
    number = len(summary.explain_declared(findings(reading.verdicts, [Status.EXPECTED]))) + len(lines)
    return f"{count(number, 'known failure')} occurred as declared"


@section(_count_needs)
def attention(reading: Reading) -> Iterator[Part]:
    """Yield each finding, its example and its remedy, and a sentence on the other results."""
    open_findings = summary.wrong_in(reading)
    if sentences := property_sentences(reading.properties):
        yield Note(f"Properties of the implementations: {'; '.join(sentences)}.")
    causes = [_build_cause(finding, reading) for finding in open_findings[:MAX_CAUSES]]
    lines = [finding for audit in reading.audits for finding in audit.unexpected]
    causes += [_build_line(finding) for finding in lines[:MAX_CAUSES]]
    grouped = breaks(summary.unknown(reading).breakings)
    causes += [group.card for group in grouped[:MAX_CAUSES]]
    if causes:
        yield Causes(tuple(causes))
    further = [*_list_further(open_findings[MAX_CAUSES:])]
    further += [(f"{group.first.case}: {group.sentence}.", "") for group in grouped[MAX_CAUSES:]]
    further += _list_others(reading)
    if len(lines) > MAX_CAUSES:
        further.insert(0, (f"{count(len(lines) - MAX_CAUSES, 'more line')} of a training step.", "audit"))
    if further or (not causes and not reading.only_measures):
        absence = "This run has no undeclared defect." if _has_verdicts(reading) else "No law was checked in this run."
        yield Findings(tuple(further), absence)


@section(_count_declared)
def declared(reading: Reading) -> Iterator[Part]:
    """Yield the observed declared failures, with a sentence for each cause."""
    expected_findings = findings(reading.verdicts, [Status.EXPECTED])
    visible = [finding for audit in reading.audits for finding in audit.findings if finding.kind in audit.expected]
    lines = [(f"{place(finding)}: {cut(finding.sentence, limit=MAX_CHARACTERS)}.", "audit") for finding in visible]
    if not expected_findings and not lines:
        return
    failures = summary.explain_declared(expected_findings)
    entries = [*((failure, "") for failure in failures[:MAX_DECLARED]), *lines]
    more = len(failures) - len(failures[:MAX_DECLARED])
    rest = [(f"{count(more, 'more cause')}, each on the page of its operation.", "")] if more else []
    yield Findings((*entries, *rest), "")


def _build_cause(finding: Finding, reading: Reading) -> Cause:
    visible = [(label, cut(text, limit=MAX_CHARACTERS)) for label, text in list_details(finding, reading.verdicts)]
    facts = tuple(fact for fact in visible if fact[0] in LABELS)
    target = block_name(finding) if has_block(finding) else ""
    code = "\n".join(line[4:] for line in format_source(finding.named)[1:])
    text = cut(sentence(finding), limit=MAX_CHARACTERS)
    return Cause(finding.case, title_of(finding), text, facts, target, code)


def _build_line(finding: AuditFinding) -> Cause:
    """Return a line of a training step as a finding."""
    reaches = listing([*finding.reaches], at_most=4)
    visible = (("reaches", reaches), ("oracle", finding.oracle), ("remedy", finding.remedy))
    facts = tuple((label, cut(text, limit=MAX_CHARACTERS)) for label, text in visible if text)
    sentence_, code = cut(finding.sentence, limit=MAX_CHARACTERS), "\n".join(excerpt(finding))
    return Cause(place(finding), finding.kind.value.upper(), sentence_, facts, "audit", code)


def _list_further(found: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield a sentence on each further finding, the name of its block, and the number of the rest."""
    for finding in found[:MAX_SENTENCES]:
        yield summary.explain_finding(finding), block_name(finding) if has_block(finding) else ""
    if hidden_count := len(found[MAX_SENTENCES:]):
        yield f"{count(hidden_count, 'more finding')} on the pages of the operations.", ""


def _list_others(reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield a sentence on each finding that is not about laws, with the sheet that shows it."""
    sentences = _list_sentences(reading)
    yield from ((sentence_, "") for sentence_ in sentences[:MAX_SENTENCES])
    if len(sentences) > MAX_SENTENCES:
        yield f"{count(len(sentences) - MAX_SENTENCES, 'more finding')} on the pages of the operations.", ""
    yield from ((sentence_, "gate") for sentence_ in _list_failed(reading))
    yield from ((remark, "") for remark in summary.remarks(reading.head))


def _list_sentences(reading: Reading) -> list[str]:
    """Return a sentence on each finding of a proof or of a survey."""
    return [
        *(sentence_ for proof in reading.proofs for sentence_ in summary.list_refuted(proof)),
        *summary.further(reading, grouped=True),
    ]


def _list_failed(reading: Reading) -> list[str]:
    return [finding.sentence for finding in reading.gate.findings if finding.outcome in summary.FAILING]
