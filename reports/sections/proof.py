"""The section on proofs."""

from collections.abc import Iterator

from harness.wording import broken_blocks
from reports.part import Block
from reports.reading import Reading
from reports.section import PagePart, section
from reports.sections.block import MOST_BLOCKS, MOST_CHARACTERS
from reports.tables import proof
from reports.text import cut


@section("Proofs")
def proofs(reading: Reading) -> Iterator[PagePart]:
    """Yield the proofs, their kernels, the laws that held, and the broken ones."""
    if not reading.proofs:
        return
    yield proof.proofs(reading.proofs)
    yield proof.kernels(reading.proofs)
    yield proof.held(reading.proofs)
    for number, text in enumerate(broken_blocks(reading.proofs)[:MOST_BLOCKS], 1):
        yield Block(f"proof-{number}", text.partition("\n")[0], cut(text, most=MOST_CHARACTERS), folded=True)
