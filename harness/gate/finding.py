"""The time gate, from two commits to findings: one sentence for each case, and one exit code for all."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.gate.arm import BASE, CANDIDATE, CONTROL, FEWER, MORE, NULL, ArmError, CaseSource
from harness.gate.base import Trees, trees
from harness.gate.confirmation import BLOCK, Evidence, Margins, State, is_slower, is_void, seems_slower, state, visible
from harness.gate.numerics import IN_BASELINE
from harness.gate.paired_timing import Trial, TrialSettings, reserve_machine
from harness.gate.policy import TABLE, Policy, read_policy
from harness.record import (
    Comparison,
    Estimate,
    Gate,
    GateFinding,
    Method,
    Outcome,
    Slices,
    bounded_ratio,
    standard_error,
)
from harness.record.gate import MOST_DECISIVE
from harness.wording.number import list_counts

PASSED, REGRESSED, NO_VERDICT, INCONCLUSIVE = 0, 1, 2, 3
"""The exit codes."""

ENDINGS = {PASSED: "pass", REGRESSED: "fail", NO_VERDICT: "no verdict", INCONCLUSIVE: "inconclusive"}
"""Meanings of the exit codes."""

OUTCOMES = {
    State.SLOWER: Outcome.REGRESSED,
    State.FASTER: Outcome.IMPROVED,
    State.UNCHANGED: Outcome.UNCHANGED,
    State.SUSPECTED: Outcome.NO_VERDICT,
    State.OPEN: Outcome.INCONCLUSIVE,
    State.FEW: Outcome.NO_VERDICT,
    State.VOID: Outcome.NO_VERDICT,
}

HELP = "use a larger `--budget`, time fewer cases, or use a quieter machine"
"""Remedy for a case without a verdict."""


def exit_code(findings: Sequence[GateFinding], *, strict: bool = False, blind: bool = False) -> int:
    """Return the exit code for all findings."""
    outcomes = {finding.outcome for finding in findings if not (blind and finding.machine)}
    if Outcome.REGRESSED in outcomes:
        return REGRESSED
    if Outcome.NO_VERDICT in outcomes or not findings:
        return NO_VERDICT
    return INCONCLUSIVE if strict and Outcome.INCONCLUSIVE in outcomes else PASSED


def gate_line(findings: Sequence[GateFinding], code: int) -> str:
    """Return the verdict of all gates as one sentence."""
    parts = []
    for gate in dict.fromkeys(finding.gate for finding in findings):
        outcomes = list_counts(finding.outcome for finding in findings if finding.gate is gate)
        parts.append(f"{gate}: {', '.join(outcomes)}")
    return f"gate: {ENDINGS[code]} ({'; '.join(parts) or 'nothing was compared'})"


def findings_to_print(findings: Sequence[GateFinding]) -> list[GateFinding]:
    """Return the findings to print, starting with the ones that decide the exit code; unchanged ones are counted.

    A law that broke comes before a deviation that grew.
    """
    changed = (finding for finding in findings if finding.outcome is not Outcome.UNCHANGED)
    rank = MOST_DECISIVE.index
    return sorted(changed, key=lambda finding: (rank(finding.outcome), IN_BASELINE not in finding.sentence))


def time_finding(case: str, outcome: Outcome, sentence: str, *, machine: bool = False) -> GateFinding:
    """Return a finding of the time gate."""
    return GateFinding(gate=Gate.TIME, case=case, outcome=outcome, sentence=sentence, machine=machine)


# Cases


class Matching(NamedTuple):
    """The compared cases, and findings on the others."""

    compared: tuple[str, ...]
    """Names here of cases that both trees have."""
    findings: tuple[GateFinding, ...]
    """Findings on cases that exist in one tree only."""


def match_cases(before: Mapping[str, str], current: Mapping[str, str], old: Policy, policy: Policy) -> Matching:
    """Match the cases of both trees by name."""
    timed_here = [name for name in current if policy.is_timed(name)]
    timed_before = [name for name in before if old.is_timed(name)]
    was = {policy.renamed.get(name, name): name for name in before}
    new = [name for name in timed_here if name not in was]
    lost = [name for name in timed_before if policy.renamed.get(name, name) not in timed_here]
    return Matching(
        tuple(name for name in timed_here if name in was),
        (
            *(_report_missing(name, before, current, new, policy) for name in lost),
            *(time_finding(name, Outcome.NEW, f"{name} is new: the baseline has no time for it.") for name in new),
        ),
    )


def _report_missing(
    name: str, before: Mapping[str, str], current: Mapping[str, str], new: Sequence[str], policy: Policy
) -> GateFinding:
    if name in policy.retired:
        return time_finding(name, Outcome.UNCHANGED, f"{name} is no longer timed: {policy.retired[name]}.")
    if policy.renamed.get(name, name) in current:
        sentence = f"{name} is no longer timed: time it, or give the reason under `retired` in {TABLE}."
        return time_finding(name, Outcome.NO_VERDICT, sentence)
    like = [candidate for candidate in new if current[candidate] == before[name]]
    hint = f"; if its new name is {' or '.join(like)}, add it under `renamed`" if like else ""
    sentence = f"{name} is missing{hint}; if that is intended, give the reason under `retired` in {TABLE}."
    return time_finding(name, Outcome.NO_VERDICT, sentence)


# What was measured


def comparisons(evidence: Evidence, policy: Policy) -> list[Comparison]:
    """Return the ratios of every case that was measured, the null arm and the positive control included."""
    rows = []
    for case in dict.fromkeys(slices.case for slices in evidence.slices):
        margins = policy.margins(case)
        ratios, nulls = (evidence.log_ratios(case, arm) for arm in (CANDIDATE, NULL))
        outcome = OUTCOMES[state(ratios, nulls, margins)]
        if outcome is Outcome.INCONCLUSIVE and bounded_ratio(ratios).high >= 1.0 + _find_largest(margins):
            outcome = Outcome.NO_VERDICT
        rows.append(_compare(case, CANDIDATE, ratios, outcome, margins))
        void = state(nulls, nulls, margins) is State.VOID
        rows.append(_compare(case, NULL, nulls, Outcome.NO_VERDICT if void else Outcome.UNCHANGED, margins))
        if controls := evidence.log_ratios(case, CONTROL):
            outcome_ = Outcome.REGRESSED if is_slower(controls, margins.margin) else Outcome.INCONCLUSIVE
            rows.append(_compare(case, CONTROL, controls, outcome_, margins))
    return rows


def _find_largest(margins: Margins) -> float:
    """The slowdown that a passing case must exclude: the control's slowdown, or a larger tolerance."""
    return max(MORE / FEWER - 1.0, margins.tolerance)


