"""Words of Python, NumPy and torch that formulas accept as synonyms."""

import ast
from collections.abc import Callable, Mapping

from harness.formula import node as of
from harness.formula.node import Node

MODULES = frozenset(
    {"torch", "nn", "functional", "F", "np", "numpy", "math", "jnp", "jax", "special", "linalg", "scipy", "tf"}
)
"""Prefixes that a word may have: ``torch.exp(x)``, ``np.pi``."""

SAME: Mapping[str, str] = {
    "ln": "log", "absolute": "abs", "fabs": "abs", "arctan": "atan", "expit": "sigmoid", "maximum": "max",
    "minimum": "min", "amax": "max", "amin": "min", "fmax": "max", "fmin": "min", "power": "pow", "sgn": "sign",
}  # fmt: skip
"""Synonyms of words."""


def _log_sigmoid(x: Node) -> Node:
    return -(of.larger(-x, 0) + of.log1p(of.exp(-of.absolute(x))))


def _clamp(x: Node, min: Node | None = None, max: Node | None = None) -> Node:  # noqa: A002 - torch's own names
    at_least = x if min is None else of.larger(x, min)
    return at_least if max is None else of.smaller(at_least, max)


MORE: Mapping[str, Callable[..., Node]] = {
    "logsigmoid": _log_sigmoid,
    "log_sigmoid": _log_sigmoid,
    "log_expit": _log_sigmoid,
    "rsqrt": lambda x: 1 / of.sqrt(x),
    "reciprocal": lambda x: 1 / x,
    "silu": lambda x: x * of.sigmoid(x),
    "swish": lambda x: x * of.sigmoid(x),
    "logaddexp": lambda a, b: of.larger(a, b) + of.log1p(of.exp(-of.absolute(a - b))),
    "clamp": _clamp,
    "hypot": lambda x, y: of.sqrt(x * x + y * y),
    "negative": lambda x: -x,
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
}
"""Further functions, each an abbreviation of a formula."""

INSTEAD: Mapping[str, str] = {
    "outer": "a formula has one axis in each row: write one entry of it, such as `a * b` with `--input a=per_row`",
    "matmul": "write one entry of it: `dot(x, y)`",
    "einsum": "write one entry of it, such as `dot(x, y)`",
    "gelu": "write `x * (1 + erf(x / sqrt(2))) / 2`",
    "var": "write `mean((x - mean(x)) ** 2)`, or divide the sum by `count(x) - 1`",
    "std": "write `sqrt(mean((x - mean(x)) ** 2))`, or divide the sum by `count(x) - 1`",
    "prod": "write `exp(sum(log(x)))` with `--input x=positive`",
    **dict.fromkeys(
        ("float", "double", "to", "item", "tensor", "array"), "leave the conversion out: a formula is exact"
    ),
    "xlogy": "write `where(x == 0, 0, x * log(y))`",
    "asinh": "write `sign(x) * log(abs(x) + sqrt(x * x + 1))`",
    "acosh": "write `log(x + sqrt(x - 1) * sqrt(x + 1))`",
    "atanh": "write `(log1p(x) - log1p(-x)) / 2`",
    "logit": "write `log(p) - log1p(-p)` with `--input p=unit`",
    "detach": "write `stop(x)`",
    "tan": "write `sin(x) / cos(x)`",
}
"""Replacements of words that formulas do not have."""

OTHERWISE_CALLED: Mapping[str, str] = {
    "log": "write `log(x) / log(b)` for a logarithm to the base b",
    **dict.fromkeys(("sum", "mean", "softmax", "log_softmax"), "leave the axis out: all reductions run along the last"),
}
"""Replacements of calls with other arguments."""

OPERATORS: Mapping[type[ast.AST], str] = {
    ast.BitXor: "write `x ** y` for a power",
    ast.MatMult: "write `dot(x, y)`",
}
"""Replacements of operators that formulas do not have."""

SIGNS: Mapping[str, str] = {
    r"&&": "write `and`",
    r"\|\|": "write `or`",
    r"\|": "write `abs(x)`",
    r"[\u00b2\u00b3]": "write `x ** 2` for a power",
    r"\u221a": "write `sqrt(x)`",
    r"\b\d+[a-zA-Z]": "write `2 * x` for a product",
    r"\)\s*=": "leave the name and the equals sign out",
}
"""Replacements of signs that Python does not have, as patterns."""

_LAST = {"dim", "axis"}
_KEEPDIM = {"keepdim", "keepdims"}


def split_dots(tree: ast.expr) -> tuple[str, ...] | None:
    """Return the parts of a name with dots; ``None`` for anything else."""
    match tree:
        case ast.Name(id=name):
            return (name,)
        case ast.Attribute(value=value, attr=name):
            before = split_dots(value)
            return None if before is None else (*before, name)
    return None


def drop_last_axis(arguments: list[ast.expr]) -> list[ast.expr]:
    """Remove the axis -1 of a reduction, as in `sum(x, -1)`; in `max(x, -1)` it is another number."""
    return arguments[:-1] if len(arguments) > 1 and _is_last(arguments[-1]) else arguments


def along_last_axis(keywords: list[ast.keyword]) -> list[ast.keyword]:
    """Remove keywords that select the last axis, such as `dim=-1`, along which all reductions run."""
    return [
        keyword
        for keyword in keywords
        if keyword.arg not in _KEEPDIM and not (keyword.arg in _LAST and _is_last(keyword.value))
    ]


def _is_last(tree: ast.expr) -> bool:
    match tree:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=1)):
            return True
    return False
