"""Variants of a formula: a wrong constant or sign, and functions that are taken for one another."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic, marks
from harness.diagnosis.marks import calls, keyword, multiplies
from harness.diagnosis.operation import Choice, Operation, Setting, mistake
from harness.error import UsageError
from harness.formula.catalogue import CATALOGUE
from harness.formula.grammar import parse
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

_RIVALS = (
    mistake("tanh gelu", "the tanh approximation of GELU is computed; the formula is {op}",
            lambda x: functional.gelu(x, approximate="tanh"), calls("tanh"), keyword("approximate")),
    mistake("quick gelu", "x * sigmoid(1.702 * x), the quick approximation of GELU, is computed; the formula is {op}",
            lambda x: x * torch.sigmoid(1.702 * x), calls("sigmoid"), multiplies),
    mistake("exact gelu", "the exact GELU is computed; the formula is {op}", functional.gelu),
    mistake("silu", "SiLU, x * sigmoid(x), is computed; the formula is {op}", functional.silu),
    mistake("relu", "max(x, 0) is computed; the formula is {op}", torch.relu, calls("relu", "clamp")),
    mistake("softplus", "softplus(x) is computed; the formula is {op}", functional.softplus),
    mistake("hardswish", "hardswish(x) is computed; the formula is {op}", functional.hardswish),
    mistake("elu", "elu(x) is computed; the formula is {op}", functional.elu),
    mistake("mish", "mish(x) is computed; the formula is {op}", functional.mish),
)  # fmt: skip

_NO_MEAN = mistake("sum", "a sum is taken; the formula takes the mean: {op}", lambda _: 1, calls("sum", "norm"))


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
        formula = parse(spelling(text))
    except UsageError:
        return None
    nodes = _order(formula.definition)
    known = {"input", "number", "pi", "count", *_FUNCTIONS}
    if any(one.operation not in known for one in nodes) or len(nodes) > _MAX_NODES:
        return None
    names, whole = list(formula.domains), formula.spelling.whole

    def compute(s: Setting, *inputs: Any) -> Tensor:
        value = _value(nodes, dict(zip(names, inputs, strict=False)), s)
        if formula.definition.extent < 2 and formula.by_rows:
            return value.squeeze(-1)
        return value.reshape(()) if whole else value

    slots = {
        "rival": _RIVALS if len(names) == 1 else (),
        "count": (_NO_MEAN,) if any(one.operation == "count" for one in nodes) else (),
        **_constants(nodes),
        **_signs(nodes),
        **_guards(nodes),
        "after": (generic.SIGN, generic.ROOT, generic.BITS, generic.COMPLEMENT, generic.FACTOR, generic.CONSTANT),
    }
    return Operation(lambda s, *inputs: s.call("rival", partial(compute, s), *inputs), slots)


def _value(nodes: Iterable[Node], given: Mapping[str, Any], s: Setting) -> Tensor:
    """Evaluate the nodes in torch, with the changes of a setting."""
    like = next(x for x in given.values() if isinstance(x, Tensor) and x.is_floating_point())
    found: dict[Node, Any] = {}
    number = sign = log = 0
    for one in nodes:
        of = [found[argument] for argument in one.arguments]
        match one.operation:
            case "input":
                found[one] = given[str(one.value)]
            case "pi":
                found[one] = torch.tensor(math.pi, dtype=like.dtype)
            case "number":
                value = s.changed(f"number {number}", float(one.value or 0))
                found[one], number = torch.tensor(value, dtype=like.dtype), number + 1
            case "count":
                found[one] = torch.full_like(of[0][..., :1], s.changed("count", of[0].shape[-1]))
            case "add" | "sub":
                found[one] = s.call(f"sign {sign}", _FUNCTIONS[one.operation], *of)
                sign += 1
            case "log":
                found[one] = s.call("log", partial(s.call, f"log {log}", torch.log), of[0])
                log += 1
            case _:
                found[one] = _FUNCTIONS[one.operation](*of)
    last: Tensor = found[one]
    return last


def _constants(nodes: Iterable[Node]) -> dict[str, tuple[Choice, ...]]:
    """Return a slot for each number of the formula, in which another number takes its place."""
    values = [float(one.value or 0) for one in nodes if one.operation == "number"]
    return {
        f"number {position}": (
            mistake("number", f"{{c}} takes the place of {value:g}; the formula is {{op}}",
                    lambda _, c: c, marks.number, numbers=tuple(math.copysign(x, value) for x in generic.POSITIVE)),
        )
        for position, value in enumerate(values)
        if value != 0.0
    }  # fmt: skip


_TERM_SIGNS = {
    "add": mistake("term sign", "a term is subtracted; it is added in {op}", torch.sub, marks.subtracts),
    "sub": mistake("term sign", "a term is added; it is subtracted in {op}", torch.add, marks.adds),
}


def _signs(nodes: Iterable[Node]) -> dict[str, tuple[Choice, ...]]:
    """Return a slot for each sum and difference of the formula, in which it is the other."""
    kinds = [one.operation for one in nodes if one.operation in _TERM_SIGNS]
    return {f"sign {position}": (_TERM_SIGNS[kind],) for position, kind in enumerate(kinds)}


def _guarded(what: str) -> tuple[Choice, ...]:
    """Return the deviations that keep the argument of a logarithm away from zero."""
    found = (
        generic.eps(what, lambda x, c: torch.log(x + c)),
        generic.clamp(what, lambda x, c: torch.log(x.clamp(min=c))),
        mistake("clamp", f"{what} is clamped between {{c}} and 1 - {{c}}; {{op}} clamps nothing",
                lambda x, c: torch.log(x.clamp(c, 1.0 - c)), marks.number, calls("clamp", "clip"), numbers=generic.EPS),
    )  # fmt: skip
    # The guard may be in another function, which has the name of a logarithm.
    return tuple(replace(one, marks=(*one.marks, calls("log"))) for one in found)


def _guards(nodes: Iterable[Node]) -> dict[str, tuple[Choice, ...]]:
    """Return a slot for each logarithm of the formula; if there are several, also for all of them together."""
    many = sum(one.operation == "log" for one in nodes)
    if many < 2:
        return {"log": _guarded("the argument of the logarithm")} if many else {}
    alone = {f"log {position}": _guarded(f"the argument of logarithm {position + 1}") for position in range(many)}
    return {**alone, "log": _guarded("the argument of each logarithm")}
