"""The numerics gate: an exact comparison of a run's laws, breaking points and deviations with the baseline.

Bounds are compared as well: a looser bound finds less, and no law would say so. A run stores the typical bound of each
verdict, and a digest of its inputs. Inputs are the same on every processor, so bounds are compared between machines
wherever the digests agree.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from harness.dtype import ordinal
from harness.gate.baseline import Baseline, Key, Reference
from harness.gate.policy import TABLE, Policy
from harness.gate.snapshot import AGREE, Figures, Snapshot, Summary
from harness.record import Gate, GateFinding, Outcome, Status
from harness.wording.number import count

LENGTH = "length"
"""The ray whose parameter is a whole number in every dtype."""

IN_BASELINE = "in the baseline"
"""Words of a finding on a law whose status has changed."""

UPDATE = "`harness gate --update` accepts it"


def compare(before: Baseline, now: Summary, policy: Policy) -> list[GateFinding]:
    """Return a finding on each difference, and a finding with the number of comparisons."""
    references = before.references(now.origin)
    pairs = {key: current for key in references if (current := now.cases.get(_get_key(key, policy))) is not None}
    findings = list(_compare_cases(references, now, policy))
    for key, current in pairs.items():
        old, figures, same_draws = references[key]
        findings += _compare_laws(old, current, policy, figures=figures, same_draws=same_draws)
        findings += _compare_points(old, current, figures=figures, surveyed=now.surveyed)
        findings += _compare_counts(old, current) if figures else []
    findings += find_loosened([(references[key], current) for key, current in pairs.items()])
    findings += _list_remote(before, [key for key in pairs if not references[key].figures], len(pairs), now)
    if points := sum(len(case.snapshot.breaking_points()) for case in references.values() if not now.surveyed):
        sentence = f"{count(points, 'breaking point')} not compared, because the run has no survey."
        findings.append(_report("", "", Outcome.NO_VERDICT, sentence))
    if not now.cases:
        findings.append(_report("", "", Outcome.NO_VERDICT, "Nothing was compared: the run contains no verdicts."))
    return [*findings, *_count_comparisons([references[key] for key in pairs])]


def _get_key(key: Key, policy: Policy) -> Key:
    """Return the present name of a case of the baseline."""
    return policy.renamed.get(key[0], key[0]), key[1]


def accept_differences(findings: Sequence[GateFinding]) -> list[GateFinding]:
    """Return the findings after the run becomes the baseline: differences are reported as accepted."""
    return [
        finding.model_copy(update={"outcome": Outcome.NEW, "sentence": f"{finding.sentence} Accepted."})
        if finding.outcome in {Outcome.REGRESSED, Outcome.NO_VERDICT, Outcome.INCONCLUSIVE}
        else finding
        for finding in findings
    ]


def _report(case: str, subject: str, outcome: Outcome, sentence: str, gate: Gate = Gate.NUMERICS) -> GateFinding:
    return GateFinding(gate=gate, case=case, subject=subject, outcome=outcome, sentence=sentence)


def _list_remote(before: Baseline, unknown: Sequence[Key], compared: int, now: Summary) -> Iterator[GateFinding]:
    """Report the cases without figures from this kind of machine."""
    if not unknown:
        return
    quantities = "Deviations, breaking points and counts"
    if len(unknown) < compared:
        quantities += f" of {count(len(unknown), 'case')}"
    origins = "; ".join(
        sorted({str(origin) for key in unknown for entry in before.cases[key] for origin in entry.origins})
    )
    sentence = (
        f"{quantities} are not compared: the baseline has them from {origins}, this run from {now.origin}; "
        "`harness gate --update` adds them."
    )
    yield _report("", "", Outcome.INCONCLUSIVE, sentence)


def _count_comparisons(both: Sequence[Reference]) -> Iterator[GateFinding]:
    """Report the number of comparisons."""
    snapshots = [case.snapshot for case in both]
    for snapshot in (snapshot for snapshot in snapshots if snapshot.by_chance):
        where = f"{AGREE} [{', '.join(sorted(snapshot.by_chance))}]"
        sentence = f"{snapshot.case} is not repeatable (see {where}): its verdicts are compared, its numbers are not."
        yield _report(snapshot.case, where, Outcome.UNCHANGED, sentence)
    laws = sum(len(snapshot.figures()) for snapshot in snapshots)
    cases = len({snapshot.case for snapshot in snapshots})
    sentence = f"{count(laws, 'verdict')} of {count(cases, 'case')} compared with the baseline."
    yield _report("", "", Outcome.UNCHANGED, sentence)
    if counts := sum(len(case.snapshot.counts) for case in both if case.figures):
        sentence = f"{count(counts, 'count')} compared with the baseline."
        yield _report("", "", Outcome.UNCHANGED, sentence, Gate.COUNTS)


# Cases


def _compare_cases(known: Mapping[Key, Reference], now: Summary, policy: Policy) -> Iterator[GateFinding]:
    was = {_get_key(key, policy) for key in known}
    new = [key for key in now.cases if key not in was]
    for key, (old, *_) in known.items():
        if _get_key(key, policy) not in now.cases:
            yield _report_gone(old, [now.cases[key] for key in new], policy)
    for case, device in new:
        where = "" if device == "cpu" else f" on {device}"
        yield _report(case, "", Outcome.NEW, f"{case}{where} is new: it is not in the baseline; {UPDATE}.")


def _report_gone(old: Snapshot, new: Sequence[Snapshot], policy: Policy) -> GateFinding:
    if old.case in policy.retired:
        sentence = f"{old.case} is retired: {policy.retired[old.case]}."
        return _report(old.case, "", Outcome.UNCHANGED, sentence)
    like = [current.case for current in new if current.contract == old.contract]
    hint = f"; if its new name is {' or '.join(like)}, add it under `renamed` in {TABLE}" if like else ""
    sentence = f"{old.case} is missing: the run has no verdicts for it{hint}."
    return _report(old.case, "", Outcome.NO_VERDICT, sentence)


# Laws


def _compare_laws(
    old: Snapshot, current: Snapshot, policy: Policy, *, figures: bool, same_draws: bool
) -> Iterator[GateFinding]:
    was, now = old.figures(), current.figures()
    lost: dict[str, list[str]] = {}
    for law, dtype in was.keys() - now.keys():
        lost.setdefault(law, []).append(current.where(dtype))
    for law, dtypes in sorted(lost.items()):
        where = ", ".join(sorted(dtypes))
        yield _report(
            current.case,
            f"{law} [{where}]",
            Outcome.REGRESSED,
            f"{current.case} is no longer checked for {law} [{where}].",
        )
    if added := sorted(now.keys() - was.keys()):
        listed = f"{added[0][0]} [{current.where(added[0][1])}]" + (
            f" and {len(added) - 1} more" if len(added) > 1 else ""
        )
        sentence = f"{current.case} has checks that the baseline does not contain: {listed}; {UPDATE}."
        yield _report(current.case, listed, Outcome.NEW, sentence)
    for key in sorted(was.keys() & now.keys()):
        subject = f"{key[0]} [{current.where(key[1])}]"
        difference = _compare_status(was[key], now[key], figures=figures)
        if difference is None and key[1] not in current.by_chance:
            difference = _compare_size(was[key], now[key], same_draws=same_draws)
        if difference is None and figures:
            difference = _compare_largest(was[key], now[key], _compute_largest_allowed(was[key], current.case, policy))
        if difference is not None:
            outcome, words = difference
            yield _report(current.case, subject, outcome, f"{current.case} {subject}: {words}.")


Difference = tuple[Outcome, str] | None
"""Outcome and description of a changed figure; ``None`` if nothing changed."""


_FAILURES = (Status.UNEXPECTED, Status.BROKEN, Status.ERROR)


_OF_KERNELS = {Status.HOLDS, Status.LOST, Status.EXPECTED, Status.SKIPPED}
"""Statuses between which another machine may decide: its kernels round differently, or it has no compiler."""


def _compare_status(was: Figures, now: Figures, *, figures: bool) -> Difference:
    if was.status is now.status:
        return None
    change = f"{was.status} {IN_BASELINE}, {now.status} now"
    if not figures and {was.status, now.status} <= _OF_KERNELS:
        return Outcome.INCONCLUSIVE, f"{change}, on another kind of machine"
    order = [Status.HOLDS, Status.LOST, Status.UNCLAIMED, Status.EXPECTED, Status.SKIPPED, *_FAILURES]
    if order.index(now.status) < order.index(was.status):
        return Outcome.IMPROVED, f"{change}; {UPDATE}"
    if now.status is Status.EXPECTED:
        change += ", because the case now declares it"
    return Outcome.REGRESSED, change


def _compare_size(was: Figures, now: Figures, *, same_draws: bool) -> Difference:
    if now.status is not Status.HOLDS:
        # The search ends at the first failing example, which depends on the processor's rounding.
        return None
    if now.examples < was.examples:
        return Outcome.REGRESSED, f"{now.examples} examples are checked, down from {was.examples}"
    if same_draws and now.examples == was.examples and now.rows < was.rows:
        return Outcome.REGRESSED, f"{now.rows:,} rows are checked, down from {was.rows:,}"
    return None


def _compute_largest_allowed(was: Figures, case: str, policy: Policy) -> float:
    worst = was.largest or 0.0
    return max(worst + policy.allows("ulp", case), worst * (1.0 + policy.allows("growth", case)))


def _compare_largest(was: Figures, now: Figures, allowed: float) -> Difference:
    if now.largest is None or was.largest is None or now.largest == was.largest:
        return None
    change = f"the largest deviation is {now.largest:g}, was {was.largest:g}"
    if now.largest > allowed or math.isnan(now.largest):
        return Outcome.REGRESSED, f"{change}, and at most {allowed:g} is allowed"
    return (Outcome.IMPROVED, f"{change}; {UPDATE}") if now.largest < was.largest else None


# Breaking points


def _compare_points(old: Snapshot, current: Snapshot, *, figures: bool, surveyed: bool) -> Iterator[GateFinding]:
    was, now = old.breaking_points(), current.breaking_points()
    if not surveyed:
        return
    for key in sorted(was):
        law, ray, dtype = key
        subject = f"{law} along {ray} [{current.where(dtype)}]"
        if dtype in current.by_chance:
            continue
        if key not in now:
            sentence = f"{current.case} {subject}: the run no longer searches for its breaking point."
            yield _report(current.case, subject, Outcome.REGRESSED, sentence)
        elif figures and now[key] != was[key]:
            outcome, words = _describe_move(was[key], now[key], ray, dtype)
            yield _report(current.case, subject, outcome, f"{current.case} {subject}: {words}.")


def _describe_move(was: str, now: str, ray: str, dtype: str) -> tuple[Outcome, str]:
    if not now:
        return Outcome.IMPROVED, f"holds to the end of the ray, but broke at {was} before; {UPDATE}"
    if not was:
        return Outcome.REGRESSED, f"breaks at {now}, but did not break on this ray before"
    inwards = abs(float.fromhex(now)) < abs(float.fromhex(was))
    words = (
        f"breaks at {now} instead of {was}, {_count_steps(was, now, ray, dtype)} {'earlier' if inwards else 'later'}"
    )
    return (Outcome.REGRESSED, words) if inwards else (Outcome.IMPROVED, f"{words}; {UPDATE}")


def _count_steps(was: str, now: str, ray: str, dtype: str) -> str:
    a, b = float.fromhex(was), float.fromhex(now)
    steps = round(abs(a - b)) if ray == LENGTH else abs(ordinal(a, dtype) - ordinal(b, dtype))
    noun = "element" if ray == LENGTH else "float"
    return f"{steps:,} {noun}{'' if steps == 1 else 's'}"


# Counts


def _compare_counts(old: Snapshot, current: Snapshot) -> Iterator[GateFinding]:
    for name, was in old.counts.items():
        now = current.counts.get(name)
        if now == was:
            continue
        outcome = Outcome.REGRESSED if now is None or name in MEANT or now > was else Outcome.IMPROVED
        tail = f"; {UPDATE}" if outcome is Outcome.IMPROVED else ""
        number = "none" if now is None else f"{now:,}"
        sentence = f"{current.case}: {number} {name} per call, was {was:,}{tail}."
        yield _report(current.case, name, outcome, sentence, Gate.COUNTS)


MEANT = ("batches", "samples")
"""Counts that are right at one number: fewer are no improvement."""


# Bounds

LOOSER = 1.1
"""Factor from which on a bound counts as looser; a smaller one is rounding in the last of three digits."""


OF_SEVERAL = {"any_cotangent", "any_layout", "any_mode", "any_rank"}
"""Laws that keep the bound of the worst of several calls; which call is the worst depends on the kind of machine."""


UPDATE_ADDS = "`harness gate --update` adds them"


class Grown(NamedTuple):
    """A bound that became looser."""

    case: str
    dtype: str
    was: float
    now: float

    @property
    def factor(self) -> float:
        """Ratio of the new bound to the old one; infinite if the old one admitted nothing."""
        return self.now / self.was if self.was else float("inf")


def find_loosened(both: Sequence[tuple[Reference, Snapshot]]) -> Iterator[GateFinding]:
    """Yield a finding for each law whose bound became looser, and one for bounds that cannot be compared."""
    grown: dict[tuple[str, str], list[Grown]] = {}
    unknown, compared, other_inputs, of_several = 0, 0, 0, 0
    for reference, current in both:
        was, now = reference.snapshot.figures(), current.figures()
        unknown += _is_unknown(reference.snapshot, current)
        for law, dtype in sorted(was.keys() & now.keys()):
            before, after = was[law, dtype], now[law, dtype]
            if not _have_bounds(before, after):
                continue
            if before.inputs != after.inputs:
                other_inputs += 1
                continue
            if law in OF_SEVERAL and not reference.figures:
                of_several += 1
                continue
            compared += 1
            if (after.bound or 0.0) > LOOSER * (before.bound or 0.0):
                growth = Grown(current.case, dtype, before.bound or 0.0, after.bound or 0.0)
                grown.setdefault((current.contract, law), []).append(growth)
    for (contract, law), group in grown.items():
        sentence = f"The bound of {contract} {law} {_describe_growth(group)}: a looser bound finds less."
        yield _report("", law, Outcome.REGRESSED, sentence)
    if unknown:
        cases = count(unknown, "case")
        sentence = f"The bounds of {cases} are not compared: the baseline does not record them; {UPDATE_ADDS}."
        yield _report("", "", Outcome.INCONCLUSIVE, sentence)
    if of_several:
        sentence = (
            f"The bounds of {of_several:,} verdicts on {', '.join(sorted(OF_SEVERAL))} are not compared: "
            "they depend on the call that is the worst on a kind of machine."
        )
        yield _report("", "", Outcome.INCONCLUSIVE, sentence)
    if other_inputs:
        sentence = (
            f"The bounds of {other_inputs:,} of {compared + other_inputs:,} verdicts are not compared: "
            f"their inputs differ from the baseline's; {UPDATE_ADDS}."
        )
        yield _report("", "", Outcome.INCONCLUSIVE, sentence)


def _is_unknown(old: Snapshot, current: Snapshot) -> bool:
    """Whether the run has bounds that the baseline did not keep, or not with their inputs."""
    before, now = ({figures.inputs for figures in snapshot.figures().values()} for snapshot in (old, current))
    return before == {None} and now != {None}


def _have_bounds(was: Figures, now: Figures) -> bool:
    """Whether both have a bound and its inputs; if a law breaks, the implementation decides which inputs are tried."""
    both_hold = was.status is now.status is Status.HOLDS
    return both_hold and None not in (was.bound, now.bound, was.inputs, now.inputs)


def _describe_growth(group: list[Grown]) -> str:
    """Describe the growth of the bounds of a law, and the cases."""
    largest = max(group, key=lambda growth: growth.factor)
    grew = "was doubled" if 1.9 < largest.factor < 2.1 else f"grew by a factor of {largest.factor:.3g}"
    if not largest.was:
        grew = "was zero and is now positive"
    where = count(len({growth.case for growth in group}), "case")
    location = f"{largest.case} [{largest.dtype}]"
    return f"{grew}, from {largest.was:.3g} to {largest.now:.3g} in {location}, and in {where} in total"
