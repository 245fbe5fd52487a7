"""Merge violations into causes: verdicts on a case become findings, over laws and dtypes.

There are many verdicts and few causes: an exponential that overflows breaks every law in every dtype. Violations with
the same mistake, or the same event at the same place, are one finding. Other violations are joined by a common example
or a common explanation. A law that several causes break belongs to several findings.
"""

import math
import re
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from harness.findings.finding import NARROW, RANKS, WRONG, Finding, get_event, get_mistake, loses_by_rounding
from harness.record import Event, EventKind, Fault, Mistake, Status, TensorText, Verdict

KeyT = TypeVar("KeyT", bound=Hashable)
ValueT = TypeVar("ValueT")


_GROUPS = ("value", "finite", "algebra", "length", "gradient", "special")
"""Groups of laws, most informative first; infinities come last because they break together with others."""

_FAMILIAR = ("float32", "float64", "bfloat16", "float16")
"""Dtypes, the best-known first."""


def findings(verdicts: Iterable[Verdict], statuses: Sequence[Status] = WRONG) -> list[Finding]:
    """Group verdicts by cause, the worst cause first.

    Parameters
    ----------
    verdicts
        The verdicts of a run.
    statuses
        Statuses that count as wrong. By default, declared failures that occurred do not.
    """
    by_case = group_by((verdict for verdict in verdicts if verdict.status in statuses), lambda verdict: verdict.case)
    return sorted((finding for group in by_case.values() for finding in _find_on_devices(group)), key=_get_rank)


def _find_on_devices(verdicts: Sequence[Verdict]) -> list[Finding]:
    """Return the findings of a case; a failure that an earlier device has, too, belongs to the finding there."""
    found: list[Finding] = []
    for group in group_by(verdicts, lambda verdict: verdict.device).values():
        known = {_get_failure(verdict): place for place, finding in enumerate(found) for verdict in finding.verdicts}
        new = []
        for verdict in group:
            if (place := known.get(_get_failure(verdict))) is None:
                new.append(verdict)
            else:
                found[place] = replace(found[place], verdicts=(*found[place].verdicts, verdict))
        found += _find_in_case(new)
    return found


def _get_failure(verdict: Verdict) -> tuple[str, str, Status]:
    return verdict.law, verdict.dtype, verdict.status


def _get_rank(finding: Finding) -> tuple[int, bool, bool, bool]:
    """Put the worst first; of these, a named mistake, then gross errors at ordinary inputs, then wrong values."""
    is_rare = not finding.is_gross
    return RANKS.index(finding.status), not finding.named, is_rare, finding.first.group != "value"


