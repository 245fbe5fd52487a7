"""Marks: signs of a variant in the source of a function."""

import ast
import math
from collections.abc import Callable
from typing import Any

Mark = Callable[[Any, float | None], bool]
"""``mark(node, number)``: whether a node of the source looks like a variant."""

REDUCTIONS = {
    *("sum", "mean", "softmax", "log_softmax", "logsumexp", "var", "std", "amax", "max", "norm", "vector_norm"),
    *("square", "argmax", "softmin", "normalize"),
}
"""Names of functions that take an axis."""


def get_name(node: Any) -> str:
    """Return the last part of the name of a called function; empty if the node is no call."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def calls(*names: str) -> Mark:
    """Mark a call of a function with one of the names."""
    return lambda node, _: get_name(node) in names


def number(node: Any, value: float | None) -> bool:
    """Mark the sum, the clamp or the other expression in which the number of the variant stands."""
    if value is None or not isinstance(node, ast.BinOp | ast.Call):
        return False
    direct = [node.left, node.right] if isinstance(node, ast.BinOp) else [*node.args, *(k.value for k in node.keywords)]
    return any(
        math.isclose(literal, value, rel_tol=0.02) for literal in map(_read_literal, direct) if literal is not None
    )


def _read_literal(node: ast.expr) -> float | None:
    """Return the number of a literal, also with a sign."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_axis(node: ast.Call) -> Any:
    """Return the axis that a call names: a number, None if it names none, or the text of an expression."""
    keywords = [word.value for word in node.keywords if word.arg in {"dim", "axis"}]
    of_torch = isinstance(node.func, ast.Attribute) and getattr(node.func.value, "id", "") in {
        "torch",
        "F",
        "functional",
    }
    rest = node.args[1:] if of_torch or isinstance(node.func, ast.Name) else node.args
    axes = keywords or rest[:1]
    if not axes:
        return None
    literal = _read_literal(axes[0])
    return ast.unparse(axes[0]) if literal is None else int(literal)


def other_axis(node: Any, _: float | None) -> bool:
    """Mark a reduction along axis 0."""
    return get_name(node) in REDUCTIONS and read_axis(node) == 0


def no_axis(node: Any, _: float | None) -> bool:
    """Mark a reduction that names no axis."""
    return get_name(node) in REDUCTIONS and read_axis(node) is None


def minus(node: Any, _: float | None) -> bool:
    """Mark a negation."""
    return (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant)
    )


def operator(*kinds: type[ast.operator]) -> Mark:
    """Mark a binary operation of one of the kinds."""
    return lambda node, _: isinstance(node, ast.BinOp) and isinstance(node.op, kinds)


adds, subtracts, multiplies, divides, powers = map(operator, (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow))


def keyword(*names: str) -> Mark:
    """Mark a call with one of the keywords."""
    return lambda node, _: isinstance(node, ast.Call) and any(word.arg in names for word in node.keywords)


def no_keepdim(node: Any, _: float | None) -> bool:
    """Mark a reduction along an axis without `keepdim`."""
    words = {word.arg for word in node.keywords} if isinstance(node, ast.Call) else set()
    return get_name(node) in REDUCTIONS - {"softmax", "log_softmax"} and not words & {"keepdim", "keepdims"}


CUTS = {"detach", "detach_", "data", "item", "tolist", "numpy", "no_grad", "inference_mode", "tensor", "float"}
"""Names of calls, and of an attribute, whose result has no gradient."""


def detaches(node: Any, _: float | None) -> bool:
    """Mark an expression whose result is detached from its input."""
    return get_name(node) in CUTS or (isinstance(node, ast.Attribute) and node.attr == "data")
