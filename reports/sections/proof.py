"""The section on proofs."""

from collections.abc import Iterator

from harness.wording import broken_blocks
from harness.wording.table.proof import proof_table

from ..part import Block, Part
from ..reading import Reading
from ..section import section
from ..table import page_table
from ..tables import proof
from ..text import cut
from .block import MAX_BLOCKS, MAX_CHARACTERS


@section("Proofs")
def proofs(reading: Reading) -> Iterator[Part]:
    """Yield the proofs, their kernels, the laws that held, and the broken ones."""
    if not reading.proofs:
        return
    yield page_table(proof_table(reading.proofs))
    yield proof.kernels(reading.proofs)
    yield proof.held(reading.proofs)
    for number, text in enumerate(broken_blocks(reading.proofs)[:MAX_BLOCKS], 1):
        yield Block(f"proof-{number}", text.partition("\n")[0], cut(text, limit=MAX_CHARACTERS), folded=True)