def _find_in_case(verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """Yield the findings of a case; all groups that float32 repairs are one finding."""
    named, rest = _split_by_mistake([*verdicts, *_list_other_causes(verdicts)])
    if named:
        yield _make_finding(named)
    narrow: dict[Status, list[list[Verdict]]] = {}
    for group in _join_consequences(list(_group_by_mark(rest))):
        if _is_of_narrowness(group):
            worst = min((verdict.status for verdict in group), key=RANKS.index)
            narrow.setdefault(worst, []).append(group)
        else:
            yield _make_finding(group)
    while narrow:
        groups = narrow.pop(min(narrow, key=RANKS.index))
        if len(groups) > 1:
            # The digits that the format merely costs are of the same cause.
            groups += [group for milder in narrow.values() for group in milder]
            narrow.clear()
        if len(groups) == 1:
            yield _make_finding(groups[0])
            continue
        together = [verdict for group in groups for verdict in group]
        yield _make_finding([verdict for verdict in together if verdict.dtype in NARROW], is_of_narrowness=True)
        # The remedy is float32, so the digits that wider formats lose are other findings.
        yield from (
            _make_finding(wide)
            for group in groups
            if (wide := [verdict for verdict in group if verdict.dtype not in NARROW])
        )


def _split_by_mistake(verdicts: Sequence[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Separate the verdicts that follow from a named mistake: directly, through a law that does, or by its code."""
    direct = [verdict for verdict in verdicts if get_mistake(verdict) is not None]
    bases = {(verdict.law, verdict.dtype): verdict for verdict in direct}

    def get_base(verdict: Verdict) -> Verdict | None:
        violation = verdict.violation
        if violation is None or violation.named or violation.event:
            return None
        return bases.get((violation.follows, verdict.dtype))

    mistakes = [mistake for verdict in direct[:1] if (mistake := get_mistake(verdict)) is not None]
    indirect = [
        verdict
        for verdict in verdicts
        if get_base(verdict) or any(_costs_digits(verdict, mistake) for mistake in mistakes)
    ]
    following = set(map(id, direct + indirect))
    independent = [verdict for verdict in verdicts if id(verdict) not in following]
    return direct + indirect, independent


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
"""Operators in source code by the name of the operation."""


def _costs_digits(verdict: Verdict, mistake: Mistake) -> bool:
    """Whether digits are lost by an operation of the expression that is the mistake."""
    event = get_event(verdict)
    if verdict.status is not Status.LOST or event is None or event.place is None or mistake.place is None:
        return False
    code = mistake.line[mistake.start : mistake.end]
    is_there = f"{event.operation}(" in code or _SIGNS.get(event.operation, "\0") in code
    return is_there and Path(mistake.place).name == Path(event.place).name and get_mistake(verdict) is None


def _list_other_causes(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Yield copies of the verdicts, one for each further cause that breaks the law."""
    for verdict in verdicts:
        for violation in verdict.violation.beside if verdict.violation is not None else ():
            yield verdict.model_copy(update={"violation": violation})


def _make_finding(group: Sequence[Verdict], *, is_of_narrowness: bool = False) -> Finding:
    """Return a finding; if a verdict has two examples, the one with a non-finite answer comes first."""
    infinite = {verdict.key for verdict in group if verdict.violation and math.isinf(verdict.violation.deviation)}

    def get_rank(verdict: Verdict) -> tuple[int, ...]:
        milder = verdict.violation is not None and not math.isinf(verdict.violation.deviation)
        return (*_shows_mistake(verdict), int(milder and verdict.key in infinite), *_get_sort_key(verdict))

    return Finding(tuple(sorted(group, key=get_rank)), is_of_narrowness)


def _shows_mistake(verdict: Verdict) -> tuple[bool, bool, bool]:
    """Return keys that put a finite wrong value first among the verdicts of a named mistake; equal without one."""
    violation = verdict.violation
    if violation is None or violation.named is None:
        return True, True, True
    return False, not math.isfinite(violation.actual), verdict.law != "value"


def _is_of_narrowness(group: Sequence[Verdict]) -> bool:
    """Whether float32 repairs every failure of the worst status in a group.

    Roundings that differ between two runs do not count, since float32 is not tried for them.
    """
    worst = min((verdict.status for verdict in group), key=RANKS.index)
    untried = [verdict for verdict in group if verdict.group == "implementation" and loses_by_rounding(verdict)]
    tried = [verdict for verdict in group if verdict not in untried and verdict.status is worst]
    return bool(tried) and all(verdict.violation is not None and verdict.violation.mended_wider for verdict in tried)


def _join_consequences(groups: Sequence[list[Verdict]]) -> list[list[Verdict]]:
    """Join groups that follow from a wrong value or gradient to the group of that value or gradient.

    Groups with a known event are left alone: the event has already joined or separated them. A non-finite answer
    follows from a finite one only if the worst example is non-finite, too: a mask that lets NaN through is another
    fault.
    """
    groups = list(groups)
    for group in list(groups):
        owners = [_find_cause(verdict, groups) for verdict in group]
        if (target := owners[0]) is not None and target is not group and all(owner is not None for owner in owners):
            target.extend(group)
            groups = [candidate for candidate in groups if candidate is not group]
    return groups


def _find_cause(verdict: Verdict, groups: Sequence[list[Verdict]]) -> list[Verdict] | None:
    """Return the group that a verdict follows from in its dtype; ``None`` if it is independent."""
    violation = verdict.violation
    if violation is None:
        return None
    base = violation.follows or _find_short_row_law(verdict)
    for group in groups:
        for cause in group:
            if cause.violation is None or (cause.law, cause.dtype) != (base, verdict.dtype):
                continue
            events = violation.event is not None or cause.violation.event is not None
            seen = [example.actual for example in (cause.violation, cause.violation.worst) if example is not None]
            similar = math.isfinite(violation.actual) in map(math.isfinite, seen)
            return group if similar and not events else None
    return None


_SHORT = 16
"""Maximum length of a short row; narrow sums stall from a few dozen entries on."""


def _find_short_row_law(verdict: Verdict) -> str:
    """Return the law that also breaks on the short rows on which a law of long rows breaks; empty for other laws."""
    base = verdict.law.removesuffix("_on_long_rows")
    example = verdict.violation.example.values() if verdict.violation is not None else ()
    sizes = [size for x in example if isinstance(x, TensorText) and x.values for size in x.shape[-1:]]
    return base if base != verdict.law and sizes and max(sizes) <= _SHORT else ""


def _get_sort_key(verdict: Verdict) -> tuple[int, ...]:
    """Return a sort key for how informative a verdict is: failures, values, float32 and small examples first."""
    group = _GROUPS.index(verdict.group) if verdict.group in _GROUPS else len(_GROUPS)
    dtype = _FAMILIAR.index(verdict.dtype) if verdict.dtype in _FAMILIAR else len(_FAMILIAR)
    elements = sum(
        max(1, len(value.values)) if isinstance(value, TensorText) else 0
        for value in (verdict.violation.example.values() if verdict.violation else ())
    )
    return (RANKS.index(verdict.status), group, dtype, elements)


def _group_by_mark(verdicts: Sequence[Verdict]) -> Iterator[list[Verdict]]:
    """Join verdicts that share a mark: a mistake, an event, an example, an explanation or an error.

    An event says more than an example: two events on one example are two findings. A verdict without an event joins the
    first finding with its example or its law.
    """
    groups: list[list[Verdict]] = []
    by_mark: dict[Hashable, list[Verdict]] = {}
    wide = {verdict.law for verdict in verdicts if verdict.dtype not in NARROW}
    other_marks: dict[Hashable, list[Hashable]] = {}
    for verdict in verdicts:
        if (event := get_event(verdict)) is not None:
            other_marks.setdefault(verdict.key, []).append(get_mark(event))
    for verdict in sorted(verdicts, key=_is_unexplained):
        marks = _list_marks(verdict, wide)
        matches = [group for mark in marks if (group := by_mark.get(mark)) is not None]
        if get_event(verdict) is None:
            # Another cause of the same law is known to be separate.
            rest = [by_mark.get(mark) for mark in other_marks.get(verdict.key, ())]
            matches = [group for group in matches if not any(group is separate for separate in rest)]
        group = matches[0] if matches else []
        if not matches:
            groups.append(group)
        for match in {id(group_): group_ for group_ in matches[1:]}.values():
            if match is not group and not any(map(get_event, match)):
                group.extend(match)
                groups.remove(match)
                by_mark.update({mark: group for mark, owner in by_mark.items() if owner is match})
        group.append(verdict)
        # Errors share no law with violations: in another dtype, the law may never have called the function.
        single = marks[0] == _ROUNDINGS or verdict.violation is None
        shared = () if single else (*_get_example(verdict), ("law", verdict.law))
        for mark in (*marks, *shared):
            by_mark.setdefault(mark, group)
    yield from (group for group in groups if group)


def _is_unexplained(verdict: Verdict) -> bool:
    return get_event(verdict) is None and not (verdict.violation and verdict.violation.named)


def _list_marks(verdict: Verdict, wide: Container[str] = ()) -> list[Hashable]:
    """Return the marks that a verdict shares with others of its finding; laws in ``wide`` break in wide formats."""
    if verdict.status is Status.ERROR or verdict.violation is None:
        own_words = verdict.fault in {None, Fault.RAISED}
        return [(verdict.status, verdict.fault, _NUMBER.sub("#", verdict.reason or "") if own_words else None)]
    if verdict.violation.seen:
        return [("law", verdict.law)]
    if (event := get_event(verdict)) is not None:
        return [get_mark(event)]
    if loses_by_rounding(verdict) and verdict.law not in wide:
        return [_ROUNDINGS]
    return [*_get_example(verdict), *_get_numbers(verdict), ("cause", verdict.violation.cause), ("law", verdict.law)]


def get_mark(event: Event) -> Hashable:
    """Return a mark that is equal for events with one cause.

    Leaving the range on a line of code is one, and so is canceling on one, in its backward pass too; else it is the
    same step, as where zero is multiplied by infinity, which no scaling mends.
    """
    too_long = event.kind is EventKind.OVERFLOW and event.operation in _SUMS and event.input is None
    zero_times_infinity = event.kind is EventKind.INVALID and event.operation == "mul" and not event.backward
    if event.kind in _OF_RANGE and not too_long and not zero_times_infinity and event.place is not None:
        return ("range", event.place)
    if event.kind is EventKind.CANCELLATION and event.place is not None:
        return (event.kind, event.place)
    return ("event", *event.step)


_NUMBER = re.compile(r"0x[0-9a-fA-F]+|(?:\bb?float)?\d+")
"""Numbers, dtypes and memory addresses, in which equal errors differ."""

_ROUNDINGS = "roundings of 16 bits"
"""Marks failures without a known cause."""

_OF_RANGE = {EventKind.OVERFLOW, EventKind.UNDERFLOW, EventKind.INVALID}
"""Events that leave the range of a format; later quotients and the backward pass of the line follow from them."""

_SUMS = {"sum", "mean", "cumsum", "mm", "bmm", "addmm", "dot"}
"""Operations that overflow because of the length of a sum, which only a wider accumulator repairs.

If the terms are large rather than many, the event has the largest term as its input and the cause is their size.
"""


def _get_example(verdict: Verdict) -> list[Hashable]:
    """The first input of the smallest example."""
    if verdict.violation is None or not verdict.violation.example or verdict.violation.seen:
        return []
    return [("example", verdict.dtype, str(next(iter(verdict.violation.example.values()))))]


def _get_numbers(verdict: Verdict) -> list[Hashable]:
    """Return the answer and the exact value as a mark, unless the exact value is an integer or an infinity."""
    violation = verdict.violation
    if violation is None or not math.isfinite(violation.deviation) or float(violation.expected).is_integer():
        return []
    return [("numbers", verdict.dtype, violation.actual, violation.expected)]


def group_by(values: Iterable[ValueT], key: Callable[[ValueT], KeyT]) -> dict[KeyT, list[ValueT]]:
    """Return the values by their keys; keys and values keep their order."""
    groups: dict[KeyT, list[ValueT]] = {}
    for value in values:
        groups.setdefault(key(value), []).append(value)
    return groups
