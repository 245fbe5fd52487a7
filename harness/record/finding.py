"""Findings: what is wrong with a case, grouped by what makes it so, over laws and dtypes.

Verdicts are many and causes are few: an exponential that overflows breaks every law in every dtype. Violations of which
it is known what happened in the computation are of one finding where the same happened at the same place; the others
where they were found on the same example, or are explained by the same sentence. A law that is broken by several causes
is of the finding of each.
"""

import math
import re
from collections.abc import Container, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness.record.fault import Fault
from harness.record.schema import Event, EventKind, Mistake, Status, TensorText, Verdict, Violation

WRONG = (Status.BROKEN, Status.ERROR, Status.UNEXPECTED, Status.LOST)
"""The statuses of a finding, unless others are named."""

RANKS = (*WRONG, Status.EXPECTED, Status.UNCLAIMED)
"""Order of statuses; a finding has the first status that one of its verdicts has."""

_GROUPS = ("value", "finite", "algebra", "length", "gradient", "special")
"""Groups of laws, most informative first; infinities come last because they break together with others."""

_FAMILIAR = ("float32", "float64", "bfloat16", "float16")
"""Dtypes, the ones first that people know."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a case.

    Parameters
    ----------
    verdicts
        What follows from it, the one first that stands for all.
    is_of_narrowness
        Whether several things happened, all of which float32 mends: the format is their cause.
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
        """What happened in the computation; ``None`` where that is not known."""
        return None if self.violation is None else self.violation.event

    @property
    def named(self) -> Mistake | None:
        """The named mistake from which all verdicts follow."""
        return None if self.violation is None else self.violation.named

    @property
    def laws(self) -> list[str]:
        """The laws, in the order in which they are reported."""
        return list(dict.fromkeys(verdict.law for verdict in self.verdicts))

    @property
    def dtypes(self) -> list[str]:
        """The dtypes, and the device where that is not the CPU; of what is broken, none that it merely costs digits."""
        milder = {Status.LOST} - {self.status}
        return list(dict.fromkeys(verdict.where for verdict in self.verdicts if verdict.status not in milder))

    @property
    def is_of_roundings(self) -> bool:
        """Whether all that is known is that answers in 16 bits are off by some of their digits."""
        return all(map(_rounds, self.verdicts))

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
    """How many times its bound a deviation is; a bound of zero counts as one."""
    return violation.deviation / (violation.bound or 1.0)


def _answer(verdict: Verdict, *, smallest: bool = False) -> tuple[object, ...]:
    """What the worst example of a verdict, or its smallest, shows: another law may hold the same against less."""
    violation = verdict.violation
    assert violation is not None
    shown = violation if smallest else violation.worst or violation
    return verdict.where, shown.example, repr(shown.actual), repr(shown.expected)


def _excess(verdict: Verdict) -> float:
    violation = verdict.violation
    assert violation is not None
    found = violation.worst
    own = 0.0 if math.isnan(violation.expected) else _ratio(violation)
    # What is far from a truth that is no number shows nothing.
    if found is None or math.isnan(found.expected):
        return own
    return max(own, found.deviation / (found.bound or 1.0))


def findings(verdicts: Iterable[Verdict], statuses: Sequence[Status] = WRONG) -> list[Finding]:
    """Group verdicts by what makes them what they are, the worst first, and of those what makes values wrong.

    Parameters
    ----------
    verdicts
        Of a run.
    statuses
        Which of them are wrong; declared failures, which were found, are not unless they are named.
    """
    by_case: dict[tuple[str, str], list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.status in statuses:
            by_case.setdefault((verdict.case, verdict.device), []).append(verdict)
    grouped = [finding for own in by_case.values() for finding in _of_case(own)]
    return sorted(grouped, key=_order)


def _order(finding: Finding) -> tuple[int, bool, bool]:
    """Return the place of a finding: the worst first, of those a named mistake, then a wrong value."""
    return RANKS.index(finding.status), finding.named is None, finding.first.group != "value"


def _of_case(verdicts: Sequence[Verdict]) -> Iterator[Finding]:
    """Yield the findings of a case; of those that float32 mends there is one."""
    named, others = _by_mistake([*verdicts, *_beside(verdicts)])
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
        joined = [verdict for group in groups for verdict in group]
        yield _of_group(joined, is_of_narrowness=len(groups) > 1)


def _by_mistake(verdicts: Sequence[Verdict]) -> tuple[list[Verdict], list[Verdict]]:
    """Separate the verdicts that follow from a named mistake, directly or through a law that does."""
    direct = [verdict for verdict in verdicts if verdict.violation is not None and verdict.violation.named]
    bases = {(verdict.law, verdict.dtype): verdict for verdict in direct}

    def base(verdict: Verdict) -> Verdict | None:
        own = verdict.violation
        return None if own is None or own.named or own.event else bases.get((own.follows, verdict.dtype))

    indirect = [verdict for verdict in verdicts if base(verdict) is not None]
    found = set(map(id, direct + indirect))
    left = [verdict for verdict in verdicts if id(verdict) not in found]
    return direct + indirect, left


def _beside(verdicts: Iterable[Verdict]) -> Iterator[Verdict]:
    """Yield each verdict again with every other cause that its law is broken by."""
    for verdict in verdicts:
        for violation in verdict.violation.beside if verdict.violation is not None else ():
            yield verdict.model_copy(update={"violation": violation})


def _of_group(group: Sequence[Verdict], *, is_of_narrowness: bool = False) -> Finding:
    """A finding; of two examples of one verdict the one is told first that makes no number of a number."""
    infinite = {verdict.key for verdict in group if verdict.violation and math.isinf(verdict.violation.deviation)}

    def telling(verdict: Verdict) -> tuple[int, ...]:
        milder = verdict.violation is not None and not math.isinf(verdict.violation.deviation)
        return (*_shows_mistake(verdict), int(milder and verdict.key in infinite), *_telling(verdict))

    return Finding(tuple(sorted(group, key=telling)), is_of_narrowness)


def _shows_mistake(verdict: Verdict) -> tuple[bool, bool, bool]:
    """Return keys that put a finite wrong value first among the verdicts of a named mistake; equal without one."""
    violation = verdict.violation
    if violation is None or violation.named is None:
        return True, True, True
    return False, not math.isfinite(violation.actual), verdict.law != "value"


def _is_of_narrowness(group: Sequence[Verdict]) -> bool:
    """Whether float32 mends all of it, but for roundings that two runs have otherwise, which are not tried in it.

    Of a defect that is asked, and not of the digits that are lost beside it.
    """
    worst = min((verdict.status for verdict in group), key=RANKS.index)
    untried = [verdict for verdict in group if verdict.group == "implementation" and _rounds(verdict)]
    tried = [verdict for verdict in group if verdict not in untried and verdict.status is worst]
    return bool(tried) and all(verdict.violation is not None and verdict.violation.mended_wider for verdict in tried)


def _with_what_follows(groups: Sequence[list[Verdict]]) -> list[list[Verdict]]:
    """Join what says nothing beside the finding of a value or a gradient to that.

    Where the operation is known at which either happened, that says more, and has joined or parted them. What is not
    finite is no more of the digits that a value is off by, unless its worst example is not finite either: a mask that a
    NaN gets through is another fault.
    """
    groups = list(groups)
    for group in list(groups):
        owners = [_followed(verdict, groups) for verdict in group]
        if (own := owners[0]) is not None and own is not group and all(owner is not None for owner in owners):
            own.extend(group)
            groups = [other for other in groups if other is not group]
    return groups


def _followed(verdict: Verdict, groups: Sequence[list[Verdict]]) -> list[Verdict] | None:
    """The group of what a verdict follows from in its dtype; ``None`` where it says something of its own."""
    own = verdict.violation
    for group in groups:
        for other in group:
            if own is None or other.violation is None or (other.law, other.dtype) != (own.follows, verdict.dtype):
                continue
            events = own.event is not None or other.violation.event is not None
            seen = [shown.actual for shown in (other.violation, other.violation.worst) if shown is not None]
            alike = math.isfinite(own.actual) in map(math.isfinite, seen)
            return group if alike and not events else None
    return None


def _telling(verdict: Verdict) -> tuple[int, ...]:
    """How much a verdict says to a reader: what fails before what does not, the value, float32, a small example."""
    group = _GROUPS.index(verdict.group) if verdict.group in _GROUPS else len(_GROUPS)
    dtype = _FAMILIAR.index(verdict.dtype) if verdict.dtype in _FAMILIAR else len(_FAMILIAR)
    elements = sum(
        max(1, len(value.values)) if isinstance(value, TensorText) else 0
        for value in (verdict.violation.example.values() if verdict.violation else ())
    )
    return (RANKS.index(verdict.status), group, dtype, elements)


def _groups(verdicts: Sequence[Verdict]) -> Iterator[list[Verdict]]:
    """Join verdicts that share a mark: what happened, the example and the sentence that explains it, or the error.

    What happened says more than an example: two events on one example are two findings, and what nothing is known of
    joins the first of them, or the first of its law.
    """
    groups: list[list[Verdict]] = []
    found: dict[Hashable, list[Verdict]] = {}
    wide = {verdict.law for verdict in verdicts if verdict.dtype not in _NARROW}
    marks_beside: dict[Hashable, list[Hashable]] = {}
    for verdict in verdicts:
        if (event := _event(verdict)) is not None:
            marks_beside.setdefault(verdict.key, []).append(mark_of(event))
    for verdict in sorted(verdicts, key=lambda verdict: _event(verdict) is None):
        marks = _marks(verdict, wide)
        known = [group for mark in marks if (group := found.get(mark)) is not None]
        if _event(verdict) is None:
            # Of what else breaks the same law it is known to be apart.
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
        # An error has no law in common with what is broken: in another dtype it may not have been called at all.
        alone = marks[0] == _ROUNDINGS or verdict.violation is None
        shared = () if alone else (*_example(verdict), ("law", verdict.law))
        for mark in (*marks, *shared):
            found.setdefault(mark, group)
    yield from (group for group in groups if group)


def _event(verdict: Verdict) -> Event | None:
    return None if verdict.violation is None else verdict.violation.event


def _has_event(group: Sequence[Verdict]) -> bool:
    return any(_event(verdict) is not None for verdict in group)


def _marks(verdict: Verdict, wide: Container[str] = ()) -> list[Hashable]:
    """What a verdict has in common with others of its finding; ``wide`` are the laws that break in wide formats too."""
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


_NUMBER = re.compile(r"\d+")
"""Numbers, such as sizes and places, in which equal errors differ."""


_NARROW = {"bfloat16": 8, "float16": 11}
"""The formats of 16 bits, and their precisions."""

_ROUNDINGS = "roundings of 16 bits"
"""Marks failures without a known cause."""

_ROUNDED = {"value", "algebra", "special", "length", "gradient", "implementation"}
"""Groups of laws that a sum of roundings can break."""


def _rounds(verdict: Verdict) -> bool:
    """Whether an answer in 16 bits is off by less than an eighth of its digits, and nothing else is known of it.

    Beside the smallest example the worst one: beyond its bound by more than that it is no sum of roundings.
    """
    violation = verdict.violation
    if violation is None or violation.event is not None or verdict.group not in _ROUNDED:
        return False
    if verdict.dtype not in _NARROW:
        return False
    # Zero for what is not zero has none of its digits, however few those are of a subnormal number.
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
    """What was answered and what is true, where the truth is no number that two causes would share."""
    violation = verdict.violation
    if violation is None or not math.isfinite(violation.deviation) or float(violation.expected).is_integer():
        return []
    return [("numbers", verdict.dtype, violation.actual, violation.expected)]


def by_verdict(found: Iterable[Finding]) -> dict[tuple[str, str, str, str], Finding]:
    """Return the finding of each verdict, by the verdict's key: that of what was met first, where there are several."""
    of_key: dict[tuple[str, str, str, str], Finding] = {}
    for finding in found:
        for verdict in finding.verdicts:
            if verdict.key not in of_key or (verdict.violation is not None and verdict.violation.beside):
                of_key[verdict.key] = finding
    return of_key
