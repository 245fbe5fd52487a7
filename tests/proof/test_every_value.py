"""Proofs over values: all 65,536 numbers of a 16-bit format, for torch's functions and for mutants."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.contracts.building_blocks.logistic_function import sigmoid_oracle
from harness.floats.format import format_of, round_to, to_array
from harness.proof.every_value import CONTRACTS, Values, every_number
from harness.proof.layout import VALUE_LAYOUTS, ValueLayout
from harness.proof.shards import conclude
from harness.record import Proof, Status, TensorText

CONTIGUOUS, SPREAD, FEW = VALUE_LAYOUTS


def proof(function: object, contract: str, dtype: str, quantity: str, layout: ValueLayout = CONTIGUOUS) -> Proof:
    """Visit every number."""
    assert callable(function)
    case = Case(function, contract, style="foreign", name="foreign.function", target="foreign:function")
    values = Values(case, contract_named(contract), format_of(dtype), layout, quantity)
    return conclude(values, values.tally())


@cache
def every_sigmoid() -> Tensor:
    """Return the sigmoid of every float16, rounded once, in the order of their bits."""
    x = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.float16)
    return round_to(sigmoid_oracle(x), format_of("float16"))


def correctly_rounded(x: Tensor) -> Tensor:
    """The sigmoid in float16 from a table, because the oracle needs seconds per proof."""
    return every_sigmoid()[x.contiguous().view(torch.int16).long() + 2**15]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_every_number_is_every_bit_pattern_once(dtype: str) -> None:
    """NaN comes first, then the numbers from -inf to +inf."""
    x = every_number(format_of(dtype))
    assert len(np.unique(x.view(torch.int16).numpy())) == 2**16
    proper = to_array(x[~x.isnan()])
    assert (proper[0], proper[-1]) == (-np.inf, np.inf)
    assert (np.diff(proper[1:-1]) >= 0).all()


def test_a_correctly_rounded_sigmoid_is_proved_to_be_so() -> None:
    """All laws of the value hold, and no error exceeds half an ulp."""
    found = proof(correctly_rounded, "sigmoid", "float16", "value")
    assert found.is_proved
    assert found.not_correctly_rounded == 0
    assert found.witness is not None
    assert 0.49 < found.witness.deviation <= 0.5
    assert {outcome.status for outcome in found.laws} == {Status.HOLDS}
    assert {"value", "monotone", "complements_add_to_one", "limits_at_infinity", "nan_stays_in_its_row"} <= {
        outcome.law for outcome in found.laws
    }


def test_one_wrong_value_is_found_and_is_the_witness() -> None:
    """It is a single one among 65,536."""
    at = 1.2421875

    def off_once(x: Tensor) -> Tensor:
        output = correctly_rounded(x)
        return torch.where(x == at, output * 1.5, output)

    found = proof(off_once, "sigmoid", "float16", "value")
    assert found.beyond["16"] == 1
    assert found.witness is not None
    assert found.witness.example == {"x": TensorText(dtype="float16", shape=(1,), values=("0x1.3ep+0",))}
    broken = {outcome.law: outcome for outcome in found.laws if outcome.status is Status.BROKEN}
    assert {"value", "monotone"} <= set(broken)
    violation = broken["value"].violation
    assert violation is not None
    assert violation.example["x"] == TensorText(dtype="float16", shape=(1,), values=("0x1.3ep+0",))


def test_a_wrong_gradient_is_found_though_the_value_is_right() -> None:
    """The softplus of float64 is detached for x above four."""

    def stops_learning(x: Tensor) -> Tensor:
        value = torch.nn.functional.softplus(x.double())
        return torch.where(x > 4.0, value.detach(), value).to(x.dtype)

    value = proof(stops_learning, "softplus", "float16", "value")
    assert "value" not in {outcome.law for outcome in value.laws if outcome.status is Status.BROKEN}
    gradient = proof(stops_learning, "softplus", "float16", "gradient")
    (broken,) = [outcome for outcome in gradient.laws if outcome.law == "gradient"]
    assert broken.status is Status.BROKEN
    assert broken.violation is not None
    assert broken.violation.actual == 0.0


@pytest.mark.parametrize("contract", CONTRACTS)
def test_the_values_of_torch_are_within_half_an_ulp_and_a_little_in_float16(contract: str) -> None:
    """Torch computes in float32 and rounds the result. The proof counts the inputs that are not correctly rounded."""
    found = proof(getattr(torch.nn.functional, contract), contract, "float16", "value")
    assert found.is_proved
    assert not found.fails
    assert found.witness is not None
    assert 0.5 < found.witness.deviation < 0.5002
    assert 1 <= found.not_correctly_rounded <= 10


def test_layouts_are_compared_bit_by_bit() -> None:
    """The function rounds differently if the numbers are not contiguous."""

    def two_ways(x: Tensor) -> Tensor:
        wide = torch.nn.functional.softplus(x.contiguous().double())
        nudged = wide if x.is_contiguous() else wide * (1.0 + 2.0**-9)
        return nudged.to(x.dtype)

    assert proof(two_ways, "softplus", "bfloat16", "value").differing is None
    assert proof(two_ways, "softplus", "bfloat16", "value", FEW).differing == 0
    assert (proof(two_ways, "softplus", "bfloat16", "value", SPREAD).differing or 0) > 1000


def test_a_declared_failure_is_expected() -> None:
    """The proof does not fail."""

    def as_defined(x: Tensor) -> Tensor:
        return 1.0 / (1.0 + (-x).exp())

    case = Case(as_defined, "sigmoid", breaks={"value": "exp(-x) overflows"}, name="a.b.c", target="a:c")
    values = Values(case, contract_named("sigmoid"), format_of("float16"), CONTIGUOUS, "value")
    found = conclude(values, values.tally())
    (outcome,) = [outcome for outcome in found.laws if outcome.law == "value"]
    assert outcome.status is Status.EXPECTED
    assert outcome.reason == "exp(-x) overflows"
    assert not found.fails


def test_an_implementation_that_raises_is_named() -> None:
    """The proof fails, and no law has an outcome."""
    found = proof(lambda x: x.nonsense, "sigmoid", "float16", "value")
    assert found.fails
    assert not found.is_proved
    assert found.laws == ()
    assert "AttributeError" in (found.error or "")
