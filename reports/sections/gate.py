"""The section on the gate."""

from collections.abc import Iterator

from ..figures.gate import evidence
from ..part import Part
from ..reading import Reading
from ..section import section
from ..tables import gate as tables


@section("Gate")
def gate(reading: Reading) -> Iterator[Part]:
    """Yield the findings of the gate, and the evidence for its verdicts on time."""
    findings, comparisons, slices = reading.gate.findings, reading.gate.comparisons, reading.gate.slices
    if not findings:
        return
    yield tables.findings(findings)
    if any(comparison.arm == "candidate" for comparison in comparisons):
        yield evidence(comparisons, slices)
        yield tables.comparisons(comparisons)
