"""The section on training steps that were audited."""

from collections.abc import Iterator

from reports.figures.audit import headroom
from reports.reading import Reading
from reports.section import PagePart, section
from reports.tables import audit as tables


@section("A training step, line by line")
def audits(reading: Reading) -> Iterator[PagePart]:
    """Yield the lines that go wrong, and how far others are from it."""
    for audit in reading.audits:
        if audit.findings:
            yield tables.findings(audit)
        figure = headroom(audit)
        if figure is not None:
            yield figure
            yield tables.headroom(audit)
