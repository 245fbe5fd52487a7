"""Formulas accept spellings from Python, NumPy and torch, and refuse others with a suggestion."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.contracts import contract_named
from harness.error import UsageError
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.spelling import spelling

KNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "where(x == 2, 5, x)": lambda x: torch.where(x == 2, 5, x),
    "where(x != 2, x, 5)": lambda x: torch.where(x == 2, 5, x),
    "where(x > 0 and x < 2, x, 0)": lambda x: torch.where((x > 0) & (x < 2), x, 0),
    "where((x > 0) & (x < 2), x, 0)": lambda x: torch.where((x > 0) & (x < 2), x, 0),
    "where(0 < x < 2, x, 0)": lambda x: torch.where((x > 0) & (x < 2), x, 0),
    "where(x < -1 or x > 1 or x == 0.5, x, 7)": lambda x: torch.where((x.abs() > 1) | (x == 0.5), x, 7),
    "where(not x > 0, x, -x)": lambda x: -x.abs(),
    "inside = -1 < x < 1; where(~inside, x, 0)": lambda x: torch.where(x.abs() < 1, 0, x),
    "x if x > 0 else exp(x)": lambda x: torch.where(x > 0, x, x.exp()),
    "x.sum()": lambda x: x.sum(-1),
    "x - x.mean(-1, keepdim=True)": lambda x: x - x.mean(-1, keepdim=True),
    "torch.sum(x ** 2, dim=-1)": lambda x: x.square().sum(-1),
    "(x ** 2).mean(axis=-1)": lambda x: x.square().mean(-1),
    "x - x.amax(dim=-1, keepdims=True)": lambda x: x - x.amax(-1, keepdim=True),
    "x - x.amax(-1, keepdim=True)": lambda x: x - x.amax(-1, keepdim=True),
    "x - np.max(x, -1)": lambda x: x - x.amax(-1, keepdim=True),
    "x - min(x, -1)": lambda x: x - x.clamp(max=-1),
    "F.softmax(x, dim=-1)": lambda x: x.softmax(-1),
    "logsigmoid(x)": functional.logsigmoid,
    "F.log_sigmoid(x)": functional.logsigmoid,
    "rsqrt(1 + x * x)": lambda x: torch.rsqrt(1 + x * x),
    "torch.exp(x) + np.log(1 + x * x)": lambda x: x.exp() + torch.log(1 + x * x),
    "torch.nn.functional.silu(x)": functional.silu,
    "math.pi * x.tanh()": lambda x: torch.pi * x.tanh(),
    "x.clamp(min=0)": torch.relu,
    "clamp(x, -1, 1)": lambda x: x.clamp(-1, 1),
    "torch.clamp(x, max=1)": lambda x: x.clamp(max=1),
    "np.maximum(x, 0)": torch.relu,
    "logaddexp(x, 0)": functional.softplus,
    "where((x < -1) | (x > 1), x, 7)": lambda x: torch.where(x.abs() > 1, x, 7),
    "x / np.sum(np.exp(x))": lambda x: x / x.exp().sum(-1, keepdim=True),
    "torch.pow(x, 2) + x.pow(3)": lambda x: x**2 + x**3,
    "np.log10(1 + x * x)": lambda x: torch.log10(1 + x * x),
    "\N{GREEK SMALL LETTER PI} * hypot(x, 1)": lambda x: torch.pi * torch.hypot(x, torch.ones_like(x)),
    "x - x.max(-1, keepdim=True).values": lambda x: x - x.amax(-1, keepdim=True),
    "reciprocal(1 + x * x)": lambda x: 1 / (1 + x * x),
}
ROWS = torch.tensor([[-3.0, 2.0, 0.5], [0.25, -1.5, 1.0], [2.0, 3.0, -0.75]], dtype=torch.float64)


@pytest.mark.parametrize("text", KNOWN)
def test_a_usual_spelling_is_read(text: str) -> None:
    """The spelling means the function that it names."""
    model = Model(parse(spelling(f"formula: {text}")))
    x = ROWS if model.formula.by_rows else ROWS.flatten()
    np.testing.assert_allclose(model.value.oracle(x).hi, KNOWN[text](x).numpy(), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("x^2", r"cannot read `x\^2` at character 1, .*; write `x \*\* y` for a power"),
        ("x @ y", r"write `dot\(x, y\)`"),
        ("torch.outer(x, y)", r"cannot read `torch.outer\(x, y\)`.* has one axis in each row"),
        ("x.var()", r"write `mean\(\(x - mean\(x\)\) \*\* 2\)`"),
        ("x.sum(0)", r"`sum` takes \(x\).*leave the axis out"),
        ("log(x, 2)", r"write `log\(x\) / log\(b\)`"),
        ("x == 0", r"write `where\(condition, 1, 0\)`"),
        ("mish(x)", r"write its definition, `x \* tanh\(log\(1 \+ exp\(x\)\)\)`"),
        ("where(x > 0 && x < 1, x, 0)", r"write `and`"),
        ("2x", r"write `2 \* x`"),
        ("x\N{SUPERSCRIPT TWO}", r"write `x \*\* 2`"),
        ("(|x|)", r"write `abs\(x\)`"),
        ("x.sum(dim=0)", r"`sum` takes \(x\).*leave the other arguments out"),
        ("logsigmoyd(x)", r"did you mean `logsigmoid`"),
        ("(x > 0 and x < 1) * x", r"first argument of `where`"),
        ("where(x + 1, x, 0)", r"first argument of `where`"),
    ],
)
def test_an_unknown_spelling_is_refused_with_a_suggestion(text: str, remedy: str) -> None:
    """The message quotes the spelling and suggests the right one."""
    with pytest.raises(UsageError, match=remedy):
        contract_named(f"formula: {text}")


def test_an_input_may_have_the_name_of_a_library() -> None:
    """The name is an input if it is not used as prefix."""
    assert list(parse(spelling("formula(F): F.exp() + F")).domains) == ["F"]
