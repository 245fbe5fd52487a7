"""The exact value at the example of a defect, computed by mpmath, without the harness.

Python's parser reads a formula, which is evaluated on rows of mpmath numbers. A gradient is the difference quotient
of a step of ``1e-100``. The value of the implementation is computed again, outside the harness.
"""

import ast
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
import torch

from harness.calling.adapter import adapter_of, convert_to_tensors
from harness.contracts import contract_named
from harness.formula.catalogue import CATALOGUE
from harness.formula.spelling import is_formula, spelling
from harness.record import TensorText, Verdict
from harness.verdict.replay import decode_example

DIGITS = 400
"""Digits of every computation."""

STEP = "1e-100"

COTANGENT = "cotangent"

_POISONED = {"nan_stays_in_its_row": ", with NaN for one entry of the first input"}
"""Changes that a law makes to the example."""


@dataclass
class Proof:
    """A defect: its place, the result of the function there, and the exact value."""

    law: str
    dtype: str
    place: str
    actual: str
    exact: str
    confirms: bool | None
    """Whether mpmath finds that the returned number exceeds the law's bound; ``None`` if there is no exact value."""
    reason: str = ""
    """Why there is no exact value."""

    @property
    def witness(self) -> str:
        """What confirms the defect, for the page."""
        return self.reason or ("mpmath" if self.confirms else "**not confirmed**")


_ANOTHER_CALL = "compares two calls"
_WITHOUT_VALUE: Mapping[str, str] = {
    "nan_stays_in_its_row": "the result of a NaN is NaN",
    "no_rows": "an empty batch has no values",
    "second_derivative": "compares derivatives of two orders",
    **dict.fromkeys(("value_on_many_rows", "no_drift"), _ANOTHER_CALL),
}
"""Laws without an exact value at the example, and the reasons."""

DEFINITIONS: Mapping[str, str] = {
    "softmax": "softmax(logits)",
    "log_softmax": "logits - log(sum(exp(logits)))",
    "logsumexp": "log(sum(exp(logits)))",
    "sigmoid": "1 / (1 + exp(-x))",
    "softplus": "log(1 + exp(x))",
    "logsigmoid": "-log(1 + exp(-x))",
    "logaddexp": "log(exp(a) + exp(b))",
    "add": "a + b",
    "layer_norm": "(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + 0.00001)",
    "rms_norm": "x / sqrt(mean(x ** 2) + 1.1920928955078125e-07)",
    "variance": "mean((x - mean(x)) ** 2)",
    "kl_divergence": "sum(where(p > 0, p * (log(where(p > 0, p, 1)) - log_q), 0))",
    "squared_error": "mean((prediction - target) ** 2)",
    "binary_cross_entropy_with_logits": "mean(log(1 + exp(logits)) - logits * targets)",
    "gaussian_nll": "mean(log(variance) + (target - mean) ** 2 / variance) / 2",
}
"""Definitions of contracts, in the words of formulas."""


