"""Blocks of text on findings, as the terminal prints them, and their largest number on a page."""

import zlib
from collections.abc import Sequence

from harness.findings import Finding
from harness.record import Status, Verdict
from harness.wording.finding import finding_in_full

from ..text import cut

MAX_BLOCKS = 40
"""More failures than these are named in sentences, but not shown block by block."""

MAX_CHARACTERS = 4000
"""Longer blocks are cut."""


def has_block(finding: Finding) -> bool:
    """Whether a finding has details beyond its sentence."""
    return finding.violation is not None or finding.status is Status.ERROR


def block_name(finding: Finding) -> str:
    """Return the identifier of a finding's block: a short hash of its subject."""
    return f"failure-{zlib.crc32('|'.join(finding.first.key).encode(errors='replace')):08x}"


def block_text(finding: Finding, checked: Sequence[Verdict]) -> str:
    """Return a finding in full, with the block of its representative verdict."""
    return cut(finding_in_full(finding, checked), limit=MAX_CHARACTERS)
