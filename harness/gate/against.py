"""The time gate: the working tree against another commit, from the trees to findings."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from harness.gate.arm import BASE, CANDIDATE, NULL, ArmError, CaseSource
from harness.gate.evidence import Evidence
from harness.gate.finding import comparisons, margins_of, matched, on_time, timed
from harness.gate.machine import alone
from harness.gate.policy import Policy, read_policy
from harness.gate.tree import Trees, trees
from harness.gate.trial import Trial, TrialSettings
from harness.record import Comparison, GateFinding, Outcome


@dataclass(frozen=True)
class TimeVerdict:
    """Verdict of the time gate.

    Parameters
    ----------
    findings
        A sentence on each case, and on the measurement.
    comparisons
        The ratios with their intervals.
    evidence
        The measurements.
    """

    findings: tuple[GateFinding, ...]
    comparisons: tuple[Comparison, ...] = ()
    evidence: Evidence | None = None


def against(
    reference: str,
    policy: Policy,
    *,
    contract: str | None = None,
    data: str | None = None,
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
    with alone(), trees(reference) as both:
        old = read_policy(both.base, policy)
        sources = _sources(both, policy, contract)
        settings = TrialSettings(policy.budget_s, lambda case: margins_of(policy, case), seed)
        trial = Trial(sources, settings, progress, start_s=start_s)
        try:
            before, here = trial.cases()
        except ArmError as error:
            remedy = "" if trial.left_s > 0 else f" of {policy.budget_s:g} s; use a larger `--budget`"
            return TimeVerdict((on_time("", Outcome.NO_VERDICT, f"The cases cannot be loaded: {error}{remedy}."),))
        policy.refuse_unknown(here)
        trial.lay_out_images(data)
        pairs = matched(before, here, old, policy)
        evidence = trial.run(pairs.compared)
    ratios = comparisons(evidence, policy)
    return TimeVerdict((*pairs.findings, *timed(evidence, ratios)), tuple(ratios), evidence)


def _sources(both: Trees, policy: Policy, contract: str | None) -> Mapping[str, CaseSource]:
    places = {BASE: both.base, CANDIDATE: both.candidate, NULL: both.base}
    return {
        arm: CaseSource(
            tree,
            policy.target,
            contract,
            both.images,
            compiled=both.folder / "compiled",
            renamed=policy.renamed if arm != CANDIDATE else {},
        )
        for arm, tree in places.items()
    }
