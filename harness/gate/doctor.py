"""Sensitivity of this machine: identical code is compared with itself until the budget is spent."""

import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.error import UsageError
from harness.gate.arm import BASE, CANDIDATE, CONTROL, NULL, ArmError, CaseSource
from harness.gate.confirmation import BLOCK, Evidence, Margins, visible
from harness.gate.finding import none_reached
from harness.gate.paired_timing import Trial, TrialSettings, reserve_machine
from harness.gate.policy import Policy
from harness.record import Estimate, bounded_ratio

NEVER = 1e-9
"""A tolerance so small that the measurement continues to the end of its budget."""

BUSY = 0.5
"""Number of other runnable processes above which a warning is printed."""

STOLEN = 0.01
"""Share of time above which a warning is printed."""


@dataclass(frozen=True)
class Sensitivity:
    """Sensitivity for one case.

    Parameters
    ----------
    case
        The case.
    call_s
        Its fastest call.
    spread
        Standard deviation of the couples' log ratios: 0.01 is one percent.
    visible
        Smallest slowdown seen with a probability of 95 % from one block of couples.
    bias
        Measured ratio of identical code.
    couples
        Couples of processes that this rests on.
    """

    case: str
    call_s: float
    spread: float
    visible: float
    bias: Estimate
    couples: int


@dataclass(frozen=True)
class Diagnosis:
    """Sensitivity of this machine.

    Parameters
    ----------
    sights
        Sensitivity for each case, the sharpest first.
    control
        What ten percent more work was measured as; ``None`` where the time was too short.
    evidence
        The measurements.
    """

    sights: tuple[Sensitivity, ...]
    control: Estimate | None
    evidence: Evidence


def diagnose(
    root: Path,
    policy: Policy,
    *,
    contract: str | None = None,
    data: str | None = None,
    pythonpath: Sequence[str] = (),
    progress: Callable[[str], None] = lambda _: None,
) -> Diagnosis:
    """Measure the working tree against itself until the budget is spent."""
    with reserve_machine(), tempfile.TemporaryDirectory(prefix="harness-doctor-") as name:
        folder = Path(name).resolve()
        images, compiled, folders = folder / "images", folder / "compiled", (*pythonpath, "", "src")
        source = CaseSource(root, policy.target, contract, images, compiled, pythonpath=folders)
        settings = TrialSettings(policy.budget_s, lambda _: Margins(policy.margin, NEVER))
        trial = Trial(dict.fromkeys((BASE, CANDIDATE, NULL), source), settings, progress)
        try:
            _, current = trial.cases()
        except ArmError as error:
            remedy = "correct the cases" if trial.left_s > 0 else "use a larger `--budget`"
            raise UsageError(f"cannot load the cases: {error}", remedy=remedy) from error
        trial.lay_out_images(data)
        policy.reject_unknown(current)
        evidence = trial.run([case for case in current if policy.is_timed(case)])
    return summarize(evidence, policy)


def summarize(evidence: Evidence, policy: Policy) -> Diagnosis:
    """Return the diagnosis from a measurement of identical code."""
    cases = dict.fromkeys(slices.case for slices in evidence.slices)
    sights = [_estimate(case, evidence, policy) for case in cases if len(evidence.log_ratios(case, CANDIDATE)) > 1]
    controls = evidence.log_ratios(evidence.control, CONTROL) if evidence.control else []
    control = bounded_ratio(controls) if len(controls) > 1 else None
    return Diagnosis(tuple(sorted(sights, key=lambda sight: sight.visible)), control, evidence)


def _estimate(case: str, evidence: Evidence, policy: Policy) -> Sensitivity:
    candidates, nulls = (evidence.log_ratios(case, arm) for arm in (CANDIDATE, NULL))
    spread = statistics.fmean(statistics.stdev(log_ratios) for log_ratios in (candidates, nulls))
    smallest = visible(spread / BLOCK**0.5, BLOCK, policy.allows("margin", case))
    assert smallest is not None
    fastest_s = min(
        min(slices.minima_s) / slices.iterations
        for slices in evidence.slices
        if slices.case == case and slices.arm == BASE
    )
    return Sensitivity(case, fastest_s, spread, smallest, bounded_ratio(candidates), len(candidates))


def advice(diagnosis: Diagnosis, policy: Policy) -> list[str]:
    """Return advice, one sentence each; a single sentence if nothing is needed."""
    blind = [sight.case for sight in diagnosis.sights if sight.visible > policy.allows("tolerance", sight.case)]
    loads = [slices.load for slices in diagnosis.evidence.slices if slices.load is not None]
    steals = [slices.steal for slices in diagnosis.evidence.slices if slices.steal is not None]
    sentences = []
    if blind:
        listed = ", ".join(blind[:3]) + (f" and {len(blind) - 3} more" if len(blind) > 3 else "")
        sentences.append(
            f"Five pairs of processes detect only slowdowns above the tolerance: {listed}. Use a larger budget, "
            "a quieter machine, or a larger `tolerance` for these cases; their counts are gated in any case."
        )
    if loads and statistics.median(loads) > 1.0 + BUSY:
        sentences.append(
            f"Other processes are running: the load is {statistics.median(loads):.1f}, but a measurement alone "
            "causes a load of 1. Stop the other processes."
        )
    if steals and statistics.median(steals) > STOLEN:
        sentences.append(
            f"The hypervisor gave {statistics.median(steals):.1%} of the time to other guests: use another machine."
        )
    sentences += _list_missing(diagnosis.evidence)
    return sentences or ["Nothing: this machine detects every slowdown that the policy requires."]


def _list_missing(evidence: Evidence) -> Sequence[str]:
    missing = [f"{case} cannot be timed: {why}." for case, why in evidence.failures.items()]
    if evidence.enough_s:
        missing.append(none_reached(evidence))
    elif evidence.unreached:
        missing.append(f"Not measured within the budget: {', '.join(evidence.unreached)}. Use a larger budget.")
    return missing
