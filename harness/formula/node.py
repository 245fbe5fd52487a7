"""The graph of a formula.

Nodes are interned: a subexpression that occurs twice is one node. Each node has an extent: a constant, one number per
row, or one number per entry. Arrays have the entries along their last axis; with one number per row, that axis has
length one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TypeAlias

CONSTANT, ROW, ENTRY = range(3)
"""Extent of a node: one number, one number per row, or one number per entry."""

ELEMENTARY = ("exp", "log", "log1p", "expm1", "sqrt", "erf", "erfc", "tanh", "sin", "cos", "atan", "sigmoid")
REDUCTIONS = ("sum", "largest", "count", "pick")
STEPS = ("sum", "cumsum", "cumsum_from_end")
"""Operations that add along the rows."""

WITHOUT_SLOPE = {"number", "pi", "stop", "count", "less", "not_more", "first_largest", "at"}
"""Operations whose results do not change with small changes of their arguments."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation on other nodes.

    Parameters
    ----------
    operation
        One of :data:`ELEMENTARY`, :data:`REDUCTIONS` and :data:`STEPS`, ``input``, ``number``, ``pi``, ``abs``,
        ``neg``, ``stop``, ``add``, ``sub``, ``mul``, ``div``, ``larger``, ``less``, ``not_more``, ``where``, or one of
        these: ``first_largest`` marks the first of the largest entries; ``spread`` repeats a number per row for each
        entry; ``at`` marks the entry of a row that ``pick`` selects by an index; ``chain`` is a product that is zero
        where its first factor is.
    arguments
        The nodes it operates on.
    value
        Name of an input, or a number.
    extent
        :data:`CONSTANT`, :data:`ROW` or :data:`ENTRY`.
    """

    operation: str
    arguments: "tuple[Node, ...]"
    value: Fraction | str | None
    extent: int

    def __add__(self, other: "Operand") -> "Node":
        return node("add", self, lift(other))

    def __radd__(self, other: "Operand") -> "Node":
        return node("add", lift(other), self)

    def __sub__(self, other: "Operand") -> "Node":
        return node("sub", self, lift(other))

    def __rsub__(self, other: "Operand") -> "Node":
        return node("sub", lift(other), self)

    def __mul__(self, other: "Operand") -> "Node":
        return node("mul", self, lift(other))

    def __rmul__(self, other: "Operand") -> "Node":
        return node("mul", lift(other), self)

    def __truediv__(self, other: "Operand") -> "Node":
        return node("div", self, lift(other))

    def __rtruediv__(self, other: "Operand") -> "Node":
        return node("div", lift(other), self)

    def __neg__(self) -> "Node":
        return node("neg", self)


Operand: TypeAlias = Node | int | Fraction


@cache
def _intern(operation: str, arguments: tuple[Node, ...], value: Fraction | str | None, extent: int) -> Node:
    return Node(operation, arguments, value, extent)


def node(operation: str, *arguments: Node, value: Fraction | str | None = None, extent: int | None = None) -> Node:
    """Return the node of an operation, the same object for equal arguments; ``extent`` defaults to the arguments'."""
    if extent is None:
        extent = max((argument.extent for argument in arguments), default=CONSTANT)
        extent = ROW if operation in REDUCTIONS else ENTRY if operation == "spread" else extent
    return _intern(operation, arguments, value, extent)


def lift(value: Operand) -> Node:
    """Return a number as a node."""
    return value if isinstance(value, Node) else node("number", value=Fraction(value))


def unary(operation: str) -> Callable[[Operand], Node]:
    """Return an operation of one argument as a function."""
    return lambda x: node(operation, lift(x))


exp, log, log1p, expm1, sqrt, erf, erfc, tanh, sin, cos, atan, sigmoid = map(unary, ELEMENTARY)
absolute, stop = unary("abs"), unary("stop")


def less(a: Operand, b: Operand) -> Node:
    """``a < b``."""
    return node("less", lift(a), lift(b))


def not_more(a: Operand, b: Operand) -> Node:
    """``a <= b``."""
    return node("not_more", lift(a), lift(b))


def where(condition: Node, yes: Operand, no: Operand) -> Node:
    """``yes`` where the condition is true, else ``no``."""
    return node("where", condition, lift(yes), lift(no))


def larger(a: Operand, b: Operand) -> Node:
    """The larger of two numbers."""
    return node("larger", lift(a), lift(b))


def smaller(a: Operand, b: Operand) -> Node:
    """The smaller of two numbers."""
    return -larger(-lift(a), -lift(b))


def total(x: Node) -> Node:
    """Sum of a row."""
    return node("sum", x)


def largest(x: Node) -> Node:
    """Largest entry of a row."""
    return node("largest", x)


def count(x: Node) -> Node:
    """Number of entries of a row."""
    return node("count", x)


def pick(x: Node, index: Node) -> Node:
    """Entry of a row at an index."""
    return node("pick", x, index)


def chain(outer: Node, inner: Operand) -> Node:
    """Product that is zero where the first factor is, even if the second is infinite: a branch that was not taken."""
    return node("chain", outer, lift(inner))


def order(*roots: Node) -> list[Node]:
    """Return all nodes on which the roots depend, each after its arguments."""
    visited: dict[Node, None] = {}
    stack: list[tuple[Node, bool]] = [(root, False) for root in reversed(roots)]
    while stack:
        parent, ready = stack.pop()
        if ready:
            visited[parent] = None
        elif parent not in visited:
            stack.append((parent, True))
            stack += [(argument, False) for argument in parent.arguments if argument not in visited]
    return list(visited)
