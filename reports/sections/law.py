"""Sections on laws: defects, all laws and their margins, declared failures, and skipped laws."""

from collections import Counter
from collections.abc import Iterator, Sequence

from harness.dtype import PARAMETERS, short_name
from harness.findings import Finding, findings
from harness.findings.merging import group_by
from harness.record import Status, Verdict, find_unfinished
from harness.wording.finding import finding_block, sentence

from ..figures.accuracy import headroom_figure
from ..mathml import mathml
from ..page_part import Block, Equation, Legend, Note, Part, RunTally
from ..reading import Reading
from ..section import section
from ..summary import DEFAULT_DTYPE, wrong_in
from ..tables import law
from ..tables.matrix import MEANINGS, SYMBOLS, glance, matrices
from ..text import count, cut, shorten
from .block import MAX_CHARACTERS, block_name, block_text, has_block

DEFINITIONS = {
    "add": "a + b",
    "binary_cross_entropy_with_logits": "mean(log(1 + exp(x)) - x * y)",
    "cross_entropy": "log(sum(exp(x[j]))) - x[t]",
    "entropy": "p = softmax(x); -sum(p[j] * log(p[j]))",
    "gaussian_nll": "mean(log(v) + (y - m) ** 2 / v) / 2",
    "kl_divergence": "sum(p[j] * (log(p[j]) - log_q[j]))",
    "kl_divergence_of_probabilities": "sum(p[j] * log(p[j] / q[j]))",
    "layer_norm": "(x[i] - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + eps)",
    "linear": "sum(x[j] * w[j]) + b",
    "log_softmax": "x[i] - log(sum(exp(x[j])))",
    "logaddexp": "log(exp(a) + exp(b))",
    "logsigmoid": "-log(1 + exp(-x))",
    "logsumexp": "log(sum(exp(x[j])))",
    "masked_softmax": "e = where(keep, exp(x), 0); e[i] / sum(e[j])",
    "nll_of_probabilities": "-log(p[t])",
    "rms_norm": "x[i] / sqrt(mean(x ** 2) + eps)",
    "sgd": "p - lr * g",
    "sigmoid": "1 / (1 + exp(-x))",
    "softmax": "exp(x[i]) / sum(exp(x[j]))",
    "softplus": "log(1 + exp(x))",
    "squared_error": "mean((a - b) ** 2)",
    "variance": "sum((x[i] - mean(x)) ** 2) / (count(x) - correction)",
}
"""Definitions by contract."""


def definition_of(verdicts: Sequence[Verdict]) -> str:
    """Return the definition of the operation that verdicts are about; empty if it has no formula."""
    if not verdicts:
        return ""
    statement = next((verdict.statement for verdict in verdicts if verdict.law == "value"), "")
    formula = statement.removeprefix("The output equals ")
    return DEFINITIONS.get(verdicts[0].contract, "") if formula == statement else formula.rstrip(".")


_FIRST, *_OTHERS = PARAMETERS

READING = (
    f"Each cell has one symbol for each dtype, in the order of the heading: {short_name(_FIRST)} is {_FIRST}, "
    f"{', '.join(f'{short_name(dtype)} {dtype}' for dtype in _OTHERS)}. "
    "The tooltip of a cell shows the worst deviation and its bound."
)
"""Explains the cells of the law matrix."""


@section(lambda reading: count(len(wrong_in(reading)), "finding"))
def wrong(reading: Reading) -> Iterator[Part]:
    """Yield each finding in full."""
    for finding in wrong_in(reading):
        if has_block(finding):
            name = block_name(finding)
            yield Block(name, finding.first.law, block_text(finding, reading.verdicts), folded=False)


@section("Declared failures")
def declared(reading: Reading) -> Iterator[Part]:
    """Yield the observed declared failures, with a counterexample for each."""
    if not (expected_findings := findings(reading.verdicts, [Status.EXPECTED])):
        return
    yield law.list_declared(reading.verdicts)
    yield Note("The smallest example for every cause, with its replay and likely cause:", folded=True)

    def find_reason(finding: Finding) -> tuple[str, str]:
        return finding.case, (finding.first.reason or sentence(finding)).splitlines()[0].rstrip(".")

    by_reason = group_by(expected_findings, find_reason)
    for number, ((case, reason), group) in enumerate(by_reason.items(), 1):
        laws = count(sum(len(finding.laws) for finding in group), "law")
        heading = f"{case}: {shorten(reason, limit=100)} ({laws})"
        blocks = [finding_block(finding, reading.verdicts, options_only=True) for finding in group]
        yield Block(f"declared-{number}", heading, cut("\n\n".join(blocks), limit=MAX_CHARACTERS), folded=True)


