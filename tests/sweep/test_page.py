"""The page of the sweep lists every function of a complete module, and what confirms each defect."""

from dataclasses import asdict

import pytest
from sweep.functions import NO_CLOSED_FORM, UNASKED, public
from sweep.page import page
from sweep.proof import Proof
from sweep.result import unmeasured

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


def test_a_result_of_an_earlier_version_is_marked() -> None:
    """The reader sees which verdicts may be out of date."""
    found = unmeasured("torch.nn.functional:gelu")
    found.verdict, found.laws, found.is_earlier = "lost digits", 1, True
    assert "| lost digits (earlier) | 0 |" in page({found.target: found}, 0.5)


def test_a_function_without_a_formula_has_a_row_with_the_reason() -> None:
    """No public function of `torch.special` is left out."""
    text = page({}, 0.5)
    section = text.split("## torch.special")[1].split("## ")[0]
    assert f"| `bessel_j0` | - | - | {NO_CLOSED_FORM} | - |" in section
    missing = [name for name in public("torch.special") if f"`{name}`" not in section]
    assert not missing
    assert UNASKED["torch.special"]
