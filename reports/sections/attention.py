"""What needs attention: the tally, a sentence on each finding, and each in full."""

from collections import Counter
from collections.abc import Iterator, Mapping

from harness.record import Finding, Outcome, Status, findings, property_sentences
from reports import summary
from reports.part import Block, Findings, Note, RunTally
from reports.reading import Reading
from reports.section import PagePart, section
from reports.sections.block import MOST_BLOCKS, block_text, has_block
from reports.text import count

FAILING = (Outcome.REGRESSED, Outcome.NO_VERDICT)
"""Outcomes of the gate that make it fail."""


@section("What needs attention")
def attention(reading: Reading) -> Iterator[PagePart]:
    """Yield the tally, a sentence on each finding, and each in full."""
    found = findings(reading.verdicts, [status for status in Status if status.fails])
    shown = {f"failure-{number}": finding for number, finding in enumerate(found[:MOST_BLOCKS], 1)}
    if reading.verdicts:
        yield _tally(reading)
    if said := property_sentences(reading.properties):
        yield Note(f"What was found before any law was judged: {'; '.join(said)}.")
    yield Findings((*_found(shown, left=len(found) - len(shown)), *_others(reading)), _calm(reading))
    for name, finding in shown.items():
        if has_block(finding):
            yield Block(name, finding.first.law, block_text(finding, reading.verdicts), folded=False)


def _found(shown: Mapping[str, Finding], *, left: int) -> Iterator[tuple[str, str]]:
    """Yield a sentence on each finding and the name of its block, and how many are left to the law matrix."""
    for name, finding in shown.items():
        yield summary.found(finding), name if has_block(finding) else ""
    if left:
        yield f"{count(left, 'further finding')} in the law matrix below.", "laws"


def _others(reading: Reading) -> Iterator[tuple[str, str]]:
    """Yield a sentence on each finding besides those on laws, with the section that shows it."""
    yield from ((sentence, "proofs") for proof in reading.proofs for sentence in summary.refuted(proof))
    yield from ((sentence, "survey") for sentence in summary.surveyed(reading.survey))
    yield from ((sentence, "changes") for sentence in summary.since(reading))
    yield from ((finding.sentence, "gate") for finding in reading.gate.findings if finding.outcome in FAILING)
    yield from ((remark, "") for remark in summary.remarks(reading.head))


def _calm(reading: Reading) -> str:
    """Return what stands where no finding needs attention."""
    if reading.verdicts or reading.survey or reading.proofs:
        return "Nothing: no defect was found beside those that are declared."
    return "No law was checked in this run."


def _tally(reading: Reading) -> RunTally:
    """Return the number of verdicts of each status, and of what ran."""
    counts = Counter(verdict.status for verdict in reading.verdicts)
    statuses = [(f"{counts[status]:,}", _word(status, counts[status]), status.fails) for status in Status]
    examples = sum(verdict.examples for verdict in reading.verdicts)
    rows = sum(verdict.rows for verdict in reading.verdicts)
    return RunTally((*statuses, (f"{examples:,}", "examples", False), (f"{rows:,}", "rows checked", False)))


def _word(status: Status, number: int) -> str:
    """Return the word for a number of verdicts."""
    several = {Status.HOLDS: "hold", Status.ERROR: "errors"}
    return status.value if number == 1 else several.get(status, status.value)
