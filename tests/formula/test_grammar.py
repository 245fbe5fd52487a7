"""The grammar accepts formulas, and names the error in text that is not a formula."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import torch

import harness
from harness.contracts import contract_named
from harness.error import UsageError
from harness.formula.grammar import parse
from harness.formula.node import order
from harness.formula.signature import order_like_parameters
from harness.formula.spelling import Domain, spelling, stated_inputs, written


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("x * tahn(x)", "cannot read the formula at character 5, `x * ▶tahn(x)`: unknown function"),
        ("x * (1 + erf(x / 2)", "at character 5, `x * ▶(1 + erf(x / 2)`: '(' was never closed"),
        ("x +", "invalid syntax"),
        ("x if x else 1", "the first argument of `where` must be a comparison or a mask, got `x`"),
        ("x.real", "got `x.real`"),
        ("__import__('os').system('true')", "unknown function; known are"),
        ("[x for x in y]", "a formula consists of numbers"),
        ("where(x, 1, 2)", "the first argument of `where` must be a comparison or a mask"),
        ("x * (x < 1)", "a comparison or a mask is allowed only as the first argument of `where`"),
        ("exp(x, 2)", "`exp` takes (x)"),
        ("sum(sum(x))", "`sum` takes a row"),
        ("1 + 2", "has no input"),
        ("import os", "a formula is an expression"),
        ("y = x", "a formula is an expression"),
        ("'x'", "a formula consists of numbers"),
        ("", "the formula is empty"),
        ("x" * 5_000, "at most 4,000 characters"),
        ("-" * 3_000 + "x", "the formula"),
    ],
)
def test_an_invalid_formula_is_refused_at_its_character(formula: str, said: str) -> None:
    """The message is one sentence."""
    with pytest.raises(UsageError) as refusal:
        parse(written(formula))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_input_that_is_not_used_is_refused() -> None:
    """An unused input may be a typing error."""
    with pytest.raises(UsageError, match="does not use its input `y`"):
        parse(spelling("formula(x, y): exp(x)"))


def test_domains_of_inputs_are_validated() -> None:
    """The message for a misspelled domain suggests the right one."""
    with pytest.raises(UsageError, match="did you mean `positive`"):
        written("log(x)", inputs={"x": "positve"})
    with pytest.raises(UsageError, match="NAME=DOMAIN"):
        stated_inputs(["positive"])
    assert dict(spelling("formula(x: 0.5..2.0): log(x)").inputs)["x"] == Domain("range", low=0.5, high=2.0)


def test_a_decimal_number_is_what_is_written() -> None:
    """A tenth is exact, not the nearest binary number."""
    numbers = [one.value for one in order(parse(written("x + 0.1")).definition) if one.operation == "number"]
    assert numbers == [Fraction(1, 10)]


def test_common_subexpressions_are_one_node() -> None:
    """Common subexpressions keep gradients small."""
    formula = parse(written("exp(x) / (exp(x) + exp(x))"))
    assert sum(one.operation == "exp" for one in order(formula.definition)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "formula: exp(x)",
        "formula(x: positive, ...): log(x) * y",
        "formula(x, y: mask per_row): where(y, x, 0)",
        "formula of all(x): mean(x)",
        "formula(x): log(1 + x) | log1p(x)",
    ],
)
def test_parsing_preserves_the_text_of_a_formula(text: str) -> None:
    """The text of the formula is the name of the contract, and parsing the name gives the same text."""
    assert spelling(text).text == text


def test_inputs_are_taken_in_the_order_of_the_parameters() -> None:
    """The names of the parameters decide."""
    assert order_like_parameters(lambda y, x: y - x, "formula: x - y").startswith("formula(y, x):")
    with pytest.raises(UsageError, match="its parameters are `a`, `b`, got `x`, `y`"):
        order_like_parameters(lambda a, b: a - b, "formula: x - y")
    with pytest.raises(UsageError, match="did you mean `tanh`"):
        order_like_parameters(lambda x: x, "formula: x * tnh")


def test_parameters_with_defaults_need_not_be_named() -> None:
    """They keep their defaults. A default before an input is refused, because inputs are passed by position."""

    def scaled(x: float, factor: float = 1.0, y: float = 0.0) -> float:
        return factor * x - y

    assert order_like_parameters(scaled, "formula: exp(x)").startswith("formula(x):")
    with pytest.raises(UsageError, match=r"`factor` comes before `y`; .*`--call 'lambda f, x, y: f\(x=x, y=y\)'`"):
        order_like_parameters(scaled, "formula: x - y")


def test_an_adapter_takes_the_inputs_by_the_names_of_its_parameters() -> None:
    """If no parameter has the name of an input, inputs are passed in order. A mixture is refused."""

    def holds(call: str, formula: str = "y - 2 * x") -> bool:
        facts: dict[str, Any] = {"dtypes": ["float32"], "laws": ["value"], "examples": 4}
        return harness.check(lambda x, y: y - 2 * x, formula=formula, call=call, **facts)[0].status == "holds"

    assert holds("lambda f, x, y: f(x, y)")
    assert holds("lambda f, y, x: f(x, y)")
    assert holds("lambda f, a, b: f(b, a)")
    assert holds("lambda f, *both: f(*both)", "-2 * x + y")
    with pytest.raises(UsageError, match=r"use the same names: `--call 'lambda f, y, x: f\(y, x\)'`"):
        holds("lambda f, x, z: f(x, z)")


@pytest.mark.parametrize("function", [lambda x: x, lambda x, y: x * y])
def test_the_name_of_a_catalog_formula_is_no_formula(function: Callable[..., Any]) -> None:
    """A single name is the identity, so that GELU itself would be compared with its input."""
    with pytest.raises(UsageError, match="pass `--contract gelu`"):
        order_like_parameters(function, "formula: gelu")
    assert order_like_parameters(lambda gelu: gelu, "formula: gelu").startswith("formula(gelu):")


def test_a_form_that_disagrees_with_its_definition_is_refused_with_an_input() -> None:
    """The check stops before it judges an implementation."""
    with pytest.raises(UsageError, match=r"the formula gives .* and the form .* at x = "):
        harness.check(torch.log1p, formula="log(1 + x)", form="log1p(x) / 2")


def test_a_formula_that_is_nowhere_finite_is_refused() -> None:
    """It has no value to compare with."""
    with pytest.raises(UsageError, match="not finite for any input"):
        contract_named("formula(x): log(-exp(x))")


def test_a_function_in_a_file_says_a_formula(tmp_path: pytest.TempPathFactory) -> None:
    """The file is parsed but never executed."""
    file = tmp_path / "definitions.py"  # type: ignore[operator]
    file.write_text(
        'raise SystemExit("never run")\n\n'
        'def norm_of(x, y):\n    """Say it."""\n    s = x * x\n    return sqrt(s + y * y)\n'
    )
    assert written(f"{file}:norm_of").text == "formula(x, y): s = x * x; sqrt(s + y * y)"
    with pytest.raises(UsageError, match="did you mean `norm_of`"):
        written(f"{file}:norm")
    file.write_text("def f(x):\n    for i in x:\n        pass\n")
    with pytest.raises(UsageError, match="contains only assignments to names and a `return`, got `for i in x:`"):
        written(f"{file}:f")
