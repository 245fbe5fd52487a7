"""Cases as tables name them."""

from collections.abc import Mapping, Sequence
from typing import Any


def short_names(entries: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Return each case without its family, where all are of one."""
    families = {entry["extra_info"]["family"] for entry in entries}
    cases = {entry["extra_info"]["case"] for entry in entries}
    return {case: case.partition(".")[2] if len(families) == 1 and "." in case else case for case in cases}
