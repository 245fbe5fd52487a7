"""Mistakes of wrong functions are named; sound functions have none."""

import math

import pytest
import torch
from controls.catalogue import CONTROLS
from controls.control import Control
from corpus.catalogue import of
from corpus.specimen import Specimen
from diagnosis.mistakes import WRONG, Wrong
from formula.patterns import WITHOUT_FLOOR
from formula.spelled import Spelled
from torch import Tensor
from torch.nn import functional

from harness.case import Case
from harness.contracts import contract_named
from harness.diagnosis import diagnose, find_mistake, find_operation
from harness.diagnosis.search import make_examples
from harness.diagnosis.words import make_mistake
from harness.formula.spelling import written
from harness.record import Mistake

UNNAMED: dict[str, str] = {
    "rms_norm_centred": "centred+eps",
    "rms_norm_by_length": "sum+eps",
    "rms_norm_over_the_batch": "batch+eps",
}
"""Wrong functions whose mistake has another true name: their author took another epsilon for the default."""


def named(function: object, contract: str, **declares: object) -> Mistake | None:
    """Return the mistake of a function."""
    case, of = Case(function, contract, declares=declares), contract_named(contract)  # type: ignore[arg-type]
    found = find_mistake(case, of, "cpu")
    return None if found is None else make_mistake(found, case, of)


@pytest.mark.parametrize("one", WRONG, ids=lambda one: f"{one.contract}-{one.function.__name__}")
def test_the_mistake_is_named(one: Wrong) -> None:
    """Each wrong function has the name that its author gave it before the variants were written."""
    mistake = named(one.function, one.contract, **one.declares)
    assert mistake is not None
    assert "+".join(mistake.names) in {*one.names, UNNAMED.get(one.function.__name__)}


@pytest.mark.parametrize("form", of("careful"), ids=str)
def test_a_careful_form_has_no_mistake(form: Specimen) -> None:
    """No variant agrees better than the contract."""
    assert named(form.function, form.contract, **form.declares) is None


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.contract)
def test_a_sound_implementation_has_no_mistake(control: Control) -> None:
    """The controls of every contract have no mistake."""
    for function in (control.rounded, control.stable):
        assert named(function, control.contract, **control.declares) is None


@pytest.mark.parametrize(("name", "spelled", "function"), WITHOUT_FLOOR, ids=[name for name, *_ in WITHOUT_FLOOR])
def test_a_formula_without_a_floor_has_no_mistake(name: str, spelled: Spelled, function: object) -> None:
    """Shares near zero lose digits, which no epsilon explains."""
    contract = spelled.case(function, name).contract  # type: ignore[arg-type]
    assert named(function, contract) is None


def unbiased(x: Tensor) -> Tensor:
    """Layer normalization with the unbiased variance."""
    c = x - x.mean(-1, keepdim=True)
    return c / torch.sqrt(x.var(-1, keepdim=True) + 1e-5)


def tanh_gelu(x: Tensor) -> Tensor:
    """The approximation."""
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def test_the_approximation_of_a_formula_is_named() -> None:
    """GELU has a well-known approximation, which is another function."""
    text = written("x * (1 + erf(x / sqrt(2))) / 2", None, None, over="rows").text
    mistake = named(tanh_gelu, text)
    assert mistake is not None
    assert mistake.names == ("tanh gelu",)


@pytest.mark.parametrize(("text", "function", "name"), [
    ("x * sigmoid(1.702 * x)", lambda x: x * torch.sigmoid(1.7 * x), "number"),
    ("(x + 1) * exp(-x)", lambda x: (x - 1) * torch.exp(-x), "term sign"),
    ("sqrt(mean(x * x))", lambda x: torch.sqrt((x * x).sum(-1)), "sum"),
    ("x * tanh(x)", lambda x: -x * torch.tanh(x), "sign"),
])  # fmt: skip
def test_the_mistake_in_a_formula_is_named(text: str, function: object, name: str) -> None:
    """A wrong constant, a wrong sign of a term, a sum for a mean, and a wrong sign."""
    mistake = named(function, written(text, None, None, over="rows").text)
    assert mistake is not None
    assert mistake.names == (name,)


@pytest.mark.parametrize("function", [
    lambda x: torch.softmax(x, -1).sqrt() * 1.1 - 0.01 * x,
    lambda x: torch.softmax(x, -1) + 0.01 * torch.randn_like(x),
    lambda x: torch.softmax(x, -1).to(torch.bfloat16).to(x.dtype),
    lambda x: torch.softmax(torch.where(x > 2.0, x * x, x), -1),
])  # fmt: skip
def test_what_has_no_simple_name_has_none(function: object) -> None:
    """Functions that no variant explains are not explained by the nearest one."""
    assert named(function, "softmax") is None


def test_a_function_that_raises_has_no_mistake() -> None:
    """The error is its finding."""

    def raises(x: Tensor) -> Tensor:
        raise ValueError(x.shape)

    assert named(raises, "softmax") is None


def test_the_search_keeps_its_time() -> None:
    """A function without a name costs no more than the time of a search."""
    contract = contract_named("cross_entropy")
    operation = find_operation(contract)
    assert operation is not None
    ordinary = make_examples(contract, dtype=torch.float64)

    def call(given: object) -> list[Tensor]:
        return [functional.cross_entropy(x.sin(), labels) for x, labels in given]  # type: ignore[attr-defined]

    assert diagnose(operation, {}, call, ordinary, (), seconds=0.0) is None
