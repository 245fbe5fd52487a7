"""Findings: verdicts on a case, grouped by cause over laws and dtypes.

There are many verdicts and few causes: an exponential that overflows breaks every law in every dtype. Violations with
the same mistake, or the same event at the same place, are one finding. Other violations are joined by a common example
or a common explanation. A law that several causes break belongs to several findings.
"""

import math
import re
from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.record.fault import Fault
from harness.record.schema import Event, EventKind, Mistake, Status, TensorText, Verdict, Violation

WRONG = (Status.BROKEN, Status.ERROR, Status.UNEXPECTED, Status.LOST)
"""The statuses of a finding, unless others are named."""

RANKS = (*WRONG, Status.EXPECTED, Status.UNCLAIMED)
"""Order of statuses; the status of a finding is the first one among its verdicts."""

_GROUPS = ("value", "finite", "algebra", "length", "gradient", "special")
"""Groups of laws, most informative first; infinities come last because they break together with others."""

_FAMILIAR = ("float32", "float64", "bfloat16", "float16")
"""Dtypes, the ones first that people know."""


@dataclass(frozen=True)
class Finding:
    """One cause of failures of a case.

    Parameters
    ----------
    verdicts
        The verdicts with this cause; the first one represents them.
    is_of_narrowness
        Whether it joins several events that computing in float32 repairs, so that the format is the cause.
    """

    verdicts: tuple[Verdict, ...]
    is_of_narrowness: bool = False

    @property
    def first(self) -> Verdict:
        """The verdict that stands for all."""
        return self.verdicts[0]

    @property
    def case(self) -> str:
        """The case."""
        return self.first.case

    @property
    def status(self) -> Status:
        """The worst status of a verdict."""
        return self.first.status

    @property
    def violation(self) -> Violation | None:
        """The smallest example; ``None`` for an error."""
        return self.first.violation

    @property
    def event(self) -> Event | None:
        """The event in the computation; ``None`` if unknown."""
        return None if self.violation is None else self.violation.event

    @property
    def named(self) -> Mistake | None:
        """The named mistake from which all verdicts follow."""
        return _named(self.first)

    @property
    def laws(self) -> list[str]:
        """All laws, in the order in which they are reported."""
        return list(dict.fromkeys(verdict.law for verdict in self.verdicts))

    @property
    def broken_laws(self) -> list[str]:
        """The same laws, without laws of a defect that only lose digits."""
        return list(dict.fromkeys(verdict.law for verdict in self._counted))

    @property
    def dtypes(self) -> list[str]:
        """The dtypes, and the device if it is not the CPU; without those in which a defect only loses digits."""
        return list(dict.fromkeys(verdict.where for verdict in self._counted))

    @property
    def _counted(self) -> list[Verdict]:
        milder = {Status.LOST} - {self.status}
        return [verdict for verdict in self.verdicts if verdict.status not in milder]

    @property
    def is_of_roundings(self) -> bool:
        """Whether all that is known is that answers in 16 bits are off by some of their digits."""
        return all(map(_rounds, self.verdicts))

    @property
    def is_of_rare_numbers(self) -> bool:
        """Whether only subnormal, extreme or infinite numbers lose digits, which is not shown by default."""
        lost = all(verdict.status is Status.LOST for verdict in self.verdicts)
        return lost and all(verdict.is_of_subnormals or verdict.group == "special" for verdict in self.verdicts)

    @property
    def worst(self) -> Verdict | None:
        """The verdict with the worst example; ``None`` where the smallest one shows as much."""
        if self.violation is None or math.isinf(self.violation.deviation):
            return None
        # Under a sentence about one operation stands what that operation did.
        step = None if self.is_of_narrowness or self.event is None else self.event.step
        seen = [verdict for verdict in self.verdicts if step is None or _is_of_step(verdict, step)]
        worst = max((verdict for verdict in seen if verdict.violation is not None), key=_excess)
        clearly = _excess(worst) >= _CLEARLY * _ratio(self.violation)
        return worst if clearly and _answer(worst) != _answer(self.first, smallest=True) else None


def _is_of_step(verdict: Verdict, step: Hashable) -> bool:
    event = _event(verdict)
    return event is not None and event.step == step


_CLEARLY = 2.0
"""A worst example is shown if its deviation exceeds the bound this many times as far."""


