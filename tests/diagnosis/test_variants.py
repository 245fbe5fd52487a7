"""One change of a formula is named, and no sentence mentions an operation that the code does not have."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import contract_named
from harness.diagnosis import find_mistake
from harness.diagnosis.evidence import is_shown
from harness.diagnosis.operation import Choice, Operation
from harness.diagnosis.search import Seen, is_of_code
from harness.diagnosis.words import make_mistake
from harness.formula.spelling import written
from harness.record import Mistake


def named(formula: str, function: Callable[..., Any], **inputs: str) -> Mistake | None:
    """Return the mistake of a function under a formula."""
    contract = contract_named(written(formula, None, inputs, over="rows").text)
    case = Case(function, contract.name)
    found = find_mistake(case, contract, "cpu")
    return None if found is None else make_mistake(found, case, contract)


CHANGES: dict[str, tuple[str, Callable[..., Any], str]] = {
    "a small constant": (
        "x / sqrt(mean(x * x) + 1e-6)",
        lambda x: x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5),
        "1e-05 takes the place of 1e-06",
    ),
    "two shares": (
        "0.9 * x + 0.1 * y",
        lambda x, y: 0.97 * x + 0.03 * y,
        "0.03 takes the place of `0.1`, and 1 - 0.03 of `0.9`",
    ),
    "the shares of one sum": (
        "0.001 * g + 0.999 * v + 0.001 * v * v",
        lambda g, v: 0.01 * g + 0.99 * v + 0.001 * v * v,
        "0.99 takes the place of `0.999`, and 1 - 0.99 of `0.001`",
    ),
    "another axis": (
        "x - mean(x)",
        lambda x: x - x.mean(0, keepdim=True) if x.ndim > 1 else x - x.mean(),
        "the columns of the batch are reduced (axis 0)",
    ),
    "a mean for a sum": ("log(sum(x * x))", lambda x: (x * x).mean(-1).log(), "the mean of `x ** 2` is taken"),
    "five digits": (
        "x + 0.044715 * x ** 3",
        lambda x: x + 0.044175 * x**3,
        "0.044175 takes the place of 0.044715",
    ),
    "a divisor": (
        "sum(x * y) / sum(y * y)",
        lambda x, y: (x * y).sum(-1) / ((y * y).sum(-1) + 1e-3),
        "0.001 is added to the divisor `sum(y ** 2)`",
    ),
    "branches": (
        "where(x > y, x - y, 0.5 * (y - x))",
        lambda x, y: torch.where(x > y, 0.5 * (y - x), x - y),
        "are exchanged",
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_one_change_of_a_formula_is_named(change: str) -> None:
    """The sentence has the number, the term or the axis."""
    formula, function, says = CHANGES[change]
    mistake = named(formula, function)
    assert mistake is not None
    assert says in mistake.sentence


def test_the_term_that_is_missing_is_named_and_no_clamp() -> None:
    """The code has neither a logarithm nor a clamp, by which the difference could be explained, too."""
    mistake = named("abs(y_hat - y) + log(2)", lambda y_hat, y: (y_hat - y).abs())
    assert mistake is not None
    assert mistake.sentence.startswith("the term `log(2)` is missing")


def test_a_number_is_not_said_to_take_the_place_of_itself() -> None:
    """A root that was rounded to float32 could be explained by another 2, which is printed as 2."""
    constant = float(torch.tensor(2.0).sqrt())
    mistake = named("x * sqrt(2)", lambda x: constant * x)
    assert mistake is not None
    assert mistake.sentence.startswith("-2.4e-08 is added to `sqrt(2)`")


class _Doubled(torch.autograd.Function):
    """Twice the input, with half of the gradient."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return 2.0 * x

    @staticmethod
    def backward(_: Any, *by: Tensor) -> Tensor:
        return by[0]


def test_a_backward_pass_without_a_term_is_not_called_detached() -> None:
    """The code has no `detach`."""
    assert named("x + x", lambda x: _Doubled.apply(x)) is None


@pytest.mark.parametrize(("sentence", "names", "shown"), [
    ("a part of it is detached; `detach`", {"detach"}, True),
    ("a part of it is detached; `detach`", {"float32", "Tensor"}, False),
    ("the divisor `n` is clamped at 1e-08", {"clamp_min", "Div"}, True),
    ("the divisor `n` is clamped at 1e-08", {"clamp_min", "mul"}, False),
    ("the square root of `x` is missing", {"mul"}, True),
    ("2 takes the place of 3", set(), True),
])  # fmt: skip
def test_a_sentence_needs_its_words_in_the_code(sentence: str, names: set[str], shown: bool) -> None:
    """Only an operation that is reported as missing need not be in the code."""
    assert is_shown(sentence, names) is shown


def test_a_number_of_the_code_may_have_no_square() -> None:
    """The square of 1e300 is beyond the format; the reciprocal and the number itself count all the same."""
    operation = Operation(lambda _, x: x, {})
    seen = Seen(operation, {}, [], [], 1e-6, code=frozenset({1e300}))
    follows = [is_of_code(seen, Choice("eps", ""), value) for value in (0.5, 1e300, -1e-300, 1e150)]
    assert follows == [False, True, True, True]