def proved(verdict: Verdict, function: Any, claim: str, call: str) -> Proof:
    """Compute the example of a violation again, exactly and by the function."""
    violation = verdict.violation
    assert violation is not None
    if large := [text for text in violation.example.values() if isinstance(text, TensorText) and _is_cut(text)]:
        return Proof(
            verdict.law,
            verdict.dtype,
            f"an input of the shape {large[0].shape}{_POISONED.get(verdict.law, '')}",
            f"{violation.actual!r}",
            f"{violation.expected!r}",
            None,
            _without_value(verdict) or "the record has no example of this size",
        )
    example = decode_example(violation.example)
    place = tuple(violation.place)
    where = ", ".join(f"{name} = {_shown(x, place)}" for name, x in example.items() if name != COTANGENT)
    where += _POISONED.get(verdict.law, "")
    proof = Proof(verdict.law, verdict.dtype, where, f"{violation.actual!r}", f"{violation.expected!r}", None)
    definition = _definition(claim)
    if reason := _without_value(verdict) or ("" if definition else f"mpmath has no definition of `{claim}`"):
        proof.reason = reason
        return proof
    assert definition is not None
    laws = {law.name: law for law in contract_named(claim).laws}
    law = laws[verdict.law]
    names = [name for name in example if name != COTANGENT]
    inputs = {name: example[name] for name in names}
    of = names[law.differentiates] if verdict.group == "gradient" else None
    with mpmath.workdps(DIGITS):
        try:
            exact = _exact(definition, inputs, example.get(COTANGENT), of, place)
        except (ZeroDivisionError, ValueError, TypeError, IndexError, OverflowError) as error:
            proof.reason = f"mpmath raises {type(error).__name__}"
            return proof
        if np.ndim(exact):
            proof.reason = "the law is about a whole row"
            return proof
        proof.exact = mpmath.nstr(exact, 20)
        actual = _again(function, call, inputs, example.get(COTANGENT), of)
        value = float(actual[place]) if actual.ndim == len(place) else float("nan")
        proof.actual = repr(value)
        proof.confirms = _exceeds(value, exact, verdict)
    return proof


def _is_cut(text: TensorText) -> bool:
    """Return whether a record has the shape of a tensor without its entries."""
    return len(text.values) < math.prod(text.shape)


def _exceeds(value: float, exact: Any, verdict: Verdict) -> bool:
    """Whether a returned number differs from the exact one by more than the law's bound; infinities must agree."""
    if not (np.isfinite(value) and mpmath.isfinite(exact)):
        return value != float(exact)
    assert verdict.violation is not None
    spacing = float(torch.finfo(getattr(torch, verdict.dtype)).eps) * abs(exact) / 2
    bound = verdict.violation.bound if verdict.unit == "ulp" else 1.0
    return bool(abs(mpmath.mpf(value) - exact) > bound * spacing)


def _without_value(verdict: Verdict) -> str:
    """Return the reason why a law has no exact value at its example; empty if it compares one call with it."""
    return _WITHOUT_VALUE.get(verdict.law) or (_ANOTHER_CALL if verdict.group == "implementation" else "")


def _definition(claim: str) -> str | None:
    if is_formula(claim):
        return spelling(claim).definition
    return CATALOGUE[claim].definition if claim in CATALOGUE else DEFINITIONS.get(claim)


def _shown(x: Any, place: tuple[int, ...]) -> str:
    """Return the row of an input that gives the wrong number, with its first six entries."""
    if not isinstance(x, torch.Tensor):
        return repr(x)
    row = x[place[0]] if place and x.ndim and place[0] < len(x) else x
    values = [repr(value) for value in row.flatten().tolist()]
    shown = ", ".join(values[:6]) + (", ..." if len(values) > 6 else "")
    return f"[{shown}]" if row.ndim else shown


# By mpmath


def _elementwise(function: Callable[..., Any]) -> Any:
    return np.frompyfunc(function, 1, 1)


def _largest(*values: Any) -> Any:
    return np.max(values[0]) if len(values) == 1 else _fold(lambda a, b: np.where(a < b, b, a), values)


def _smallest(*values: Any) -> Any:
    return np.min(values[0]) if len(values) == 1 else _fold(lambda a, b: np.where(a < b, a, b), values)


def _fold(function: Callable[[Any, Any], Any], values: tuple[Any, ...]) -> Any:
    result = values[0]
    for value in values[1:]:
        result = function(result, value)
    return result


def _where(condition: Any, yes: Any, no: Any) -> Any:
    return np.where(condition, yes, no)[()]


def _softmax(x: Any) -> Any:
    e = WORDS["exp"](x - np.max(x))
    return e / np.sum(e)