def _ratio(violation: Violation) -> float:
    """Return a deviation as a multiple of its bound; a bound of zero counts as one."""
    return violation.deviation / (violation.bound or 1.0)


def _answer(verdict: Verdict, *, smallest: bool = False) -> tuple[object, ...]:
    """Return the answer on the worst example of a verdict, or on its smallest, to compare it with other laws."""
    violation = verdict.violation
    assert violation is not None
    shown = violation if smallest else violation.worst or violation
    return verdict.where, shown.example, repr(shown.actual), repr(shown.expected)


def _excess(verdict: Verdict) -> float:
    violation = verdict.violation
    assert violation is not None
    found = violation.worst
    ratio = 0.0 if math.isnan(violation.expected) else _ratio(violation)
    # A distance from an undefined exact value shows nothing.
    if found is None or math.isnan(found.expected):
        return ratio
    return max(ratio, found.deviation / (found.bound or 1.0))


def findings(verdicts: Iterable[Verdict], statuses: Sequence[Status] = WRONG) -> list[Finding]:
    """Group verdicts by cause, the worst cause first.

    Parameters
    ----------
    verdicts
        The verdicts of a run.
    statuses
        Statuses that count as wrong. By default, declared failures that occurred do not.
    """
    by_case: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.status in statuses:
            by_case.setdefault((verdict.case, verdict.device), []).append(verdict)
    grouped = [finding for group in by_case.values() for finding in _of_case(group)]
    return sorted(grouped, key=_order)


def _order(finding: Finding) -> tuple[int, bool, bool]:
    """Put the worst first; of these, a named mistake, then wrong values."""
    return RANKS.index(finding.status), not finding.named, finding.first.group != "value"


