"""An entry at a position, ``x[t]``: its value, its gradient, and messages for a wrong position."""

from contextlib import nullcontext

import pytest
import torch
from torch import Tensor
from torch.nn import functional

import harness
from harness.contracts import contract_named
from harness.error import UsageError
from harness.floats import confirming
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.spelling import written
from harness.record import Status

FORMULA = "-log_softmax(x)[t]"
QUICK = {"dtypes": ["float32"], "examples": 4, "laws": ["value", "gradient", "value_on_long_rows"]}


def cross_entropy(x: Tensor, t: Tensor) -> Tensor:
    """Torch's loss, without a reduction."""
    return functional.cross_entropy(x, t, reduction="none")


def of_the_next_class(x: Tensor, t: Tensor) -> Tensor:
    """Counts labels from one."""
    return functional.cross_entropy(x, (t + 1) % x.shape[-1], reduction="none")


def statuses(function: object) -> set[Status]:
    """Return the statuses of the laws of value and gradient."""
    found = harness.check(function, formula=FORMULA, inputs={"t": "index"}, **QUICK)  # type: ignore[arg-type]
    return {verdict.status for verdict in found}


def test_a_loss_by_labels_is_judged() -> None:
    """The right loss holds, and the loss for a wrong label breaks a law."""
    assert statuses(cross_entropy) == {Status.HOLDS}
    assert Status.BROKEN in statuses(of_the_next_class)


def test_value_and_gradient_of_an_entry_are_right() -> None:
    """Double-double arithmetic, balls and float64 agree within their precision."""
    model = Model(parse(written(FORMULA, inputs={"x": "", "t": "index"})))
    x = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    t = torch.tensor([0, 4, 2, 2, 1, 3])
    weights = torch.arange(1.0, 7.0, dtype=torch.float64)
    loss = cross_entropy(x, t)
    (expected,) = torch.autograd.grad(loss, x, weights)
    of, by = model.value, model.gradients["x"]
    for tier in (nullcontext, confirming):
        with tier():
            value, gradient = of.oracle(x.detach(), t), by.oracle(x.detach(), t, weights)
        assert torch.allclose(torch.from_numpy(value.hi), loss.detach(), rtol=1e-13)
        assert torch.allclose(torch.from_numpy(gradient.hi), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("x[t] + t", "an index is allowed only in brackets"),
        ("x[y]", "the value in brackets must be an index input"),
        ("mean(x)[t]", "only a row can be indexed, and this is one number"),
        ("x[0] + t", "`row\\[index\\]`"),
    ],
)
def test_a_wrong_place_is_refused(formula: str, said: str) -> None:
    """The sentence points at it."""
    with pytest.raises(UsageError, match=said):
        contract_named(f"formula(x, y, t: index): {formula}")