WORDS: dict[str, Any] = {
    **{name: _elementwise(getattr(mpmath, name)) for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "erf")},
    **{name: _elementwise(getattr(mpmath, name)) for name in ("erfc", "sin", "cos", "atan", "sinh", "cosh")},
    "sigmoid": _elementwise(lambda x: 1 / (1 + mpmath.exp(-x))),
    "softplus": _elementwise(lambda x: mpmath.log1p(mpmath.exp(x))),
    "exp2": _elementwise(lambda x: mpmath.power(2, x)),
    "relu": lambda x: _largest(x, 0),
    "abs": np.abs,
    "sign": np.sign,
    "where": _where,
    "max": _largest,
    "min": _smallest,
    "sum": np.sum,
    "mean": lambda x: np.sum(x) / np.size(x),
    "count": np.size,
    "cumsum": np.cumsum,
    "norm": lambda x: mpmath.sqrt(np.sum(x * x)),
    "softmax": _softmax,
    "log_softmax": lambda x: x - np.max(x) - mpmath.log(np.sum(WORDS["exp"](x - np.max(x)))),
    "logsumexp": lambda x: mpmath.log(np.sum(WORDS["exp"](x))),
    "stop": lambda x: x,
}


class _Numbers(ast.NodeTransformer):
    """Reads the decimal numbers of a formula exactly."""

    def __init__(self, source: str) -> None:
        self.source = source

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Replace a number by an mpmath number."""
        text = ast.Constant(ast.get_source_segment(self.source, node))
        return ast.Call(ast.Name("mpf", ast.Load()), [text], [])


def evaluated(definition: str, inputs: Mapping[str, Any]) -> Any:
    """Return the value of a formula on one row: arrays of mpmath numbers, or numbers."""
    space = {**WORDS, "pi": mpmath.pi(), "mpf": mpmath.mpf, **inputs}
    *assignments, result = [part.strip() for part in definition.split(";")]
    for part in assignments:
        name, _, text = part.partition("=")
        space[name.strip()] = _expression(text.strip(), space)
    return _expression(result, space)


def _expression(text: str, space: dict[str, Any]) -> Any:
    tree = ast.fix_missing_locations(_Numbers(text).visit(ast.parse(text, mode="eval")))
    return eval(compile(tree, "formula", "eval"), {"__builtins__": {}}, space)  # noqa: S307 - our own tables


def _number(x: float) -> Any:
    return mpmath.mpf(x)


def _row(x: torch.Tensor, at: int) -> Any:
    if not x.is_floating_point():
        return np.array(x[at].tolist()) if x.ndim > 1 else x[at].item()
    return np.array([_number(v) for v in x[at].tolist()], dtype=object) if x.ndim > 1 else _number(x[at].item())


def _exact(
    definition: str, inputs: Mapping[str, torch.Tensor], cotangent: torch.Tensor | None, of: str | None, place: Any
) -> Any:
    """Return the exact output, or the exact derivative of the weighted output, at a place; a row is one example."""
    at = place[0] if place else 0
    row = {name: _row(x, at) for name, x in inputs.items()}
    if of is None:
        value = evaluated(definition, row)
        return np.asarray(value, dtype=object)[place[1:]] if np.ndim(value) else value
    assert cotangent is not None
    weight = _row(cotangent, at) if cotangent.ndim else _number(cotangent.item())

    def weighted(step: Any) -> Any:
        moved = row[of] + 0
        if np.ndim(moved):
            moved = moved.copy()
            moved[place[1:]] = moved[place[1:]] + step
        else:
            moved = moved + step
        return np.sum(weight * evaluated(definition, {**row, of: moved}))

    h = mpmath.mpf(STEP)
    return (weighted(h) - weighted(-h)) / (2 * h)


def _again(function: Any, call: str, inputs: Mapping[str, torch.Tensor], cotangent: Any, of: str | None) -> Any:
    """Call the function as a user of torch does, and return the output or the gradient."""
    given = {name: x.clone() for name, x in inputs.items()}
    if of is not None:
        given[of].requires_grad_()
    output = adapter_of(call)(function, *given.values()) if call else function(*given.values())
    output = convert_to_tensors(output)
    if of is None:
        return output.detach()
    return torch.autograd.grad(output, given[of], cotangent)[0]
