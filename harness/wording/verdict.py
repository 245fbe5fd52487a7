"""The words of verdicts and properties, from which terminal, report and Markdown take their text."""

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from harness.findings.merging import findings
from harness.record.property import Property
from harness.record.schema import ANY, Mistake, Status, TensorText, Verdict, WorstExample
from harness.wording.number import count

NAMED = 3
"""Maximum number of cases or laws that a line names."""


filled = partial(textwrap.wrap, break_long_words=False, break_on_hyphens=False)
"""Break a text into lines between words; a word is never broken."""


def verdict_line(verdicts: Sequence[Verdict], early: str = "") -> str:
    """Return the verdict on all laws of a run as one plain sentence.

    A law of a case counts once, however many verdicts it has on dtypes and devices. The sentence begins with ``early``,
    the reason why the check ended early, as :func:`harness.record.head.early` returns it.
    """
    if early:
        return verdict_line(verdicts).replace("verdict: ", f"verdict: {early}, the rest was not checked; ", 1)
    counts = Counter(verdict.status for verdict in verdicts)
    ran = count_laws(verdict for verdict in verdicts if verdict.status is not Status.SKIPPED)
    if not verdicts:
        return "verdict: none, no law was checked"
    if not ran:
        return f"verdict: none, every law was skipped ({counts[Status.SKIPPED]:,} skipped)"
    silent = find_unjudged(verdicts)
    nothing = f"; nothing was measured in {', '.join(silent)}" if silent else ""
    soundness = f"no {'undeclared ' if counts[Status.EXPECTED] else ''}defect in {count(ran, 'law')}"
    outcome = "; ".join(_list_failures(verdicts, ran)) or soundness
    total = f"{len(verdicts):,} verdicts: " if len(verdicts) > ran + counts[Status.SKIPPED] else ""
    return f"verdict: {outcome}{nothing} ({total}{_format_tally(verdicts)})"


def count_laws(verdicts: Iterable[Verdict]) -> int:
    """Count the laws of all cases; a law with several dtypes or devices counts once."""
    return len({(verdict.case, verdict.law) for verdict in verdicts})


def census_line(verdicts: Sequence[Verdict]) -> str:
    """Return how much was checked: a silent skip would show here."""
    cases = len({verdict.case for verdict in verdicts})
    examples, rows = (sum(getattr(verdict, name) for verdict in verdicts) for name in ("examples", "rows"))
    counted = [(cases, "case"), (len(verdicts), "verdict"), (examples, "example"), (rows, "row")]
    early_ends = sum(verdict.cut_short for verdict in verdicts)
    were = "was" if early_ends == 1 else "were"
    cut_short = f"; {count(early_ends, 'law')} {were} cut short by --seconds" if early_ends else ""
    return f"checked: {', '.join(count(number, noun) for number, noun in counted)}{cut_short}"


def skip_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """Return a line for each reason why laws were skipped, the most frequent first."""
    skipped = [verdict for verdict in verdicts if verdict.status is Status.SKIPPED]
    lines = []
    for reason, number in Counter(verdict.reason or "no reason was recorded" for verdict in skipped).most_common():
        names = dict.fromkeys(verdict.law for verdict in skipped if verdict.reason == reason)
        dtypes = dict.fromkeys(verdict.dtype for verdict in skipped if verdict.reason == reason)
        where = _list_first(names, "laws") + ("" if set(dtypes) == {ANY} else f" in {', '.join(dtypes)}")
        lines.append(f"skipped: {reason} ({number:,}: {where})")
    return lines


def _list_first(names: Iterable[str], noun: str) -> str:
    listed = list(names)
    return ", ".join(listed) if len(listed) <= NAMED else f"{len(listed):,} {noun}"


