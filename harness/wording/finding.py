"""The text of findings in all outputs: a sentence, an example, the affected laws and the remedy."""

import shlex
from collections.abc import Callable, Mapping, Sequence

from harness.findings.finding import Finding
from harness.findings.merging import findings
from harness.record.schema import (
    ANY,
    SEED,
    EventKind,
    Input,
    Mistake,
    Status,
    TensorText,
    Verdict,
    Violation,
    WorstExample,
)
from harness.wording.number import count
from harness.wording.verdict import OF_DIGITS, filled, is_no_loss, nest_elements, violation_block

NAMED = 3
"""Maximum number of laws that a finding names."""

SEEN = 2
"""Lines of code, and operations on each, that are named where a format is too narrow for what several do."""

SPELLED_OUT = 8
"""Tensors with more elements are named by their shape."""

PASTED = 240
"""More characters of options are not shown."""

NOT_REQUIRED = "PROPERTY"
"""Title of a finding about a law that need not hold and whose failure loses no digits."""

TITLES = {
    Status.BROKEN: "DEFECT",
    Status.ERROR: "ERROR",
    Status.UNEXPECTED: "NOT FOUND",
    Status.LOST: "LOST DIGITS",
    Status.EXPECTED: "declared",
}
"""Title for each kind of finding."""


def title_of(finding: Finding) -> str:
    """Return the kind of a finding, in capitals."""
    return NOT_REQUIRED if _is_no_loss(finding) else TITLES[finding.status]


Details = list[tuple[str, str]]
"""Labels and texts, in the order in which they are shown."""


def sentence(finding: Finding) -> str:
    """Return the cause as one sentence, or else the wrong result; before it, the releases of torch that differ."""
    return f"{_format_releases(finding)}{explanation(finding) or _format_wrong_result(finding)}"


def _format_releases(finding: Finding) -> str:
    """Return with which releases of torch the laws of a finding hold and break; empty if another reason is possible."""
    releases = {verdict.releases for verdict in finding.verdicts if verdict.status is not Status.LOST}
    pair = releases.pop() if len(releases) == 1 else None
    if pair is None:
        return ""
    was, now = ("failed", "holds") if finding.status is Status.UNEXPECTED else ("held", "breaks")
    return f"{was} with torch {pair[0]}, {now} with {pair[1]}: "


def explanation(finding: Finding) -> str:
    """Return the cause as one sentence; empty if no cause is known."""
    first = finding.first
    if finding.named is not None:
        return finding.named.sentence
    match finding.status:
        case Status.UNCLAIMED if first.violation is None:
            return first.reason or "no reason was recorded"
        case Status.ERROR:
            return first.reason or "no reason was recorded"
        case Status.UNEXPECTED:
            return f"declared failure of {first.law} not found in {count(first.examples, 'example')}: {first.reason}"
    formats = " and ".join(dict.fromkeys(verdict.dtype for verdict in finding.verdicts))
    if finding.is_of_narrowness:
        verb = "is" if " " not in formats else "are"
        # This remedy was tried; no other finding claims that its remedy works.
        return (
            f"{formats} {verb} too narrow for the intermediate results: compute in float32 and round once; then these "
            "laws hold"
        )
    if finding.violation is not None and finding.event is not None:
        return finding.violation.cause
    if finding.is_of_roundings:
        # The cause is likely, not known: no event was found.
        return (
            f"the last digits in {formats} are off, probably from accumulated rounding: compute in float32, round once"
        )
    if first.violation is None or not first.violation.seen:
        return ""
    inputs = {name: value for name, value in _list_inputs(first.violation) if isinstance(value, TensorText)}
    example = f" for {_format_inputs(inputs)}" if inputs else ""
    return f"{_format_law(finding)}: {first.violation.seen}{example}"


