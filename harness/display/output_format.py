"""The formats of ``--output-format``."""

from collections.abc import Sequence

from harness.display.annotation import annotated, concise, github, remarked
from harness.display.sarif import to_sarif
from harness.record import Property, Verdict
from harness.wording import verdict_line


def lines_of(
    kind: str, verdicts: Sequence[Verdict], target: str, properties: Sequence[Property] = (), early: str = ""
) -> list[str]:
    """Return the output of a check as `concise`, `github` or `sarif`; the first two end with the verdict."""
    annotations = [*annotated(verdicts, target), *remarked(properties, target)]
    if kind == "sarif":
        return [to_sarif(verdicts, annotations, early)]
    write = {"concise": concise, "github": github}[kind]
    return [*write(annotations), verdict_line(verdicts, early)]
