"""Blocks of text on findings, as the terminal prints them, and how many of them a page has room for."""

from collections.abc import Sequence

from harness.record import Finding, Status, Verdict, finding_in_full, violation_block
from reports.text import cut

MOST_BLOCKS = 40
"""More failures than these are named in sentences, but not shown block by block."""

MOST_CHARACTERS = 4000
"""More of one block is cut."""


def has_block(finding: Finding) -> bool:
    """Whether there is more to show of a finding than its sentence."""
    return finding.violation is not None or finding.status is Status.ERROR


def block_text(finding: Finding, checked: Sequence[Verdict]) -> str:
    """Return a finding in full, with the block of the verdict that stands for it."""
    return cut(finding_in_full(finding, checked), most=MOST_CHARACTERS)


def verdict_text(verdict: Verdict) -> str:
    """Return the violation of one verdict as the terminal prints it."""
    return cut(violation_block(verdict), most=MOST_CHARACTERS)