def _format_wrong_result(finding: Finding) -> str:
    """Return the result, the exact one and the input of the smallest example; the law's statement without one."""
    first, violation = finding.first, finding.violation
    if violation is None:
        return f"{_format_law(finding)}: {first.statement}"
    actual, expected = _round_distinctly(violation.actual, violation.expected)
    inputs = dict(_list_inputs(violation))
    location = f"{_format_place(violation.place)} for {_format_inputs(inputs)}"
    if len(inputs) == 1 and isinstance(value := next(iter(inputs.values())), TensorText) and len(value.values) == 1:
        location = f" at {_format_number(float.fromhex(value.values[0]))}" if "float" in value.dtype else location
    _, is_reshaped, shapes = violation.cause.partition(": ")[0].partition(" for inputs ")
    if first.law == "any_rank" and is_reshaped:
        location += f" given as {shapes}"
    if first.law not in _OF_THE_CASE or _is_no_loss(finding):
        return f"{_format_law(finding)}: {actual}{location}, not {expected}"
    function = finding.case.rpartition(".")[2]
    return f"{_OF_THE_CASE[first.law]}{function} is {actual}{location}; {expected} is exact"


_OF_THE_CASE = {"value": "", "gradient": "the gradient of "}
"""Laws that compare a number of the case with the exact number, and words for the number."""


def _list_inputs(violation: Violation) -> list[tuple[str, Input]]:
    """Return the inputs of the smallest example, without a cotangent of one, which does not change the gradient."""
    return [(name, value) for name, value in violation.example.items() if name != "cotangent" or not _is_one(value)]


def _is_one(value: Input) -> bool:
    return isinstance(value, TensorText) and bool(value.values) and all(float.fromhex(x) == 1.0 for x in value.values)


def _is_no_loss(finding: Finding) -> bool:
    """Whether laws that are not required fail without a loss of digits of ordinary numbers."""
    return is_no_loss(finding.first) and (finding.first.group not in OF_DIGITS or finding.is_of_rare_numbers)


def _format_law(finding: Finding) -> str:
    """Return the failure of the law that represents the finding."""
    first = finding.first
    if finding.status is not Status.LOST:
        return f"{first.law} is broken"
    return f"{first.law} {'does not hold, but is not required' if _is_no_loss(finding) else 'loses digits'}"


def list_details(finding: Finding, checked: Sequence[Verdict] = (), *, options_only: bool = False) -> Details:
    """Return the example, the affected laws and the replay of a finding.

    Parameters
    ----------
    finding
        The finding.
    checked
        All verdicts of the run, to count the laws and dtypes.
    options_only
        Whether to return only the options that the user adds to the last command.
    """
    violation = finding.violation
    rows: Details = []
    if finding.is_of_narrowness:
        rows.append(("events", _list_events(finding)))
    if violation is not None:
        if violation.seen:
            rows.append(("law", finding.first.statement))
        else:
            outcome = _format_outcome(violation, finding.first.unit, place=violation.place)
            rows.append(("example", f"[{finding.first.where}] {outcome}"))
        # The example of a named mistake was chosen to show it; the worst one may show something else.
        if (worst := finding.worst) is not None and finding.named is None:
            law = f", {worst.law}" if worst.law != finding.first.law else ""
            rows.append(("worst", f"[{worst.where}{law}] {_format_worst(worst)}"))
        has_cause = finding.event is not None or finding.named is not None
        if not (has_cause or finding.is_of_roundings or finding.is_of_narrowness):
            rows += [] if violation.seen else [("law", finding.first.statement)]
            rows.append(("look at", _OF_DEVICE if _holds_on_cpu(finding, checked) else violation.cause))
    elif finding.named is not None and finding.first.reason:
        rows.append(("error", finding.first.reason))
    if finding.named is not None:
        rows += _explain_declaration(finding.named)
    verb = {Status.BROKEN: "breaks", Status.EXPECTED: "breaks"}.get(finding.status, "affects")
    rows.append((verb, _list_laws(finding, checked)))
    if violation is not None:
        rows.append(("rerun", shorten_replay(violation.replay) if options_only else violation.replay))
    return rows


_OF_DEVICE = "the law holds on the CPU: look for code for this device, for autocast, and for products in TF32"


def _holds_on_cpu(finding: Finding, checked: Sequence[Verdict]) -> bool:
    """Whether the law holds on the CPU in the dtype in which it fails elsewhere."""
    there = finding.first.model_copy(update={"device": "cpu"})
    return any(verdict.key == there.key and verdict.status is Status.HOLDS for verdict in checked)


