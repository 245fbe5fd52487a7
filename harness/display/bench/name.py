"""Short names of cases for tables."""

from collections.abc import Sequence

from harness.record.bench import BenchRecord


def short_names(records: Sequence[BenchRecord]) -> dict[str, str]:
    """Return each case without its family if all cases share one."""
    families = {record.family for record in records}
    cases = {record.case for record in records}
    return {case: case.partition(".")[2] if len(families) == 1 and "." in case else case for case in cases}
