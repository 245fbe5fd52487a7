"""The operation of a formula, with all variants of its graph, and well-known functions that are taken for it."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harness.diagnosis import generic
from harness.diagnosis.marks import calls, keyword, multiplies, other_axis
from harness.diagnosis.of_losses import REDUCTIONS, reduce_rows
from harness.diagnosis.operation import Choice, Operation, mistake
from harness.diagnosis.variants import UNKNOWN, Variant, generate_variants
from harness.error import UsageError
from harness.formula.catalogue import CATALOGUE
from harness.formula.grammar import Formula, parse
from harness.formula.node import ELEMENTARY, ENTRY, Node, order
from harness.formula.spelling import is_formula, spelling
from harness.laws.contract import Contract

_FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    **{name: getattr(torch, name) for name in (*ELEMENTARY, "abs", "neg", "add", "sub", "mul", "div", "where")},
    "larger": torch.maximum,
    "less": torch.lt,
    "not_more": torch.le,
    "stop": torch.detach,
    "sum": lambda x: x.sum(-1, keepdim=True),
    "largest": lambda x: x.amax(-1, keepdim=True),
    "cumsum": lambda x: x.cumsum(-1),
    "pick": lambda x, t: x.gather(-1, t),
    "count": lambda x: torch.full_like(x[..., :1], x.shape[-1]),
}
"""The operations of a formula that have a torch function; formulas with others are not diagnosed."""

_MAX_NODES = 60
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


def build_operation(contract: Contract) -> Operation | None:
    """Return the operation of a formula's contract; None if the contract is none, or uses other operations."""
    entry = CATALOGUE.get(contract.name)
    text = entry.spelling.text if entry is not None else contract.name
    return _build_from_text(text) if is_formula(text) else None


@cache
def _build_from_text(text: str) -> Operation | None:
    try:
        formula = parse(spelling(text))
    except UsageError:
        return None
    root, nodes = formula.definition, order(formula.definition)
    if any(node.operation not in {"input", "number", "pi", *_FUNCTIONS} for node in nodes) or len(nodes) > _MAX_NODES:
        return None
    compute = partial(_compute_value, formula, root)
    kinds = {name: (domain.kind in {"mask", "index"}, domain.per_row) for name, domain in formula.domains.items()}
    alike = tuple(name for name, kind in kinds.items() if not kind[0] and list(kinds.values()).count(kind) > 1)
    fixed = (generic.SIGN, generic.ROOT, generic.BITS, generic.COMPLEMENT, generic.SQUARE, generic.RECIPROCAL)
    after = (*fixed, generic.FACTOR, generic.CONSTANT)
    instead = (
        *(_RIVALS if len(kinds) == 1 else ()),
        *(_make_choice(formula, variant) for variant in generate_variants(root, alike)),
    )
    if reduction := formula.spelling.reduction:
        slots = {"instead": instead, "reduction": _REDUCTIONS[reduction], "after": after}
        return Operation(lambda s, *inputs: reduce_rows(s, compute(*inputs), reduction), slots)
    if formula.by_rows and root.extent == ENTRY and not any(per_row for _, per_row in kinds.values()):
        instead = (_reduce_columns(compute), *instead)
    return Operation(lambda _, *inputs: compute(*inputs), {"instead": instead, "after": after})


_REDUCTIONS = {
    reduction: tuple(
        replace(choice, sentence=f"{choice.computation}; the formula is {{op}}", declare="")
        for choice in REDUCTIONS
        if choice.key != reduction
    )
    for reduction in ("mean", "sum")
}
"""Other reductions of the rows, by the reduction that the formula has."""


def _make_choice(formula: Formula, variant: Variant) -> Choice:
    """Return the deviation that computes a variant."""

    def apply(*inputs: Any, c: float = 0.0) -> Tensor:
        rows = _compute_value(formula, variant.root, *inputs, c=c)
        reduction = formula.spelling.reduction
        return getattr(rows, reduction)() if reduction else rows

    wanted = _WANTED.get(variant.key, "; the formula is {op}") if "; " not in variant.clause else ""
    fields = {"numbers": variant.numbers, "original": variant.original}
    return mistake(variant.key, f"{variant.clause}{wanted}", apply, *variant.marks, **fields)


_WANTED = {"eps": "; {op} adds none", "clamp": "; {op} clamps nothing"}


def _reduce_columns(compute: Callable[..., Tensor]) -> Choice:
    return mistake(
        "axis", "the columns of the batch are reduced (axis 0); {op} reduces each row (axis -1)",
        lambda *inputs: compute(*(x.transpose(0, -1) for x in inputs)).transpose(0, -1), other_axis,
    )  # fmt: skip


def _compute_value(formula: Formula, root: Node, *inputs: Any, c: float = 0.0) -> Tensor:
    """Evaluate a graph in torch, with a number for the unknown one."""
    values = dict(zip(formula.domains, inputs, strict=False))
    like = next(x for x in values.values() if isinstance(x, Tensor) and x.is_floating_point())
    if formula.by_rows:
        values = {name: x[..., None] if formula.domains[name].per_row else x for name, x in values.items()}
    value = _evaluate(order(root), values, torch.tensor(c, dtype=like.dtype))
    if formula.definition.extent < ENTRY and formula.by_rows:
        value = value.squeeze(-1)
    return value.reshape(()) if formula.spelling.whole else value


def _evaluate(nodes: Iterable[Node], inputs: Mapping[str, Any], c: Tensor) -> Tensor:
    values: dict[Node, Any] = {}
    for node in nodes:
        match node.operation:
            case "input":
                values[node] = c if node is UNKNOWN else inputs[str(node.value)]
            case "pi" | "number":
                value = math.pi if node.operation == "pi" else float(node.value or 0)
                values[node] = torch.tensor(value, dtype=c.dtype)
            case name:
                values[node] = _FUNCTIONS[name](*(values[argument] for argument in node.arguments))
    last: Tensor = values[node]
    return last