def _explain_declaration(mistake: Mistake) -> Details:
    """Say how a mistake is declared if it is meant."""
    verb = "check" if mistake.declare.startswith("--contract") else "declare"
    return [("meant?", f"{verb} it with `{mistake.declare}`")] if mistake.declare else []


def format_source(mistake: Mistake | None) -> list[str]:
    """Return the place of a mistake, its line of source, and carets under the expression."""
    if mistake is None or mistake.place is None:
        return []
    pointed_lines = point_at(mistake.line, mistake.start, mistake.end)
    return [f"  {mistake.place}", *(f"    {line}" for line in pointed_lines)]


def point_at(code: str, start: int, end: int) -> list[str]:
    """Return a line of source without its indent, and carets under the columns of an expression, if they are known."""
    indent = len(code) - len(code.lstrip())
    carets = [f"{' ' * (start - indent)}{'^' * (end - start)}"] if end > start >= indent else []
    return [code.strip(), *carets]


def _list_events(finding: Finding) -> str:
    """Name what happened to the verdicts of a finding, each once, with the line of code behind the last one on it."""
    events = [verdict.violation.event for verdict in finding.verdicts if verdict.violation is not None]
    known_events = [event for event in events if event is not None]
    of_place: dict[str | None, dict[str, dict[str, None]]] = {}
    for event in known_events:
        operation = f"backward {event.operation}" if event.backward else event.operation
        of_place.setdefault(event.place, {}).setdefault(operation, {})[_VERBS[event.kind]] = None
    lines, file = [], ""
    for location, ways in list(of_place.items())[:SEEN]:
        happened = " and ".join(f"{operation} {' and '.join(verbs)}" for operation, verbs in list(ways.items())[:SEEN])
        at_place = (location or "").removeprefix(file)
        file = (location or "").rpartition(":")[0] or file
        lines.append(f"{happened} ({at_place})" if at_place else happened)
    is_shortened = len(of_place) > SEEN or any(len(ways) > SEEN for ways in of_place.values())
    lines += ["among others"] if is_shortened else []
    return ", ".join([*lines, *(["accumulated rounding"] if len(known_events) < len(events) else [])])


_VERBS = {
    EventKind.OVERFLOW: "overflows",
    EventKind.UNDERFLOW: "underflows",
    EventKind.INVALID: "returns NaN",
    EventKind.CANCELLATION: "cancels",
    EventKind.ABSORPTION: "loses a small term",
    EventKind.ACCUMULATION: "loses small terms of a sum",
}
"""Short verbs for the kinds of events."""


def _format_outcome(
    example: Violation | WorstExample, unit: str, spell: Callable[[float], str] = repr, place: Sequence[int] = ()
) -> str:
    """Return the inputs, the answer and the truth."""
    actual, expected = _round_distinctly(example.actual, example.expected)
    inputs, deviation = _format_inputs(example.example, spell), _format_deviation(example, unit)
    return f"{inputs}: {actual}{_format_place(place)}, expected {expected}{deviation}"


def _format_place(place: Sequence[int]) -> str:
    """Return the index of an element; empty for the first one."""
    return f" at {list(place)}" if any(place) else ""


def _format_inputs(example: Mapping[str, Input], spell: Callable[[float], str] = repr) -> str:
    """Return the inputs with their names."""
    return ", ".join(f"{name} = {_shorten_input(value, spell)}" for name, value in example.items())


def _format_deviation(example: Violation | WorstExample, unit: str) -> str:
    """Return the deviation and its bound if the numbers share leading digits; empty otherwise."""
    if _format_number(example.actual, _SHARED) != _format_number(example.expected, _SHARED):
        return ""
    return f", {_format_number(example.deviation)} {unit} off, bound {_format_number(example.bound)}"


_SHARED = 4
"""Digits that two numbers share if their deviation is worth stating."""


