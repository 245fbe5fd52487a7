"""Mutants of the source: the operators of cosmic-ray change an operator, number or comparison in a module."""

import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

OPERATORS = tuple(
    f"core/{name}"
    for name in (
        "NumberReplacer",
        *(f"ReplaceBinaryOperator_{change}" for change in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul")),
        *(f"ReplaceBinaryOperator_{change}" for change in ("BitAnd_BitOr", "BitOr_BitAnd", "FloorDiv_Mul")),
        *(f"ReplaceComparisonOperator_{change}" for change in ("Lt_LtE", "LtE_Lt", "Gt_GtE", "GtE_Gt")),
        *(f"ReplaceComparisonOperator_{change}" for change in ("Lt_Gt", "LtE_GtE", "Gt_Lt", "GtE_LtE")),
        *(f"ReplaceComparisonOperator_{change}" for change in ("Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is")),
        *(f"ReplaceUnaryOperator_{change}" for change in ("USub_UAdd", "Delete_Invert", "Delete_Not")),
        *("ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue"),
    )
)
"""One change for each kind of place, and two for both sides of a limit."""

ANNOTATIONS = {"tfpdef", "annassign", "funcdef"}
"""Parents of an annotation: a change of a type has no effect."""


class Mutation(NamedTuple):
    """A change in a module."""

    module: str
    operator: str
    occurrence: int
    line: int

    def code(self) -> str:
        """The changed module."""
        code = mutate_code(source(self.module), get_operator(self.operator)(), self.occurrence)
        assert code is not None
        return str(code)

    @property
    def before(self) -> str:
        """The original line without its indentation."""
        return source(self.module).splitlines()[self.line - 1].strip()

    @property
    def after(self) -> str:
        """The changed line without its indentation."""
        return self.code().splitlines()[self.line - 1].strip()

    @property
    def order(self) -> bytes:
        """Position in a fixed order that mixes modules and operators."""
        return hashlib.sha256(repr(tuple(self)).encode()).digest()


@cache
def source(module: str) -> str:
    """Return the source of a module without importing it."""
    return file_of(module).read_text(encoding="utf-8")


@cache
def file_of(module: str) -> Path:
    """Return a module's file. Only the package is located by import, because its subpackages import torch."""
    package, *rest = module.split(".")
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent.joinpath(*rest).with_suffix(".py")


def mutations(module: str) -> Iterator[Mutation]:
    """Yield every change of a module, by operator."""
    nodes = list(ast_nodes(get_ast(source(module))))
    for name in OPERATORS:
        operator = get_operator(name)()
        places = [(node, at) for node in nodes for at in operator.mutation_positions(node)]
        for occurrence, (node, (start, _)) in enumerate(places):
            if not _is_annotation(node) and not _is_last_axis(name, node):
                yield Mutation(module, name, occurrence, start[0])


def _is_last_axis(operator: str, node: Any) -> bool:
    """Whether -1 may become 1: for a matrix the last axis is the second."""
    return operator.endswith("USub_UAdd") and node.get_next_leaf().value == "1"


def _is_annotation(node: Any) -> bool:
    while (parent := node.parent) is not None:
        if parent.type in ANNOTATIONS and parent.type == "funcdef":
            return node.type not in {"suite", "parameters"}
        if parent.type == "tfpdef" or (parent.type == "annassign" and node is parent.children[1]):
            return True
        node = parent
    return False
