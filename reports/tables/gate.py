"""The findings of the gate: a row for each finding, those that decide first."""

from collections.abc import Sequence

from harness.record import Comparison, GateFinding, Outcome
from reports.number import percent
from reports.table import Header, Table

ORDER = (
    Outcome.REGRESSED,
    Outcome.NO_VERDICT,
    Outcome.INCONCLUSIVE,
    Outcome.NEW,
    Outcome.IMPROVED,
    Outcome.UNCHANGED,
)
"""From what decides to what does not."""


def findings(findings: Sequence[GateFinding]) -> Table:
    """Return every finding as its sentence."""
    ordered = sorted(findings, key=lambda finding: ORDER.index(finding.outcome))
    return Table(
        name="gate-findings",
        title="What the gate found",
        columns=(Header("gate"), Header("outcome"), Header("finding", "prose")),
        rows=tuple((str(finding.gate), str(finding.outcome), finding.sentence) for finding in ordered),
        caption="Numerics and counts are compared exactly with a baseline, time by statistics with another commit.",
    )


def comparisons(comparisons: Sequence[Comparison]) -> Table:
    """Return the ratios of all arms, with their bounds and the smallest slowdown that would have been seen."""
    rows = [
        (
            *(comparison.case, comparison.arm, str(comparison.outcome), f"{comparison.couples}"),
            *(_change(ratio) for ratio in (comparison.ratio, comparison.low, comparison.high)),
            percent(comparison.visible),
        )
        for comparison in comparisons
    ]
    headings = ("couples", "slowdown", "lower bound", "upper bound", "smallest seen")
    return Table(
        name="gate-times",
        title="Time over the base's, arm by arm",
        columns=(
            *(Header("case", "code"), Header("arm"), Header("outcome")),
            *(Header(heading, "number") for heading in headings),
        ),
        rows=tuple(rows),
        caption="One-sided 95 % bounds of Student's t over couples of processes. The null arm is a second base, the "
        "control the base with a tenth more calls.",
        folded=True,
    )


def _change(ratio: float) -> str:
    return f"{100.0 * (ratio - 1.0):+.1f} %"
