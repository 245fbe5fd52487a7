"""The table of the gate: its findings."""

from collections.abc import Sequence

from harness.record import GateFinding
from harness.wording.table import Column, Table, build_table


def gate_table(findings: Sequence[GateFinding]) -> Table:
    """Return every finding as its sentence."""
    columns: list[Column[GateFinding]] = [
        Column("gate", lambda finding: str(finding.gate)),
        Column("outcome", lambda finding: str(finding.outcome)),
        Column("finding", lambda finding: finding.sentence, "prose"),
    ]
    caption = (
        "The gate compares numerics and counts exactly with a baseline, and times statistically with another commit."
    )
    return build_table("gate-findings", "Findings of the gate", findings, columns, caption=caption)
