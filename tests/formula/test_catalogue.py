"""Each formula of the catalog kills a mutant; torch's and a correctly rounded implementation hold."""

from typing import Any

import pytest
import torch
from formula.catalogued import CATALOGUED
from formula.judging import decided
from formula.torch_breaks import NAN
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named, contracts
from harness.floats import FORMATS, round_to
from harness.formula.catalogue import CATALOGUE
from harness.formula.contract import contract_of
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.record import Status, Verdict
from harness.verdict.job import list_jobs

pytestmark = pytest.mark.judged

LAWS = ("value", "finite", "gradient", "gradient_finite")
"""Laws whose violation is a defect, for the first input."""


def verdicts(
    name: str, function: Any, *, examples: int, stop: bool = False, laws: tuple[str, ...] = LAWS
) -> list[Verdict]:
    """Decide these laws in float32, for a mutant until one breaks."""
    listed = [job for job in list_jobs([Case(function, name)], dtypes=["float32"]) if job.law.name in laws]
    return decided(listed, examples=examples, until={Status.BROKEN} if stop else ())


class Rounded(torch.autograd.Function):
    """Value and gradients of the oracle, each rounded once."""

    @staticmethod
    def forward(ctx: Any, model: Model, *inputs: Tensor) -> Tensor:
        """Round the value."""
        ctx.model = model
        ctx.save_for_backward(*inputs)
        return round_to(model.value.oracle(*inputs), FORMATS[str(inputs[0].dtype).removeprefix("torch.")])

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> tuple[Tensor | None, ...]:
        """Round the gradients."""
        inputs, (weight,) = ctx.saved_tensors, weights
        format_ = FORMATS[str(weight.dtype).removeprefix("torch.")]
        quantities = [ctx.model.gradients.get(name) for name in ctx.model.names]
        return None, *(None if of is None else round_to(of.oracle(*inputs, weight), format_) for of in quantities)


def test_every_formula_has_its_implementations() -> None:
    """No formula has the name of a hand-written contract."""
    assert set(CATALOGUED) == set(CATALOGUE)
    assert not set(CATALOGUE) & set(contracts())
    assert len(CATALOGUE) >= 60
    assert all(entry.source for entry in CATALOGUE.values())


@pytest.mark.parametrize("name", CATALOGUED)
def test_a_mutant_is_killed(name: str) -> None:
    """A law whose violation is a defect detects the mutant."""
    assert verdicts(name, CATALOGUED[name].mutant, examples=8, stop=True)[-1].status is Status.BROKEN


@pytest.mark.parametrize("name", CATALOGUED)
def test_a_correctly_rounded_implementation_is_not_flagged(name: str) -> None:
    """The laws of value and gradient hold."""
    model = Model(parse(CATALOGUE[name].spelling))
    found = verdicts(name, lambda *inputs: Rounded.apply(model, *inputs), examples=3)
    assert found
    assert not [f"{one.law}: {one.reason or one.violation}" for one in found if one.status is not Status.HOLDS]


@pytest.mark.filterwarnings("ignore:std")  # torch warns about the deviation of one number
@pytest.mark.parametrize("name", CATALOGUED)
def test_torch_breaks_only_the_declared_laws(name: str) -> None:
    """Torch breaks only the declared laws. Balls confirmed each break, but not every processor shows it."""
    found = verdicts(name, CATALOGUED[name].torch, examples=6, laws=(*LAWS, NAN))
    broken = {verdict.law for verdict in found if verdict.status is not Status.HOLDS}
    assert broken <= set(CATALOGUED[name].breaks)


def test_a_formula_of_the_catalogue_is_claimed_by_its_name() -> None:
    """The name of a catalog formula can be used like the name of a contract."""
    contract = contract_named("mish")
    assert contract.name == "mish"
    assert contract.summary == "x * tanh(log(1 + exp(x)))"
    assert contract is contract_of(CATALOGUE["mish"].spelling.text, "mish")
