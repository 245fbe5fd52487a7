"""The page of the sweep lists every function of a complete module, and what confirms each defect."""

from dataclasses import asdict

import pytest
import torch
from samples.run import verdict, violation
from sweep.functions import NO_CLOSED_FORM, UNASKED, public
from sweep.page import page
from sweep.proof import Proof, proved
from sweep.result import unmeasured

from harness.record import Status, TensorText

LAW = ("value", "float32", "x = 1.0", "2.0", "3.0")


@pytest.mark.parametrize(
    ("proof", "witness"),
    [
        (Proof(*LAW, confirms=True), "mpmath"),
        (Proof(*LAW, confirms=False), "**not confirmed**"),
        (Proof(*LAW, confirms=None, reason="compares two calls"), "compares two calls"),
    ],
)
def test_each_proof_shows_its_witness(proof: Proof, witness: str) -> None:
    """It is mpmath, or the reason why there is no exact value."""
    found = unmeasured("torch.nn.functional:gelu")
    found.verdict, found.laws, found.proofs = "DEFECT", 1, [asdict(proof)]
    text = page({found.target: found}, 0.5)
    assert f"| `torch.nn.functional.gelu` | `value` | float32 | `x = 1.0` | 2.0 | 3.0 | {witness} |" in text


def test_a_function_without_a_formula_has_a_row_with_the_reason() -> None:
    """No public function of `torch.special` is left out."""
    text = page({}, 0.5)
    section = text.split("## torch.special")[1].split("## ")[0]
    assert f"| `bessel_j0` | - | - | {NO_CLOSED_FORM} | - |" in section
    missing = [name for name in public("torch.special") if f"`{name}`" not in section]
    assert not missing
    assert UNASKED["torch.special"]


def test_a_defect_whose_example_is_too_large_for_a_record_has_a_reason() -> None:
    """The record has the shape of the input only."""
    found = violation(example={"x": TensorText(dtype="float32", shape=(4, 1025), values=())})
    law = verdict(Status.BROKEN, law="nan_stays_in_its_row", violation=found)
    proof = proved(law, torch.amax, "formula(x): max(x)", "")
    assert proof.place == "an input of the shape (4, 1025), with NaN for one entry of the first input"
    assert proof.witness == "the result of a NaN is NaN"