def _round_distinctly(actual: float, expected: float) -> tuple[str, str]:
    """Return two numbers in six digits, or in as many more as show that they differ."""
    for digits in range(_DIGITS, _ALL_DIGITS):
        numbers = _format_number(actual, digits), _format_number(expected, digits)
        if numbers[0] != numbers[1]:
            # One more digit shows by how much.
            shown = digits + (digits > _DIGITS)
            return _format_number(actual, shown), _format_number(expected, shown)
    return _format_number(actual, _ALL_DIGITS), _format_number(expected, _ALL_DIGITS)


_DIGITS, _ALL_DIGITS = 6, 17
"""Usual number of digits, and the number that identifies a float64."""


def _format_worst(verdict: Verdict) -> str:
    violation = verdict.violation
    assert violation is not None
    return _format_outcome(violation.worst or violation, verdict.unit, _format_input)


def _format_number(value: float, digits: int = 6) -> str:
    return f"{value:.{digits}g}"


def _format_input(value: float) -> str:
    """Spell an input in six digits; whole where these make it a whole number, at which much is something else."""
    text = _format_number(value)
    return repr(value) if text.removeprefix("-").isdigit() and float(text) != value else text


def _shorten_input(value: Input, spell: Callable[[float], str] = repr) -> str:
    """Spell an input out in decimal, or name its shape where it is long."""
    if not isinstance(value, TensorText):
        return str(value) if not isinstance(value, float) else _format_number(value)
    if len(value.values) > SPELLED_OUT or not value.values:
        return f"{value.dtype}{list(value.shape)}"
    if not value.dtype.startswith(("float", "bfloat")):
        return nest_elements(list(value.values), value.shape)
    return nest_elements([spell(float.fromhex(text)) for text in value.values], value.shape)


def _list_laws(finding: Finding, checked: Sequence[Verdict]) -> str:
    """Name the first few laws, and say in which dtypes."""
    names = finding.broken_laws
    laws, where = _select_checked(finding, checked), _list_dtypes(finding, checked)
    if len(laws) == len({verdict.key for verdict in finding.verdicts}) > NAMED:
        return f"all checked laws{f', in {where}' if where else ''}"
    spelt = [_list_first(names, number, where) for number in range(min(NAMED, len(names)), 0, -1)]
    return next((text for text in spelt if len(text) <= _LINE), spelt[-1])


_LINE = 68
"""Characters of a fact that stand on one line of a terminal."""


def _list_first(names: Sequence[str], number: int, where: str) -> str:
    """Name the first few of the laws, and count the others."""
    more = f" and {count(len(names) - number, 'more law')}" if len(names) > number else ""
    return f"{', '.join(names[:number])}{more}{f', in {where}' if where else ''}"


def _select_checked(finding: Finding, checked: Sequence[Verdict]) -> list[Verdict]:
    """Return what ran of the finding's case."""
    return [verdict for verdict in checked if verdict.case == finding.case and verdict.status is not Status.SKIPPED]


def _list_dtypes(finding: Finding, checked: Sequence[Verdict]) -> str:
    """Return the dtypes, in words where they are all that were checked."""
    if finding.first.dtype == ANY:
        return ""
    dtypes = dict.fromkeys(verdict.where for verdict in _select_checked(finding, checked))
    if len(finding.dtypes) == len(dtypes) > 1:
        return "all dtypes"
    by_device = finding.dtypes_by_device
    if list(by_device) == ["cpu"]:
        return ", ".join(finding.dtypes)
    devices: dict[tuple[str, ...], list[str]] = {}
    for device, names in by_device.items():
        devices.setdefault(tuple(names), []).append(device)
    return "; ".join(f"{', '.join(names)} on {' and '.join(same)}" for names, same in devices.items())


def shorten_replay(replay: str) -> str:
    """Return the options that show the example again: the replay, starting at its law.

    A replay that a shell cannot read, or that names no law, is returned unchanged.
    """
    try:
        words = shlex.split(replay)
    except ValueError:
        return replay
    if "--law" not in words:
        return replay
    options = shlex.join(words[words.index("--law") :]).replace(f" --seed {SEED}", "")
    if len(options) <= PASTED or "--example" not in words:
        return options
    return f"{shlex.join(words[words.index('--law') : words.index('--example')])} (-v prints the full example)"


