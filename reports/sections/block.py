"""Blocks of text on verdicts, as the terminal prints them, and how many of them a page has room for."""

from harness.record import Status, Verdict, violation_block
from reports.text import cut

MOST_BLOCKS = 40
"""More failures than these are named in sentences, but not shown block by block."""

MOST_CHARACTERS = 4000
"""More of one block is cut."""


def has_block(verdict: Verdict) -> bool:
    """Whether there is more to show of a failure than its sentence."""
    return verdict.violation is not None or verdict.status is Status.ERROR


def block_text(verdict: Verdict) -> str:
    """Return the violation as the terminal prints it, or the text of an error below what it is about."""
    text = f"{verdict.case} {verdict.law} [{verdict.where}]\n{verdict.reason or 'no reason was recorded'}"
    return cut(violation_block(verdict) if verdict.violation else text, most=MOST_CHARACTERS)