def select_failing(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdicts that make a run fail: broken laws first, then undiscovered declarations, then errors."""
    order = [Status.BROKEN, Status.UNEXPECTED, Status.ERROR]
    failures = [verdict for verdict in verdicts if verdict.status.fails]
    return sorted(failures, key=lambda verdict: order.index(verdict.status))


_FAILURES = {
    Status.BROKEN: ("defect", "breaks", "break"),
    Status.UNEXPECTED: ("declared failure", "is not found with", "are not found with"),
    Status.ERROR: ("error", "affects", "affect"),
}
"""The noun of a finding by its status, and its verb before the laws, in the singular and the plural."""


def _list_failures(verdicts: Sequence[Verdict], ran: int) -> list[str]:
    """Return a phrase for each kind of failure: how many findings, on how many laws, in which cases."""
    merged = findings(verdicts)
    phrases = []
    for status, phrase in _FAILURES.items():
        selected = [finding for finding in merged if finding.status is status]
        laws = count_laws(verdict for finding in merged for verdict in finding.verdicts if verdict.status is status)
        if selected:
            where = _list_first(dict.fromkeys(finding.case for finding in selected), "cases")
            noun, singular, plural = phrase
            verb = singular if len(selected) == 1 else plural
            phrases.append(f"{count(len(selected), noun)} in {where} {verb} {laws:,} of {count(ran, 'law')}")
    return phrases


def _format_tally(verdicts: Sequence[Verdict]) -> str:
    """Return how many verdicts have each status; the numbers add up to all verdicts."""
    counts = Counter(NOT_REQUIRED if is_no_loss(verdict) else verdict.status.value for verdict in verdicts)
    holding, losing, expected = (counts[status.value] for status in (Status.HOLDS, Status.LOST, Status.EXPECTED))
    failing = [Status.BROKEN, Status.UNEXPECTED, Status.ERROR]
    statuses = [*(status.value for status in failing), NOT_REQUIRED, Status.UNCLAIMED.value, Status.SKIPPED.value]
    parts = [
        f"{holding:,} {'holds' if holding == 1 else 'hold'}",
        *([count(expected, "expected failure")] if expected else []),
        *([f"{losing:,} {'loses' if losing == 1 else 'lose'} digits"] if losing else []),
        *(f"{counts[kind]:,} {_ENDINGS.get(kind, kind)}" for kind in statuses if counts[kind]),
    ]
    return ", ".join(parts)


NOT_REQUIRED = "not required"
"""Kind of a failure that loses no digits of a value and is no defect."""

OF_DIGITS = {"value", "length", "gradient"}
"""Groups of laws that can lose digits."""

_ENDINGS = {Status.UNEXPECTED.value: "not found", Status.ERROR.value: "with an error"}
"""Kinds whose words in the tally differ from the status."""


def is_no_loss(verdict: Verdict) -> bool:
    """Whether a law that is not required fails without a loss of digits of ordinary numbers."""
    return verdict.status is Status.LOST and (verdict.group not in OF_DIGITS or verdict.is_of_subnormals)


def violation_block(verdict: Verdict) -> str:
    """Return the violation of a verdict as the fixed block of text that terminal, report and records share.

    Raises
    ------
    ValueError
        If the verdict carries no violation.
    """
    violation = verdict.violation
    if violation is None:
        raise ValueError(f"{verdict.case} does not break {verdict.law} [{verdict.where}]")
    verb = {Status.BROKEN: "breaks", Status.LOST: "loses digits in"}.get(verdict.status, "breaks, as declared,")
    place = f"({', '.join(map(str, violation.place))}{',' if len(violation.place) == 1 else ''})"
    examples = [f"{name} = {spell_input(value)}" for name, value in violation.example.items()]
    table = [
        *([("observed", violation.seen)] if violation.seen else []),
        *([("mistake", _format_mistake(violation.named))] if violation.named is not None else []),
        ("statement", verdict.statement),
        ("source", verdict.source),
        ("actual", f"{violation.actual!r} at {place}" if violation.place else f"{violation.actual!r}"),
        ("expected", f"{violation.expected!r}"),
        (
            "deviation",
            f"{violation.deviation:.6g} {verdict.unit}, bound {violation.bound:.6g} {verdict.unit}; "
            f"{violation.over} of {violation.of} elements over",
        ),
        *(("example" if i == 0 else "", text) for i, text in enumerate(examples)),
        ("replay", violation.replay),
        *([("worst", _format_worst(violation.worst, verdict.unit))] if violation.worst is not None else []),
        ("look at", violation.cause),
    ]
    lines = [f"{verdict.case} {verb} {verdict.law} [{verdict.where}]"]
    lines += [f"  {label:<9}  {text}" for label, text in table]
    return "\n".join(lines)


def _format_mistake(mistake: Mistake) -> str:
    """Return the sentence of a named mistake with its place."""
    return f"{mistake.sentence} ({mistake.place})" if mistake.place is not None else mistake.sentence


def _format_worst(worst: WorstExample, unit: str) -> str:
    """Return the worst example as one line, with the bound for its inputs."""
    inputs = ", ".join(f"{name} = {spell_input(value)}" for name, value in worst.example.items())
    outcome = f"{worst.actual!r}, expected {worst.expected!r},"
    return f"{worst.deviation:.6g} {unit}, bound {worst.bound:.6g}: {outcome} at {inputs}; replay {worst.replay}"


def spell_input(value: object) -> str:
    """Spell an input out: nested as its shape says, each float also in decimal where there are few."""
    if not isinstance(value, TensorText):
        return str(value)
    if len(value.values) > SPELLED_OUT or not value.values:
        return f"{value.dtype} tensor of shape {list(value.shape)}; the replay reproduces its values"
    exact = nest_elements(list(value.values), value.shape)
    if not value.dtype.startswith(("float", "bfloat")):
        return exact
    return f"{exact} = {nest_elements([f'{float.fromhex(text):.17g}' for text in value.values], value.shape)}"


SPELLED_OUT = 16
"""Tensors with more elements are named by their shape in the block."""


def nest_elements(texts: list[str], shape: tuple[int, ...]) -> str:
    """Return the elements of a tensor, row-major, in brackets as its shape says."""
    if not shape:
        return texts[0]
    if len(shape) == 1:
        return f"[{', '.join(texts)}]"
    size = len(texts) // shape[0] if shape[0] else 0
    return f"[{', '.join(nest_elements(texts[i * size : (i + 1) * size], shape[1:]) for i in range(shape[0]))}]"


def property_sentences(properties: Iterable[Property]) -> list[str]:
    """Return a sentence for each property of some cases, with its dtypes."""
    dtypes: dict[tuple[str, str], dict[str, None]] = {}
    for record in properties:
        dtypes.setdefault((record.case, record.sentence), {})[record.dtype] = None
    return [
        sentence.replace("{case}", case).replace("{dtypes}", " and ".join(filter(None, names)))
        for (case, sentence), names in dtypes.items()
    ]


def find_unjudged(verdicts: Iterable[Verdict]) -> list[str]:
    """Return the dtypes in which no law was judged, each named once, in order."""
    ran: dict[str, bool] = {}
    for verdict in verdicts:
        ran[verdict.dtype] = ran.get(verdict.dtype, False) or verdict.rows > 0
    return [dtype for dtype, judged in ran.items() if not judged]