def finding_block(
    finding: Finding, checked: Sequence[Verdict] = (), *, width: int = 0, name: str = "", options_only: bool = False
) -> str:
    """Return a finding as a block of text.

    Parameters
    ----------
    finding, checked, options_only
        See :func:`list_details`.
    width
        Maximum line length; 0 for none.
    name
        Text before the sentence; the kind of finding by default.
    """
    lines = _fill_text(f"{name or title_of(finding)}  {sentence(finding)}", width, indent="  ")
    lines += format_source(finding.named)
    for label, text in list_details(finding, checked, options_only=options_only):
        lines += _fill_text(f"  {label:<8}  {text}", width, indent=" " * 12, whole=label == "rerun")
    return "\n".join(lines)


def finding_in_full(finding: Finding, checked: Sequence[Verdict] = ()) -> str:
    """Return a finding and the block of its first verdict."""
    block = finding_block(finding, checked, name=f"{title_of(finding)}  {finding.case}")
    return block if finding.violation is None else f"{block}\n\n{violation_block(finding.first)}"


def finding_in_short(finding: Finding, checked: Sequence[Verdict] = (), *, width: int = 0, name: str = "") -> str:
    """Return a finding as its sentence, an example and the number of other laws."""
    suffix = ""
    if finding.violation is not None and not finding.violation.seen and explanation(finding):
        worst = finding.worst
        is_clearer = worst is not None and (worst.law, worst.where) == (finding.first.law, finding.first.where)
        outcome = _format_outcome(finding.violation, finding.first.unit, _format_input, finding.violation.place)
        suffix = f"; {_format_worst(worst) if worst is not None and is_clearer else outcome}"
    further = _count_other_laws(finding, checked)
    text = f"{name or title_of(finding)}  {sentence(finding)}{suffix}{f' ({further})' if further else ''}"
    return "\n".join(_fill_text(text, width, indent="  "))


def _count_other_laws(finding: Finding, checked: Sequence[Verdict]) -> str:
    """Return the number of other laws, and the dtypes."""
    number = len(finding.broken_laws) - 1
    more = f"and {count(number, 'more law')} " if number else ""
    where = _list_dtypes(finding, checked)
    return f"{more}in {where}" if where else more.strip()


def _fill_text(text: str, width: int, *, indent: str, whole: bool = False) -> list[str]:
    if not width or whole:
        return [text]
    return filled(text, width, subsequent_indent=indent)


def unclaimed_line(verdicts: Sequence[Verdict]) -> str:
    """Return the failures in unclaimed dtypes on one line; empty if there are none."""
    reported = {finding.named.sentence for finding in findings(verdicts) if finding.named is not None}
    unclaimed = [
        finding
        for finding in findings(verdicts, [Status.UNCLAIMED])
        if finding.named is None or sentence(finding) not in reported
    ]
    if not unclaimed:
        return ""
    # A dtype on a device, `float16 on sim`, is claimed by the dtype.
    dtypes = list(dict.fromkeys(dtype.partition(" ")[0] for finding in unclaimed for dtype in finding.dtypes))
    further = f", and {count(len(unclaimed) - 1, 'more finding')}" if len(unclaimed) > 1 else ""
    return f"not claimed: {sentence(unclaimed[0])}{further} (`--dtypes {','.join(dtypes)}` claims them)"


_TERMS = {
    Status.LOST: "lost digits",
    Status.UNEXPECTED: "declared failure",
    Status.BROKEN: "defect",
    Status.UNCLAIMED: "claimed dtype",
}
"""Words of the glossary that the output uses for a status, those first that a reader knows least."""


def glossary_line(verdicts: Sequence[Verdict]) -> str:
    """Return the command that explains the least familiar term of the findings; empty without findings."""
    seen = {verdict.status for verdict in verdicts if not is_no_loss(verdict)}
    term = next((term for status, term in _TERMS.items() if status in seen), "")
    return f"for the meaning of {term}, run `harness explain {term.replace(' ', '-')}`" if term else ""