def _compare(case: str, arm: str, log_ratios: Sequence[float], outcome: Outcome, margins: Margins) -> Comparison:
    slowdown = bounded_ratio(log_ratios)
    interval = {"ratio": slowdown.point, "low": slowdown.low, "high": slowdown.high}
    smallest = visible(standard_error(log_ratios), len(log_ratios), margins.margin)
    return Comparison.model_validate(
        {"case": case, "arm": arm, "outcome": outcome, "couples": len(log_ratios), **interval, "visible": smallest}
        | {"margin": margins.margin, "tolerance": margins.tolerance}
    )


def time_findings(evidence: Evidence, ratios: Sequence[Comparison]) -> list[GateFinding]:
    """Return a finding on every case that should be measured, and findings on the gate itself."""
    findings = [
        time_finding(case, Outcome.NO_VERDICT, f"{case} cannot be timed: {why}.")
        for case, why in evidence.failures.items()
    ]
    if evidence.enough_s:
        # No noise: a gate that never measures is not to pass.
        return [*findings, time_finding("", Outcome.NO_VERDICT, none_reached(evidence))]
    candidates = [ratio for ratio in ratios if ratio.arm == CANDIDATE and ratio.case not in evidence.failures]
    slower = [ratio for ratio in candidates if _seems_slower(ratio, evidence)]
    unreached = [case for case in evidence.unreached if case not in {ratio.case for ratio in slower}]
    why = "was not measured within the budget: use a larger budget, or time fewer cases."
    findings += [time_finding(case, Outcome.NO_VERDICT, f"{case} {why}", machine=True) for case in unreached]
    measured = [ratio for ratio in candidates if ratio.case not in unreached]
    control = next((ratio for ratio in ratios if ratio.arm == CONTROL), None)
    if control is None or control.outcome is not Outcome.REGRESSED:
        return [*findings, _report_unseen(control, measured), *map(_report_slower, slower)]
    seen = f"The control works: 10 % more work in {control.case} was measured as {_format_slowdown(control)}."
    judged = (_make_finding(ratio, evidence) for ratio in measured)
    return [*findings, *judged, time_finding(control.case, Outcome.UNCHANGED, seen)]


