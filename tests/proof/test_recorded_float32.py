"""The kept proofs of torch in float32 are complete, shown in the documentation, and valid for this torch."""

import numpy as np
import pytest
import torch
from programs.float32_accuracy import BEGIN, END, PAGE, PICTURE, PUBLISHED, tables

from harness.case import Case
from harness.contracts import contract_named
from harness.execution.environment import environment
from harness.proof.float32.count import moments
from harness.proof.float32.kernel import LAYOUTS
from harness.proof.float32.operation import operation_of
from harness.proof.float32.recorded import operation_name, read_recorded, sort_proofs
from harness.proof.float32.rows import WIDTH
from harness.proof.float32.task import Float32
from harness.proof.tally import spell_moments
from harness.record import Proof, TensorText

PROOFS = read_recorded()


def named(proof: Proof) -> str:
    """Return the name of a proof."""
    return "-".join((proof.case.rpartition(".")[2], proof.quantity, proof.layout, proof.cpu_capability))


def test_every_bit_pattern_was_visited_once() -> None:
    """The checksum covers all codes, and most inputs have an error in ulp."""
    assert sort_proofs(PROOFS) == PROOFS
    for proof in PROOFS:
        assert proof.is_proved
        assert proof.checksum == spell_moments(moments(range(2**32)))
        assert 2**30 < sum(proof.histogram) <= 2**32 - 2**24


def test_the_page_shows_what_is_recorded() -> None:
    """``python tests/programs/float32_accuracy.py`` writes it."""
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == tables(PROOFS)
    assert PICTURE.is_file()


@pytest.mark.parametrize("proof", PROOFS, ids=named)
def test_torch_still_deviates_as_much_at_the_worst_input(proof: Proof) -> None:
    """On the same kernel the worst input deviates as recorded, and none of its neighbors deviates more."""
    if (proof.torch, proof.cpu_capability) != (torch.__version__, torch.backends.cpu.get_cpu_capability()):
        pytest.skip(f"proved of torch {proof.torch} with {proof.cpu_capability}, which this is not")
    library, maker = PUBLISHED.get(operation_name(proof), ("", ""))[0], proof.processor.split()[0]
    if library.startswith("oneMKL") and not environment().processor.startswith(maker):
        pytest.skip(f"oneMKL selects its code by the maker of the processor; this was proved on {maker}")
    operation = operation_of(proof.contract)
    assert operation is not None
    assert proof.witness is not None
    text = proof.witness.example["x"]
    assert isinstance(text, TensorText)
    code = int(np.float32(abs(float.fromhex(text.values[0]))).view(np.uint32))
    codes = range(code // WIDTH * WIDTH, code // WIDTH * WIDTH + WIDTH)
    case = Case(operation.function, proof.contract, style="foreign", name=proof.case, target="torch:function")
    (layout,) = [layout for layout in LAYOUTS if layout.name == proof.layout]
    contract = contract_named(proof.contract)
    one = Float32(case, contract, operation, layout, proof.quantity, codes=codes, shards=1)
    found = one.tally(0).witness
    assert found is not None
    # Among many outputs that deviate by nearly as much, only one is measured.
    assert found.deviation == pytest.approx(proof.witness.deviation, rel=2.0**-20)
