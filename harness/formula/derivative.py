"""Reverse mode on graphs: the gradient of a formula is another graph.

There are two versions. The *accurate* one is the exact gradient: it uses no factor from a saturated value, and gives
zero for a branch that was not taken. The *usual* one contains the steps of a framework, factor by factor with torch's
derivative formulas. Its running error is admissible.

References
----------
A. Griewank, A. Walther (2008), *Evaluating Derivatives*, 2nd ed., chapter 3.
"""

from collections.abc import Callable, Sequence

from harness.formula.node import CONSTANT, ENTRY, ROW, WITHOUT_SLOPE, Node, chain, less, lift, node, order, total, where
from harness.formula.primitive import PRIMITIVES, Derivative


def gradient(root: Node, cotangent: Node, wrt: Sequence[Node], *, accurate: bool) -> list[Node]:
    """Return the gradient of ``sum(root * cotangent)`` with respect to each given input.

    ``accurate`` selects the exact gradient rather than the usual one.
    """
    adjoints: dict[Node, Node] = {root: cotangent}
    for parent in reversed(order(root)):
        if parent not in adjoints:
            continue
        for argument, weight in zip(
            parent.arguments, _shares(parent, adjoints[parent], accurate=accurate), strict=False
        ):
            if weight is None or argument.operation in WITHOUT_SLOPE or argument.extent == CONSTANT:
                continue
            fitted = _fit_extent(weight, argument)
            adjoints[argument] = adjoints[argument] + fitted if argument in adjoints else fitted
    return [
        adjoints.get(variable, node("spread", lift(0), variable) if variable.extent == ENTRY else lift(0))
        for variable in wrt
    ]


def _fit_extent(weight: Node, argument: Node) -> Node:
    """Sum or repeat a weight to match the extent of its argument."""
    if argument.extent == ROW and weight.extent == ENTRY:
        return total(weight)
    return node("spread", weight, argument) if argument.extent == ENTRY and weight.extent < ENTRY else weight


Times = Callable[[Node, Node], Node]
Shares = tuple[Node | None, ...]
"""The part of a node's weight that each argument receives; ``None`` for a condition."""


def _shares(result: Node, g: Node, *, accurate: bool) -> Shares:
    times: Times = chain if accurate else (lambda a, b: a * b)
    if result.operation in ACCURATE:
        derivative = (ACCURATE if accurate else _DERIVATIVES)[result.operation]
        return (times(g, derivative(result.arguments[0], result)),)
    return _OTHERS[result.operation](g, times, result, *result.arguments) if result.operation in _OTHERS else ()


_DERIVATIVES: dict[str, Derivative] = {
    **{name: row.derivative for name, row in PRIMITIVES.items()},
    "neg": lambda _, __: lift(-1),
    "abs": lambda a, _: where(less(a, 0), -1, 1),
}
"""Derivatives of the operations of one argument, in the formulas of frameworks."""

ACCURATE = _DERIVATIVES | {name: row.accurate for name, row in PRIMITIVES.items() if row.accurate is not None}
"""The same derivatives, without cancellation."""


def _product(g: Node, times: Times, _: Node, a: Node, b: Node) -> Shares:
    return times(g, b), times(g, a)


def _quotient(g: Node, times: Times, quotient: Node, _: Node, b: Node) -> Shares:
    return (chain(g, 1 / b), chain(g, -(quotient / b))) if times is chain else (g / b, -(g * (quotient / b)))


_OTHERS: dict[str, Callable[..., Shares]] = {
    "add": lambda g, *_: (g, g),
    "sub": lambda g, *_: (g, -g),
    "mul": _product,
    "chain": _product,
    "div": _quotient,
    "larger": lambda g, _, __, a, b: (where(less(a, b), 0, g), where(less(a, b), g, 0)),
    "where": lambda g, _, __, condition, *___: (None, where(condition, g, 0), where(condition, 0, g)),
    "sum": lambda g, _, __, a: (node("spread", g, a),),
    "largest": lambda g, _, __, a: (where(node("first_largest", a), g, 0),),
    "pick": lambda g, _, __, a, index: (where(node("at", index, a), g, 0),),
    "spread": lambda g, *_: (g,),
    "cumsum": lambda g, *_: (node("cumsum_from_end", g),),
    "cumsum_from_end": lambda g, *_: (node("cumsum", g),),
}
"""``shares(weight, times, node, *arguments)``"""
