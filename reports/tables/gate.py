"""The findings of the gate: a row for each finding, the deciding ones first."""

from collections.abc import Sequence

from harness.record import Comparison, GateFinding, Outcome
from harness.wording.table.gate import gate_table

from ..number import percent
from ..table import Table, codes, headers, numbers, page_table, texts

ORDER = (
    Outcome.REGRESSED,
    Outcome.NO_VERDICT,
    Outcome.RELEASE,
    Outcome.INCONCLUSIVE,
    Outcome.NEW,
    Outcome.IMPROVED,
    Outcome.UNCHANGED,
)
"""Order of outcomes, most decisive first."""


def findings(findings: Sequence[GateFinding]) -> Table:
    """Return every finding as its sentence."""
    return page_table(gate_table(sorted(findings, key=lambda finding: ORDER.index(finding.outcome))))


def comparisons(comparisons: Sequence[Comparison]) -> Table:
    """Return the ratios of the arms, with their bounds and the smallest detectable slowdown."""
    rows = [
        (
            *(comparison.case, comparison.arm, str(comparison.outcome), f"{comparison.couples}"),
            *(_format_change(ratio) for ratio in (comparison.ratio, comparison.low, comparison.high)),
            percent(comparison.visible),
        )
        for comparison in comparisons
    ]
    headings = ("pairs", "slowdown", "lower bound", "upper bound", "smallest detectable")
    columns = headers(codes("case"), texts("arm", "outcome"), numbers(*headings))
    caption = (
        "One-sided 95 % bounds of Student's t over pairs of processes. The null arm is a second base; the "
        "control arm is the base with a tenth more calls."
    )
    return Table("gate-times", "Time relative to the base, by arm", columns, tuple(rows), caption, folded=True)


def _format_change(ratio: float) -> str:
    return f"{100.0 * (ratio - 1.0):+.1f} %"
