"""The mean or the sum over the rows of a formula: judged with its gradient, and named if it is wrong."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from formula.reduced import SOUND, WRONG, Reduced

import harness
from harness.contracts import contract_named
from harness.error import UsageError
from harness.floats import confirming
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.spelling import spelling


@pytest.mark.parametrize("loss", SOUND, ids=lambda loss: loss.function.__name__)
def test_a_sound_loss_of_rows_has_no_defect(loss: Reduced) -> None:
    """Value and gradients are judged, in a wide and in a narrow format."""
    verdicts = harness.check(
        loss.function, formula=loss.formula, over=loss.over, dtypes=["float32", "bfloat16"], examples=6
    )
    assert not verdicts.failing
    assert {"value", "gradient"} <= {verdict.law for verdict in verdicts if verdict.status == "holds"}


@pytest.mark.parametrize("loss", WRONG, ids=lambda loss: loss.function.__name__)
def test_a_wrong_loss_of_rows_is_found_and_named(loss: Reduced) -> None:
    """The finding names the mistake."""
    claims = {"dtypes": ["float32"], "laws": ["value", "gradient"], "examples": 8, **loss.claims}
    verdicts = harness.check(loss.function, formula=loss.formula, over=loss.over, **claims)
    broken = [verdict for verdict in verdicts if verdict.law == "value"]
    assert [verdict.status for verdict in broken] == ["broken"]
    assert loss.sentence in str(verdicts)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_reduced_value_and_gradient_equal_those_of_autograd(reduction: str) -> None:
    """Both tiers of the oracle agree with float64, also for a weight of each row."""
    model = Model(parse(spelling(f"formula of {reduction}(a, b, w: per_row): w * sum((a - b) ** 2)")))
    torch.manual_seed(0)
    a, b, w = torch.randn(4, 3, 5), torch.randn(4, 3, 5), torch.randn(4, 3)
    wide = [x.double().requires_grad_() for x in (a, b, w)]
    rows = wide[2] * ((wide[0] - wide[1]) ** 2).sum(-1)
    value, cotangent = getattr(rows, reduction)(-1), torch.tensor([1.0, -2.0, 0.5, 3.0])
    gradients = torch.autograd.grad(value, wide, cotangent.double())
    for tier in (nullcontext, confirming):
        with tier():
            assert np.allclose(model.value.oracle(a, b, w).hi, value.detach().numpy(), rtol=1e-13)
            for name, gradient in zip("abw", gradients, strict=True):
                exact = model.gradients[name].oracle(a, b, w, cotangent).hi
                assert np.allclose(exact, gradient.numpy(), rtol=1e-13)


def test_a_formula_with_a_result_for_each_entry_of_a_row_is_not_reduced() -> None:
    """A softmax has no mean over the rows."""
    with pytest.raises(UsageError, match="the formula must give one number for each row"):
        contract_named("formula of mean: softmax(x)")