def _of_case(verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """Yield the findings of a case; all groups that float32 repairs are one finding."""
    named, others = _by_mistake([*verdicts, *_other_causes(verdicts)])
    if named:
        yield _of_group(named)
    narrow: dict[Status, list[list[Verdict]]] = {}
    for group in _with_what_follows(list(_groups(others))):
        if _is_of_narrowness(group):
            worst = min((verdict.status for verdict in group), key=RANKS.index)
            narrow.setdefault(worst, []).append(group)
        else:
            yield _of_group(group)
    while narrow:
        groups = narrow.pop(min(narrow, key=RANKS.index))
        if len(groups) > 1:
            # The digits that the format merely costs are of the same cause.
            groups += [group for milder in narrow.values() for group in milder]
            narrow.clear()
        if len(groups) == 1:
            yield _of_group(groups[0])
            continue
        yield _of_group([one for group in groups for one in group if one.dtype in _NARROW], is_of_narrowness=True)
        # The remedy is float32, so the digits that wider formats lose are other findings.
        yield from (_of_group(wide) for group in groups if (wide := [one for one in group if one.dtype not in _NARROW]))


def _by_mistake(verdicts: Sequence[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Separate the verdicts that follow from a named mistake: directly, through a law that does, or by its code."""
    direct = [verdict for verdict in verdicts if _named(verdict) is not None]
    bases = {(verdict.law, verdict.dtype): verdict for verdict in direct}

    def base(verdict: Verdict) -> Verdict | None:
        violation = verdict.violation
        return (
            None
            if violation is None or violation.named or violation.event
            else bases.get((violation.follows, verdict.dtype))
        )

    mistakes = [mistake for verdict in direct[:1] if (mistake := _named(verdict)) is not None]
    indirect = [
        verdict
        for verdict in verdicts
        if base(verdict) is not None or any(_costs_digits(verdict, mistake) for mistake in mistakes)
    ]
    found = set(map(id, direct + indirect))
    left = [verdict for verdict in verdicts if id(verdict) not in found]
    return direct + indirect, left


_SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
"""Signs of operations in code."""


def _costs_digits(verdict: Verdict, mistake: Mistake) -> bool:
    """Whether digits are lost by an operation of the expression that is the mistake."""
    event = _event(verdict)
    if verdict.status is not Status.LOST or event is None or event.place is None or mistake.place is None:
        return False
    code = mistake.line[mistake.start : mistake.end]
    is_there = f"{event.operation}(" in code or _SIGNS.get(event.operation, "\0") in code
    return is_there and Path(mistake.place).name == Path(event.place).name and _named(verdict) is None


def _named(verdict: Verdict) -> Mistake | None:
    return verdict.named if verdict.violation is None else verdict.violation.named


def _other_causes(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Yield each verdict again with every other cause that its law is broken by."""
    for verdict in verdicts:
        for violation in verdict.violation.beside if verdict.violation is not None else ():
            yield verdict.model_copy(update={"violation": violation})


def _of_group(group: Sequence[Verdict], *, is_of_narrowness: bool = False) -> Finding:
    """Return a finding; if a verdict has two examples, the one with a non-finite answer comes first."""
    infinite = {verdict.key for verdict in group if verdict.violation and math.isinf(verdict.violation.deviation)}

    def telling(verdict: Verdict) -> tuple[int, ...]:
        milder = verdict.violation is not None and not math.isinf(verdict.violation.deviation)
        return (*_shows_mistake(verdict), int(milder and verdict.key in infinite), *_informative_first(verdict))

    return Finding(tuple(sorted(group, key=telling)), is_of_narrowness)


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
    untried = [verdict for verdict in group if verdict.group == "implementation" and _rounds(verdict)]
    tried = [verdict for verdict in group if verdict not in untried and verdict.status is worst]
    return bool(tried) and all(verdict.violation is not None and verdict.violation.mended_wider for verdict in tried)


def _with_what_follows(groups: Sequence[list[Verdict]]) -> list[list[Verdict]]:
    """Join groups that follow from a wrong value or gradient to the group of that value or gradient.

    Groups with a known event are left alone: the event has already joined or separated them. A non-finite answer
    follows from a finite one only if the worst example is non-finite, too: a mask that lets NaN through is another
    fault.
    """
    groups = list(groups)
    for group in list(groups):
        owners = [_followed(verdict, groups) for verdict in group]
        if (target := owners[0]) is not None and target is not group and all(owner is not None for owner in owners):
            target.extend(group)
            groups = [other for other in groups if other is not group]
    return groups


def _followed(verdict: Verdict, groups: Sequence[list[Verdict]]) -> list[Verdict] | None:
    """Return the group that a verdict follows from in its dtype; ``None`` if it is independent."""
    violation = verdict.violation
    for group in groups:
        for other in group:
            if (
                violation is None
                or other.violation is None
                or (other.law, other.dtype) != (violation.follows, verdict.dtype)
            ):
                continue
            events = violation.event is not None or other.violation.event is not None
            seen = [shown.actual for shown in (other.violation, other.violation.worst) if shown is not None]
            similar = math.isfinite(violation.actual) in map(math.isfinite, seen)
            return group if similar and not events else None
    return None


def _informative_first(verdict: Verdict) -> tuple[int, ...]:
    """Return a sort key for how informative a verdict is: failures, values, float32 and small examples first."""
    group = _GROUPS.index(verdict.group) if verdict.group in _GROUPS else len(_GROUPS)
    dtype = _FAMILIAR.index(verdict.dtype) if verdict.dtype in _FAMILIAR else len(_FAMILIAR)
    elements = sum(
        max(1, len(value.values)) if isinstance(value, TensorText) else 0
        for value in (verdict.violation.example.values() if verdict.violation else ())
    )
    return (RANKS.index(verdict.status), group, dtype, elements)


def _groups(verdicts: Sequence[Verdict]) -> Iterator[list[Verdict]]:
    """Join verdicts that share a mark: a mistake, an event, an example, an explanation or an error.

    An event says more than an example: two events on one example are two findings. A verdict without an event joins the
    first finding with its example or its law.
    """
    groups: list[list[Verdict]] = []
    found: dict[Hashable, list[Verdict]] = {}
    wide = {verdict.law for verdict in verdicts if verdict.dtype not in _NARROW}
    marks_beside: dict[Hashable, list[Hashable]] = {}
    for verdict in verdicts:
        if (event := _event(verdict)) is not None:
            marks_beside.setdefault(verdict.key, []).append(mark_of(event))
    for verdict in sorted(verdicts, key=_is_unexplained):
        marks = _marks(verdict, wide)
        known = [group for mark in marks if (group := found.get(mark)) is not None]
        if _event(verdict) is None:
            # Another cause of the same law is known to be separate.
            others = [found.get(mark) for mark in marks_beside.get(verdict.key, ())]
            known = [group for group in known if not any(group is other for other in others)]
        group = known[0] if known else []
        if not known:
            groups.append(group)
        for other in {id(one): one for one in known[1:]}.values():
            if other is not group and not _has_event(other):
                group.extend(other)
                groups.remove(other)
                found.update({mark: group for mark, owner in found.items() if owner is other})
        group.append(verdict)
        # Errors share no law with violations: in another dtype, the law may never have called the function.
        alone = marks[0] == _ROUNDINGS or verdict.violation is None
        shared = () if alone else (*_example(verdict), ("law", verdict.law))
        for mark in (*marks, *shared):
            found.setdefault(mark, group)
    yield from (group for group in groups if group)


def _is_unexplained(verdict: Verdict) -> bool:
    return _event(verdict) is None and not (verdict.violation and verdict.violation.named)


def _event(verdict: Verdict) -> Event | None:
    return None if verdict.violation is None else verdict.violation.event


def _has_event(group: Sequence[Verdict]) -> bool:
    return any(_event(verdict) is not None for verdict in group)


def _marks(verdict: Verdict, wide: Container[str] = ()) -> list[Hashable]:
    """Return the marks that a verdict shares with others of its finding; laws in ``wide`` break in wide formats."""
    if verdict.status is Status.ERROR or verdict.violation is None:
        own_words = verdict.fault in {None, Fault.RAISED}
        return [(verdict.status, verdict.fault, _NUMBER.sub("#", verdict.reason or "") if own_words else None)]
    if verdict.violation.seen:
        return [("law", verdict.law)]
    if (event := _event(verdict)) is not None:
        return [mark_of(event)]
    if _rounds(verdict) and verdict.law not in wide:
        return [_ROUNDINGS]
    return [*_example(verdict), *_numbers(verdict), ("cause", verdict.violation.cause), ("law", verdict.law)]


def mark_of(event: Event) -> Hashable:
    """Return what events have in common that are one cause.

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


_NARROW = {"bfloat16": 8, "float16": 11}
"""The formats of 16 bits, and their precisions."""

_ROUNDINGS = "roundings of 16 bits"
"""Marks failures without a known cause."""

_ROUNDED = {"value", "algebra", "special", "length", "gradient", "implementation"}
"""Groups of laws that a sum of roundings can break."""


def _rounds(verdict: Verdict) -> bool:
    """Whether an answer in 16 bits is wrong in less than an eighth of its digits, and its cause is unknown.

    The worst example counts as well: a larger error is no sum of roundings.
    """
    violation = verdict.violation
    if violation is None or violation.event is not None or violation.named or verdict.group not in _ROUNDED:
        return False
    if verdict.dtype not in _NARROW:
        return False
    # A zero in place of a nonzero value has lost all digits, even if a subnormal number has few.
    if violation.actual == 0.0 != violation.expected:
        return False
    most = 2.0 ** (_NARROW[verdict.dtype] - 3)
    return violation.deviation <= most and (violation.worst is None or _excess(verdict) <= most)


_OF_RANGE = {EventKind.OVERFLOW, EventKind.UNDERFLOW, EventKind.INVALID}
"""Events that leave the range of a format; later quotients and the backward pass of the line follow from them."""


_SUMS = {"sum", "mean", "cumsum", "mm", "bmm", "addmm", "dot"}
"""Operations that overflow because of the length of a sum, which only a wider accumulator repairs.

If the terms are large rather than many, the event has the largest term as its input and the cause is their size.
"""


def _example(verdict: Verdict) -> list[Hashable]:
    """The first input of the smallest example."""
    if verdict.violation is None or not verdict.violation.example or verdict.violation.seen:
        return []
    return [("example", verdict.dtype, str(next(iter(verdict.violation.example.values()))))]


def _numbers(verdict: Verdict) -> list[Hashable]:
    """Return the answer and the exact value as a mark, unless the exact value is an integer or an infinity."""
    violation = verdict.violation
    if violation is None or not math.isfinite(violation.deviation) or float(violation.expected).is_integer():
        return []
    return [("numbers", verdict.dtype, violation.actual, violation.expected)]


def by_verdict(found: Iterable[Finding]) -> dict[tuple[str, str, str, str], Finding]:
    """Return the finding of each verdict by the verdict's key: of several, the finding of its first violation."""
    of_key: dict[tuple[str, str, str, str], Finding] = {}
    for finding in found:
        for verdict in finding.verdicts:
            if verdict.key not in of_key or (verdict.violation is not None and verdict.violation.beside):
                of_key[verdict.key] = finding
    return of_key
