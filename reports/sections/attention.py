"""The findings of the first layer by cause, the worst first, and the observed declared failures."""

from collections.abc import Iterator, Sequence

from harness.findings import Finding, findings
from harness.record import AuditFinding, Status
from harness.wording import excerpt, format_source, list_details, property_sentences, sentence, title_of

from .. import summary
from ..breaks import breaks
from ..page_part import Cause, Causes, Findings, Note, Part
from ..reading import Reading
from ..section import section
from ..tables.audit import place
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


def _needs(reading: Reading) -> str:
    """Return the number of findings as the title of their section."""
    lines = [finding for audit in reading.audits for finding in audit.unexpected]
    found, grouped = summary.wrong_in(reading), breaks(summary.unknown(reading).breakings)
    number = len(found) + len(lines) + len(grouped) + len(_sentences(reading)) + len(_failed(reading))
    if not number:
        is_clear = _judges(reading) and not summary.remarks(reading.head)
        return "Nothing needs attention" if is_clear else "Remarks on this run"
    return f"{count(number, 'finding')} {'needs' if number == 1 else 'need'} attention"


def _judges(reading: Reading) -> bool:
    return bool(reading.verdicts or reading.survey or reading.proofs or reading.audits)


def _known(reading: Reading) -> str:
    """Return the number of declared causes as the title of their section."""
    lines = [finding for audit in reading.audits for finding in audit.findings if finding.kind in audit.expected]
    number = len(summary.declared(findings(reading.verdicts, [Status.EXPECTED]))) + len(lines)
    return f"{count(number, 'known failure')} occurred as declared"


@section(_needs)
def attention(reading: Reading) -> Iterator[Part]:
    """Yield each finding, its example and its remedy, and a sentence on the other results."""
    found = summary.wrong_in(reading)
    if sentences := property_sentences(reading.properties):
        yield Note(f"Properties of the implementations: {'; '.join(sentences)}.")
    causes = [_cause(finding, reading) for finding in found[:MAX_CAUSES]]
    lines = [finding for audit in reading.audits for finding in audit.unexpected]
    causes += [_line(finding) for finding in lines[:MAX_CAUSES]]
    grouped = breaks(summary.unknown(reading).breakings)
    causes += [group.card for group in grouped[:MAX_CAUSES]]
    if causes:
        yield Causes(tuple(causes))
    further = [*_further(found[MAX_CAUSES:])]
    further += [(f"{one.first.case}: {one.sentence}.", "") for one in grouped[MAX_CAUSES:]]
    further += _others(reading)
    if len(lines) > MAX_CAUSES:
        further.insert(0, (f"{count(len(lines) - MAX_CAUSES, 'more line')} of a training step.", "audit"))
    if further or (not causes and not reading.only_measures):
        yield Findings(tuple(further), _without_findings(reading))


@section(_known)
def declared(reading: Reading) -> Iterator[Part]:
    """Yield the observed declared failures, with a sentence for each cause."""
    found = findings(reading.verdicts, [Status.EXPECTED])
    visible = [finding for audit in reading.audits for finding in audit.findings if finding.kind in audit.expected]
    lines = [(f"{place(finding)}: {cut(finding.sentence, limit=MAX_CHARACTERS)}.", "audit") for finding in visible]
    if not found and not lines:
        return
    failures = summary.declared(found)
    entries = [*((failure, "") for failure in failures[:MAX_DECLARED]), *lines]
    more = len(failures) - len(failures[:MAX_DECLARED])
    rest = [(f"{count(more, 'more cause')}, each on the page of its operation.", "")] if more else []
    yield Findings((*entries, *rest), "")


def _cause(finding: Finding, reading: Reading) -> Cause:
    visible = [(label, cut(text, limit=MAX_CHARACTERS)) for label, text in list_details(finding, reading.verdicts)]
    facts = tuple(fact for fact in visible if fact[0] in LABELS)
    target = block_name(finding) if has_block(finding) else ""
    code = "\n".join(line[4:] for line in format_source(finding.named)[1:])
    text = cut(sentence(finding), limit=MAX_CHARACTERS)
    return Cause(finding.case, title_of(finding), text, facts, target, code)


def _line(finding: AuditFinding) -> Cause:
    """Return a line of a training step as a finding."""
    reaches = listing([*finding.reaches], at_most=4)
    visible = (("reaches", reaches), ("oracle", finding.oracle), ("remedy", finding.remedy))
    facts = tuple((label, cut(text, limit=MAX_CHARACTERS)) for label, text in visible if text)
    sentence_, code = cut(finding.sentence, limit=MAX_CHARACTERS), "\n".join(excerpt(finding))
    return Cause(place(finding), finding.kind.value.upper(), sentence_, facts, "audit", code)


def _further(found: Sequence[Finding]) -> Iterator[tuple[str, str]]:
    """Yield a sentence on each further finding, the name of its block, and the number of the rest."""
    for finding in found[:MAX_SENTENCES]:
        yield summary.found(finding), block_name(finding) if has_block(finding) else ""
    if left := len(found[MAX_SENTENCES:]):
        yield f"{count(left, 'more finding')} on the pages of the operations.", ""


def _others(reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield a sentence on each finding that is not about laws, with the sheet that shows it."""
    sentences = _sentences(reading)
    yield from ((sentence_, "") for sentence_ in sentences[:MAX_SENTENCES])
    if len(sentences) > MAX_SENTENCES:
        yield f"{count(len(sentences) - MAX_SENTENCES, 'more finding')} on the pages of the operations.", ""
    yield from ((sentence_, "gate") for sentence_ in _failed(reading))
    yield from ((remark, "") for remark in summary.remarks(reading.head))


def _sentences(reading: Reading) -> list[str]:
    """Return a sentence on each finding of a proof or of a survey."""
    return [
        *(sentence_ for proof in reading.proofs for sentence_ in summary.refuted(proof)),
        *summary.further(reading, grouped=True),
    ]


def _failed(reading: Reading) -> list[str]:
    return [finding.sentence for finding in reading.gate.findings if finding.outcome in summary.FAILING]


def _without_findings(reading: Reading) -> str:
    """Return the text for a run without findings that need attention."""
    return "This run has no undeclared defect." if _judges(reading) else "No law was checked in this run."