def none_reached(evidence: Evidence) -> str:
    """Return the sentence on a budget that is too small for any case, with a sufficient budget."""
    return (
        f"No case out of {len(evidence.unreached)} was measured within the budget: the fastest needs about "
        f"`--budget {math.ceil(1.2 * evidence.enough_s / 10.0) * 10}` on this machine, where start-up takes "
        f"{evidence.startup_s:.0f} s."
    )


def _report_unseen(control: Comparison | None, measured: Sequence[Comparison]) -> GateFinding:
    if control is None:
        return time_finding(
            "", Outcome.NO_VERDICT, "No case was measured in enough pairs of processes.", machine=bool(measured)
        )
    sentence = (
        f"No verdict on time: 10 % more work in {control.case} was measured as {_format_slowdown(control)}, "
        f"which is not clearly above {_format_percent(control.margin)}; {len(measured)} cases have no verdict."
    )
    return time_finding(control.case, Outcome.NO_VERDICT, sentence, machine=True)


def _seems_slower(ratio: Comparison, evidence: Evidence) -> bool:
    """Whether a case was measured as slower: it never passes, whatever else the measurement lacks."""
    log_ratios, nulls = (evidence.log_ratios(ratio.case, arm) for arm in (CANDIDATE, NULL))
    return seems_slower(log_ratios, nulls, ratio.margin)


def _report_slower(ratio: Comparison) -> GateFinding:
    """A case that was measured as slower, although the gate did not see the control."""
    sentence = (
        f"{ratio.case} seems slower: {_format_slowdown(ratio)} in {ratio.couples} pairs, but the gate did not "
        f"see 10 % more work, so this is no verdict; {HELP}."
    )
    return time_finding(ratio.case, Outcome.NO_VERDICT, sentence)