OVERFLOWS = "ln(max + ulp/2)"
"""Closed form of the breaking points at which an exponential overflows."""


def _build_equation(reading: Reading) -> Equation | None:
    """Return the definition as mathematics, with the part that overflows in color; ``None`` without a formula."""
    text = definition_of(reading.verdicts)
    points = [point for point in reading.survey.breakings if point.form == OVERFLOWS and point.value is not None]
    first = min(points, key=lambda point: (point.dtype != DEFAULT_DTYPE, point.value), default=None)
    if first is None or "exp(" not in text:
        markup, note = mathml(text), ""
    else:
        markup = mathml(text, ["exp"])
        note = f"In {first.case}, the exponential in red overflows from {first.value!r} on in {first.dtype}."
    return Equation(text, markup, note) if markup else None


@section("Definition")
def definition(reading: Reading) -> Iterator[Part]:
    """Yield the formula, the statement of the law of the value, and how the operation relates to others."""
    if (equation := _build_equation(reading)) is not None:
        yield equation
    statements = dict.fromkeys(verdict.statement for verdict in reading.verdicts if verdict.law == "value")
    related = dict.fromkeys(verdict.statement for verdict in reading.verdicts if verdict.group == "equivalence")
    yield from map(Note, [*list(statements)[:1], *list(related)[:3]])


def _count_holding(reading: Reading) -> str:
    """Return the number of laws that every implementation satisfies as the title of their section."""
    if find_unfinished(reading.head.work, "check"):
        return "Laws"
    of_law = group_by(reading.verdicts, lambda verdict: verdict.law)
    holds = {Status.HOLDS, Status.SKIPPED}
    holding = sum(all(verdict.status in holds for verdict in verdicts) for verdicts in of_law.values())
    cases = len({verdict.case for verdict in reading.verdicts})
    everywhere = "" if cases == 1 else f" in all {cases} implementations"
    return f"{holding} of {count(len(of_law), 'law')} {'holds' if holding == 1 else 'hold'}{everywhere}"


@section(_count_holding)
def laws(reading: Reading) -> Iterator[Part]:
    """Yield the grades and the matrices."""
    if not reading.verdicts:
        return
    grades = law.list_grades(reading.verdicts)
    # A law that an interrupted check did not reach may be broken.
    if grades.rows and not find_unfinished(reading.head.work, "check"):
        yield grades
    seen = [status for status in Status if any(verdict.status is status for verdict in reading.verdicts)]
    yield Legend(tuple((SYMBOLS[status], status.value, MEANINGS[status]) for status in seen), READING)
    yield from matrices(reading.verdicts)


@section("Laws")
def summary(reading: Reading) -> Iterator[Part]:
    """Yield the tally, the contracts, and the laws with the smallest margins."""
    frame = reading.frames.verdicts
    if not reading.verdicts:
        return
    yield _count(reading)
    if (picture := glance(reading.verdicts)) is not None:
        yield picture
    yield law.contracts(frame)
    if frame["ratio"].notna().any():
        yield headroom_figure(frame)
        yield law.closest(frame)


@section("Skipped, and why")
def skipped(reading: Reading) -> Iterator[Part]:
    """Yield the skipped laws and the reasons."""
    table = law.list_skipped(reading.frames.verdicts)
    if table.rows:
        yield table


def _count(reading: Reading) -> RunTally:
    """Return the number of verdicts with each status, and of examples and rows."""
    counts, plurals = (
        Counter(verdict.status for verdict in reading.verdicts),
        {Status.HOLDS: "hold", Status.ERROR: "errors"},
    )
    statuses = []
    for status in Status:
        word = status.value if counts[status] == 1 else plurals.get(status, status.value)
        statuses.append((f"{counts[status]:,}", word, status.fails))
    examples = sum(verdict.examples for verdict in reading.verdicts)
    rows = sum(verdict.rows for verdict in reading.verdicts)
    return RunTally((*statuses, (f"{examples:,}", "examples", False), (f"{rows:,}", "rows checked", False)))
