"""The source line of a finding, and the columns of the operation in it."""

import ast
import linecache
from functools import lru_cache
from typing import Any, TypeVar

from harness.diagnosis.marks import name_of
from harness.record.audit import AuditFinding, Headroom

_OPERATORS: dict[str, type[ast.operator] | type[ast.unaryop]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "multiplication": ast.Mult,
    "div": ast.Div,
    "division": ast.Div,
    "pow": ast.Pow,
    "matmul": ast.MatMult,
    "neg": ast.USub,
}
"""Operators of Python by the name of torch's function."""

MOST_CHARACTERS = 200
"""Longer lines have no excerpt, because they are generated code."""

Placed = TypeVar("Placed", AuditFinding, Headroom)


def with_source(record: Placed) -> Placed:
    """Return a finding or a headroom with its source line and the columns of its operation, if they are known."""
    code = linecache.getline(record.file, record.line).rstrip()
    if not code.strip() or len(code) > MOST_CHARACTERS:
        return record
    start, end = _columns(record.file, record.line, code, record.operation)
    return record.model_copy(update={"code": code, "start": start, "end": end})


def _columns(file: str, line: int, code: str, operation: str) -> tuple[int, int]:
    """Return the columns of an operation that occurs once in a line; (0, 0) otherwise."""
    found = [node for node in _tree(file) if node.lineno == line and _is(node, operation)]
    if len(found) != 1 or found[0].end_lineno != line:
        return 0, 0
    encoded = code.encode()  # the columns of ast count bytes
    start, end = found[0].col_offset, found[0].end_col_offset
    return len(encoded[:start].decode(errors="replace")), len(encoded[:end].decode(errors="replace"))


@lru_cache(8)
def _tree(file: str) -> list[Any]:
    """Return the expressions of a file; empty if it cannot be parsed."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError, RecursionError):
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call | ast.BinOp | ast.UnaryOp | ast.AugAssign)]


def _is(node: Any, operation: str) -> bool:
    if isinstance(node, ast.Call):
        return name_of(node).rstrip("_") == operation
    return operation in _OPERATORS and isinstance(node.op, _OPERATORS[operation])
