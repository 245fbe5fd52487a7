"""Formulas as mathematics: well-formed markup, with the precedence of the text, and true definitions."""

import re
from xml.dom.minidom import parseString

import formula.spelled
import numpy as np
import pytest

from harness.contracts import contract_named
from harness.formula.arithmetic import values
from harness.formula.catalogue import CATALOGUE
from harness.formula.grammar import parse
from harness.formula.node import order
from harness.formula.spelling import Domain, Spelling, domain
from harness.reports.mathml import mathml
from harness.reports.sections.law import DEFINITIONS

CONVENTIONS = {"eps": "0.00001", "correction": "0", "lr": "0.125"}


def text_of(markup: str) -> str:
    """Return the characters of markup, without its structure."""
    return re.sub(r"<[^>]*>|\s|\u2062|\u2003", "", markup.replace("&#x2062;", "").replace("&#x2003;", ""))


def is_well_formed(markup: str) -> bool:
    """Whether every element is closed."""
    return parseString(markup).documentElement is not None  # noqa: S318 - our own markup


@pytest.mark.parametrize(
    ("formula", "said"),
    [
        ("a - (b - c)", "a−(b−c)"),
        ("(a + b) * c", "(a+b)c"),
        ("-(a + b)", "−(a+b)"),
        ("2 * 3 * x", "2·3x"),
        ("log(1 + exp(x))", "ln(1+ex)"),
        ("-sum(p[j] * log(p[j]))", "−∑jpjlnpj"),
        ("abs(x)", "|x|"),
        ("max(x, 0)", "max(x,0)"),
        ("x[t]", "xt"),
        ("d = x - mean(x); d ** 2", "d2whered=x−x¯"),
        ("where(x <= 0, 0, x)", "{0if&#xa0;x≤0xotherwise"),
        ("1 if x > 0 else 0", "{1if&#xa0;x&gt;00otherwise"),
        ("torch.tanh(x)", "tanh(x)"),
        ("square(x + y)", "(x+y)2"),
        ("log1p(x)", "ln(1+x)"),
        ("expm1(x)", "ex−1"),
        ("eps + sigma * count(x)", "ε+σn"),
        ("1.0507009873554804934 * x + 2.997001e-06", "1.050700…x+2.997001e-06"),
    ],
)
def test_an_expression_keeps_its_meaning(formula: str, said: str) -> None:
    """Parentheses stand where the mathematics needs them."""
    markup = mathml(formula)
    assert is_well_formed(markup)
    assert text_of(markup) == said


def test_a_fraction_needs_no_parentheses() -> None:
    """Numerator and denominator are separate."""
    assert "<mfrac><mrow><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow></mrow><mrow><mi>c</mi></mrow></mfrac>" in mathml(
        "(a + b) / c"
    )


@pytest.mark.parametrize("formula", ["", "x +", "x = 1", "[x for x in y]", "x.y = 2; x", "lambda: 1"])
def test_text_that_is_no_formula_has_no_markup(formula: str) -> None:
    """The page then shows only the statement."""
    assert mathml(formula) == ""


def test_text_is_escaped() -> None:
    """A name cannot add markup."""
    assert "<" not in text_of(mathml("a < b"))


def test_the_part_that_overflows_is_marked() -> None:
    """Each exponential, and nothing else."""
    markup = mathml(DEFINITIONS["softmax"], ["exp"])
    assert markup.count('<mrow class="breaks"><msup>') == 2


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_formula_of_the_catalog_has_markup(name: str) -> None:
    """Its text is long at most, never unreadable."""
    markup = mathml(CATALOGUE[name].definition)
    assert markup.startswith("<math")
    assert is_well_formed(markup)


def _value(text: str, inputs: dict[str, Domain], given: dict[str, np.ndarray]) -> np.ndarray:
    """Evaluate a formula in float64."""
    root = parse(Spelling(text, "", tuple(inputs.items()), complete=True)).definition
    return values(order(root), given)[root]


def _given(inputs: dict[str, Domain]) -> dict[str, np.ndarray]:
    """Return three rows of four numbers for each input, within its domain."""
    draw = np.random.default_rng(3)
    given: dict[str, np.ndarray] = {}
    for name, details in inputs.items():
        numbers = draw.uniform(0.1, 2.0, (3, 4))
        numbers = numbers / numbers.sum(1, keepdims=True) if details.kind == "distribution" else numbers
        numbers = numbers[:, :1] if details.per_row else numbers
        given[name] = {
            "index": np.array([[0], [3], [1]]),
            "mask": np.array([[True, False, True, True]] * 3),
        }.get(details.kind, numbers)
    if "log_q" in given:
        given["log_q"] = np.log(given["log_q"])
    return given


@pytest.mark.parametrize("name", formula.spelled.SPELLED)
def test_a_definition_is_the_formula_of_its_contract(name: str) -> None:
    """The formula by which the wrong implementations of the contract are judged has the same value."""
    spelled = formula.spelled.SPELLED[name]
    definition = re.sub(r"\[[ij]\]", "", DEFINITIONS[name])
    for convention, value in CONVENTIONS.items():
        definition = re.sub(rf"\b{convention}\b", value, definition)
    expected = spelled.formula.format_map({"eps": "0.00001", "correction": "0"})
    names = [
        own for own in dict.fromkeys(re.findall(r"[a-z_]+", f"{definition} {expected}")) if own in _INPUTS.get(name, _X)
    ]
    inputs = {own: domain(spelled.inputs.get(own, ""), own) for own in names}
    given = _given(inputs)
    np.testing.assert_allclose(_value(definition, inputs, given), _value(expected, inputs, given), rtol=1e-12)


_X = ("x",)
_INPUTS = {
    "add": ("a", "b"),
    "binary_cross_entropy_with_logits": ("x", "y"),
    "cross_entropy": ("x", "t"),
    "gaussian_nll": ("m", "v", "y"),
    "kl_divergence": ("log_q", "p"),
    "kl_divergence_of_probabilities": ("p", "q"),
    "linear": ("x", "w", "b"),
    "logaddexp": ("a", "b"),
    "masked_softmax": ("x", "keep"),
    "nll_of_probabilities": ("p", "t"),
    "sgd": ("p", "g"),
    "squared_error": ("a", "b"),
}
"""Inputs of the definitions that have others than ``x``."""


def test_every_definition_belongs_to_a_contract() -> None:
    """A contract with a formula has a definition, and a definition a contract."""
    assert DEFINITIONS.keys() == formula.spelled.SPELLED.keys()
    assert all(contract_named(name).name == name for name in DEFINITIONS)