def _make_finding(ratio: Comparison, evidence: Evidence) -> GateFinding:
    slower = _seems_slower(ratio, evidence)
    condition = f"in {ratio.couples} pairs, and a verdict needs at least {BLOCK}; {HELP}"
    measured = f"{_format_slowdown(ratio)} in {ratio.couples} interleaved pairs of processes"
    visible = "" if ratio.visible is None else f"; a slowdown of {_format_percent(ratio.visible)} would be detected"
    match ratio.outcome:
        case Outcome.REGRESSED:
            sentence = f"{ratio.case} got slower: {measured}, confirmed by the last {BLOCK} pairs alone."
        case Outcome.IMPROVED:
            sentence = f"{ratio.case} got faster: {measured}."
        case Outcome.UNCHANGED:
            sentence = f"{ratio.case} is as fast as before: {measured}{visible}."
        case Outcome.NO_VERDICT if is_void(nulls := evidence.log_ratios(ratio.case, NULL), ratio.margin):
            itself = percent_slower(bounded_ratio(nulls))
            if slower:
                sentence = (
                    f"{ratio.case} seems slower: {measured}, but the base differs from itself by {itself}; {HELP}."
                )
            else:
                sentence = f"{ratio.case} has no verdict: two runs of the base differ by {itself}."
        case Outcome.NO_VERDICT if ratio.couples < BLOCK:
            predicate = "seems slower" if slower else "has no verdict"
            sentence = f"{ratio.case} {predicate}: {_format_slowdown(ratio)} {condition}."
        case Outcome.NO_VERDICT if not slower:
            largest = _format_percent(_find_largest(Margins(ratio.margin, ratio.tolerance)))
            sentence = f"{ratio.case} has no verdict: {measured}, so a slowdown of {largest} is possible; {HELP}."
        case Outcome.NO_VERDICT:
            sentence = f"{ratio.case} may be slower: {measured}; the budget was too small to confirm it."
        case _:
            sentence = f"{ratio.case} is undecided: {measured}{visible}."
    return time_finding(ratio.case, ratio.outcome, sentence, machine=ratio.outcome is Outcome.NO_VERDICT and not slower)


def percent_slower(ratio: Estimate) -> str:
    """Return the slowdown that a ratio of times is, with its bounds: ``+10.1 % (+9.2 to +11.0 %)``."""
    point, low, high = (f"{100.0 * (end - 1.0):+.1f}" for end in (ratio.point, ratio.low, ratio.high))
    return f"{point} % ({low} to {high} %)"


def _format_slowdown(ratio: Comparison) -> str:
    return percent_slower(Estimate(ratio.ratio, ratio.low, ratio.high, Method.ONE_SIDED))


def _format_percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"


# The whole gate


class TimeVerdict(NamedTuple):
    """Verdict of the time gate: a sentence on each case and on the measurement, and its evidence."""

    findings: Sequence[GateFinding]
    comparisons: Sequence[Comparison] = ()
    slices: Sequence[Slices] = ()


def compare_times(
    reference: str,
    policy: Policy,
    *,
    contract: str | None = None,
    data: str | None = None,
    pythonpath: Sequence[str] = (),
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> TimeVerdict:
    """Compare the time of every case with its time at another commit.

    Raises
    ------
    UsageError
        If there is no such commit, or another measurement is running.
    """
    start_s = time.perf_counter()
    with reserve_machine(), trees(reference) as checkouts:
        old = read_policy(checkouts.base, policy)
        sources = _build_sources(checkouts, policy, contract, pythonpath)
        settings = TrialSettings(policy.budget_s, policy.margins, seed)
        trial = Trial(sources, settings, progress, start_s=start_s)
        try:
            before, current = trial.cases()
        except ArmError as error:
            remedy = "" if trial.left_s > 0 else f" of {policy.budget_s:g} s; use a larger `--budget`"
            return TimeVerdict([time_finding("", Outcome.NO_VERDICT, f"The cases cannot be loaded: {error}{remedy}.")])
        policy.reject_unknown(current)
        trial.lay_out_images(data)
        pairs = match_cases(before, current, old, policy)
        evidence = trial.run(pairs.compared)
    ratios = comparisons(evidence, policy)
    return TimeVerdict([*pairs.findings, *time_findings(evidence, ratios)], ratios, evidence.slices)


def _build_sources(
    both: Trees, policy: Policy, contract: str | None, pythonpath: Sequence[str]
) -> Mapping[str, CaseSource]:
    """Return where the arms find their cases: in the base, cases that were renamed have their old names."""
    images, compiled = both.folder / "images", both.folder / "compiled"
    folders = (*pythonpath, "", "src")
    base = CaseSource(both.base, policy.target, contract, images, compiled, policy.renamed, folders)
    return {BASE: base, CANDIDATE: replace(base, tree=both.candidate, renamed={}), NULL: base}
