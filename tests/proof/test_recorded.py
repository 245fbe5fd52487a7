"""The proofs of torch's functions in the documentation are complete, printed as recorded, and valid for this torch."""

from functools import partial

import numpy as np
import pytest
import torch
from programs.torch_proofs import BEGIN, END, PAGE, recorded, tables
from samples.proof_space import tallied, task

from harness.floats.format import format_of
from harness.proof.pairs import Space, every_pair
from harness.record import Proof, TensorText

PROOFS = recorded()
KERNEL_WIDTH = 64
"""Number of second operands next to the witness, enough for the longest vectors of every kernel."""


def named(proof: Proof) -> str:
    """Return the name of a proof."""
    return "-".join((proof.case.rpartition(".")[2], proof.quantity.replace(", ", "-"), proof.dtype, proof.layout))


def test_every_pair_was_visited_once() -> None:
    """The moments of the visited pairs equal the moments of the space, which this test computes again."""
    for proof in PROOFS:
        moments = every_pair(format_of(proof.dtype)).moments
        assert proof.checksum == "-".join(f"{moment:x}" for moment in moments), named(proof)
        assert proof.is_proved


def test_the_page_shows_what_is_recorded() -> None:
    """All numbers of its tables agree."""
    shown = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert shown == tables(PROOFS)


@pytest.mark.parametrize("proof", PROOFS, ids=named)
def test_torch_still_deviates_as_much_at_the_worst_input(proof: Proof) -> None:
    """On the same kernel the worst pair deviates as recorded, and no neighbor deviates more."""
    if (proof.torch, proof.cpu_capability) != (torch.__version__, torch.backends.cpu.get_cpu_capability()):
        pytest.skip(f"proved of torch {proof.torch} with {proof.cpu_capability}, which this is not")
    assert proof.witness is not None
    logits = proof.witness.example["logits"]
    assert isinstance(logits, TensorText)
    whole = every_pair(format_of(proof.dtype))
    numbers = torch.tensor([float.fromhex(text) for text in logits.values], dtype=whole.format_.dtype)
    first, second = numbers.view(torch.int16).numpy().view(np.uint16)
    start = min(int(np.flatnonzero(whole.second == second)[0]), len(whole.second) - KERNEL_WIDTH)
    space = Space(whole.format_, np.array([first]), whole.second[start : start + KERNEL_WIDTH], 1)
    function = getattr(torch.nn.functional, proof.case.rpartition(".")[2])
    if proof.contract == "cross_entropy":
        function = partial(function, reduction="none")
    found = tallied(task(function, proof.contract, proof.dtype, proof.layout, space, quantity=proof.quantity))
    assert found.error is None
    assert found.witness is not None
    assert found.witness.deviation == proof.witness.deviation
