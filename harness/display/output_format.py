"""The formats of ``--output-format``."""

from collections.abc import Sequence

from harness.display.annotation import annotated, concise, github
from harness.display.sarif import to_sarif
from harness.record import Verdict
from harness.wording import verdict_line


def lines_of(kind: str, verdicts: Sequence[Verdict], target: str, early: str = "") -> list[str]:
    """Return the output of a check as `concise`, `github` or `sarif`; the first two end with the verdict."""
    if kind == "sarif":
        return [to_sarif(verdicts, target, early)]
    write = {"concise": concise, "github": github}[kind]
    return [*write(annotated(verdicts, target)), verdict_line(verdicts, early)]
