"""Variants of a formula: a wrong constant or sign, and functions that are taken for one another."""

import ast
import math
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.operation import Choice, Operation, Setting
from harness.error import UsageError
from harness.formula.catalogue import CATALOGUE
from harness.formula.grammar import parsed
from harness.formula.node import Node
from harness.formula.spelling import is_formula, spelling
from harness.laws.contract import Contract

_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    **{name: getattr(torch, name) for name in ("exp", "log", "log1p", "expm1", "sqrt", "tanh", "sin", "cos", "atan")},
    **{name: getattr(torch, name) for name in ("sigmoid", "abs", "neg", "add", "sub", "mul", "div", "where")},
    "erf": torch.special.erf,
    "erfc": torch.special.erfc,
    "larger": torch.maximum,
    "less": torch.lt,
    "not_more": torch.le,
    "stop": torch.detach,
    "sum": lambda x: x.sum(-1, keepdim=True),
    "largest": lambda x: x.amax(-1, keepdim=True),
    "cumsum": lambda x: x.cumsum(-1),
}
"""The operations of a formula that have a torch function; formulas with others are not diagnosed."""

_MAX_NODES = 40
"""Formulas with more operations are not varied."""

_RIVALS: tuple[Choice, ...] = (
    Choice(
        "tanh gelu",
        "the tanh approximation of GELU is computed",
        "the formula is {op}",
        (marks.calls("tanh"), marks.keyword("approximate")),
        apply=lambda x: functional.gelu(x, approximate="tanh"),
    ),
    Choice(
        "quick gelu",
        "x * sigmoid(1.702 * x), the quick approximation of GELU, is computed",
        "the formula is {op}",
        (marks.calls("sigmoid"), marks.operator(ast.Mult)),
        apply=lambda x: x * torch.sigmoid(1.702 * x),
    ),
    Choice("exact gelu", "the exact GELU is computed", "the formula is {op}", apply=functional.gelu),
    Choice("silu", "SiLU, x * sigmoid(x), is computed", "the formula is {op}", apply=functional.silu),
    Choice("relu", "max(x, 0) is computed", "the formula is {op}", (marks.calls("relu", "clamp"),), apply=torch.relu),
    Choice("softplus", "softplus(x) is computed", "the formula is {op}", apply=functional.softplus),
    Choice("hardswish", "hardswish(x) is computed", "the formula is {op}", apply=functional.hardswish),
    Choice("elu", "elu(x) is computed", "the formula is {op}", apply=functional.elu),
    Choice("mish", "mish(x) is computed", "the formula is {op}", apply=functional.mish),
)


_NO_MEAN = (Choice("sum", "a sum is taken", "the formula takes the mean: {op}", (marks.calls("sum", "norm"),)),)


def _order(root: Node) -> list[Node]:
    """Return the nodes below a node, arguments first, each once."""
    found: dict[Node, None] = {}

    def visit(one: Node) -> None:
        if one not in found:
            for argument in one.arguments:
                visit(argument)
            found[one] = None

    visit(root)
    return list(found)


def operation_of_formula(contract: Contract) -> Operation | None:
    """Return the operation of a formula's contract; None if the contract is none, or uses other operations."""
    entry = CATALOGUE.get(contract.name)
    text = entry.spelling.text if entry is not None else contract.name
    return _of_text(text) if is_formula(text) else None


@cache
def _of_text(text: str) -> Operation | None:
    try:
        formula = parsed(spelling(text))
    except UsageError:
        return None
    nodes = _order(formula.definition)
    known = {"input", "number", "pi", "count", *_FUNCTIONS}
    if any(one.operation not in known for one in nodes) or len(nodes) > _MAX_NODES:
        return None
    names, whole = list(formula.domains), formula.spelling.whole

    def compute(s: Setting, *inputs: Any) -> Tensor:
        rival = s.choices.get("rival")
        if rival is not None and rival.apply is not None and len(inputs) == 1:
            return rival.apply(inputs[0])  # type: ignore[no-any-return]
        given = dict(zip(names, inputs, strict=False))
        value = _value(nodes, given, s)
        if formula.definition.extent < 2 and formula.by_rows:
            return value.squeeze(-1)
        return value.reshape(()) if whole else value

    rivals = {"rival": _RIVALS} if len(names) == 1 else {}
    after = (generic.SIGN, generic.ROOT, generic.BITS, generic.COMPLEMENT, generic.FACTOR, generic.CONSTANT)
    counts = {"count": _NO_MEAN} if any(one.operation == "count" for one in nodes) else {}
    return Operation(compute, {**rivals, **counts, **_constants(nodes), **_signs(nodes), "after": after})


def _value(nodes: Iterable[Node], given: Mapping[str, Any], s: Setting) -> Tensor:
    """Evaluate the nodes in torch, with the changes of a setting."""
    like = next(x for x in given.values() if isinstance(x, Tensor) and x.is_floating_point())
    found: dict[Node, Any] = {}
    number = sign = 0
    for one in nodes:
        of = [found[argument] for argument in one.arguments]
        match one.operation:
            case "input":
                found[one] = given[str(one.value)]
            case "pi":
                found[one] = torch.tensor(math.pi, dtype=like.dtype)
            case "number":
                slot = f"number {number}"
                value = s.number(slot) if s.key(slot) else float(one.value or 0)
                found[one], number = torch.tensor(value, dtype=like.dtype), number + 1
            case "count":
                found[one] = torch.full_like(of[0][..., :1], 1 if s.key("count") else of[0].shape[-1])
            case "add" | "sub":
                flipped = bool(s.key(f"sign {sign}"))
                sign += 1
                found[one] = of[0] + of[1] if (one.operation == "add") != flipped else of[0] - of[1]
            case _:
                found[one] = _FUNCTIONS[one.operation](*of)
    last: Tensor = found[one]
    return last


def _constants(nodes: Iterable[Node]) -> dict[str, tuple[Choice, ...]]:
    """Return a slot for each number of the formula, in which another number takes its place."""
    values = [float(one.value or 0) for one in nodes if one.operation == "number"]
    return {
        f"number {position}": (
            Choice(
                "number",
                f"{{c}} takes the place of {value:g}",
                "the formula is {op}",
                (marks.number,),
                numbers=tuple(x * math.copysign(1.0, value) for x in generic.FACTORS[9:]),
            ),
        )
        for position, value in enumerate(values)
        if value != 0.0
    }


def _signs(nodes: Iterable[Node]) -> dict[str, tuple[Choice, ...]]:
    """Return a slot for each sum and difference of the formula, in which it is the other."""
    kinds = [one.operation for one in nodes if one.operation in {"add", "sub"}]
    words = {"add": "a term is subtracted", "sub": "a term is added"}
    wanted = {"add": "it is added in {op}", "sub": "it is subtracted in {op}"}
    return {
        f"sign {position}": (
            Choice("term sign", words[kind], wanted[kind], (marks.operator(ast.Sub if kind == "add" else ast.Add),)),
        )
        for position, kind in enumerate(kinds)
    }
