"""Reverse mode on graphs: the gradient of a formula is another graph.

There are two versions. The *accurate* one is the exact gradient: it uses no factor from a saturated value, and gives
zero for a branch that was not taken. The *usual* one contains the steps of a framework, factor by factor with torch's
derivative formulas. Its running error is admissible.

References
----------
A. Griewank, A. Walther (2008), *Evaluating Derivatives*, 2nd ed., chapter 3.
"""

from collections.abc import Callable, Iterator, Sequence

from harness.formula.node import (
    CONSTANT,
    ENTRY,
    ROW,
    WITHOUT_SLOPE,
    Node,
    absolute,
    chain,
    cos,
    exp,
    less,
    lift,
    node,
    order,
    sigmoid,
    sin,
    sqrt,
    total,
    where,
)


def gradient(root: Node, cotangent: Node, wrt: Sequence[Node], *, accurate: bool) -> list[Node]:
    """Return the gradient of ``sum(root * cotangent)`` with respect to each given input.

    ``accurate`` selects the exact gradient rather than the usual one.
    """
    adjoints: dict[Node, Node] = {root: cotangent}
    for one in reversed(order(root)):
        if one not in adjoints:
            continue
        for argument, weight in _shares(one, adjoints[one], accurate=accurate):
            if argument.operation in WITHOUT_SLOPE or argument.extent == CONSTANT:
                continue
            fitted = _fitted(weight, argument)
            adjoints[argument] = adjoints[argument] + fitted if argument in adjoints else fitted
    return [adjoints.get(one, node("spread", lift(0), one) if one.extent == ENTRY else lift(0)) for one in wrt]


def _fitted(weight: Node, argument: Node) -> Node:
    """Sum or repeat a weight to match the extent of its argument."""
    if argument.extent == ROW and weight.extent == ENTRY:
        return total(weight)
    if argument.extent == ENTRY and weight.extent < ENTRY:
        return node("spread", weight, argument)
    return weight


Share = tuple[Node, Node]


def _shares(one: Node, g: Node, *, accurate: bool) -> Iterator[Share]:
    """Yield the part of a node's weight that each argument receives."""
    times: Callable[[Node, Node], Node] = chain if accurate else (lambda a, b: a * b)
    if one.operation in _UNARY:
        (a,) = one.arguments
        yield a, times(g, (_ACCURATE if accurate else _UNARY)[one.operation](a, one))
    elif one.operation in _OTHERS:
        yield from _OTHERS[one.operation](one, g, times)


_TWO_OVER_ROOT_PI = 2 / sqrt(node("pi"))


def _of_tanh(a: Node, _: Node) -> Node:
    """``4 t / (1 + t)^2`` with ``t = exp(-2 |a|)``, which does not saturate."""
    t = exp(-2 * absolute(a))
    return 4 * t / ((1 + t) * (1 + t))


_UNARY: dict[str, Callable[[Node, Node], Node]] = {
    "neg": lambda _, __: lift(-1),
    "exp": lambda _, y: y,
    "log": lambda a, _: 1 / a,
    "log1p": lambda a, _: 1 / (1 + a),
    "expm1": lambda _, y: y + 1,
    "sqrt": lambda _, y: 1 / (2 * y),
    "erf": lambda a, _: _TWO_OVER_ROOT_PI * exp(-(a * a)),
    "erfc": lambda a, _: -(_TWO_OVER_ROOT_PI * exp(-(a * a))),
    "tanh": lambda _, y: 1 - y * y,
    "sigmoid": lambda _, y: (1 - y) * y,
    "sin": lambda a, _: cos(a),
    "cos": lambda a, _: -sin(a),
    "atan": lambda a, _: 1 / (1 + a * a),
    "abs": lambda a, _: where(less(a, 0), -1, 1),
}
"""``derivative(argument, value)``, in the formulas of frameworks."""

_ACCURATE: dict[str, Callable[[Node, Node], Node]] = {
    **_UNARY,
    "expm1": lambda a, _: exp(a),
    "tanh": _of_tanh,
    "sigmoid": lambda a, y: y * sigmoid(-a),
}
"""The same derivatives, without cancellation."""

Times = Callable[[Node, Node], Node]


def _product(one: Node, g: Node, times: Times) -> Iterator[Share]:
    a, b = one.arguments
    yield a, times(g, b)
    yield b, times(g, a)


def _quotient(one: Node, g: Node, times: Times) -> Iterator[Share]:
    a, b = one.arguments
    yield a, times(g, 1 / b) if times is chain else g / b
    yield b, times(g, -(one / b)) if times is chain else -(g * (one / b))


def _larger(one: Node, g: Node, _: Times) -> Iterator[Share]:
    a, b = one.arguments
    yield a, where(less(a, b), 0, g)
    yield b, where(less(a, b), g, 0)


def _either(one: Node, g: Node, _: Times) -> Iterator[Share]:
    condition, yes, no = one.arguments
    yield yes, where(condition, g, 0)
    yield no, where(condition, 0, g)


def _sum(one: Node, g: Node, _: Times) -> Iterator[Share]:
    (a,) = one.arguments
    yield a, node("spread", g, a)


def _largest(one: Node, g: Node, _: Times) -> Iterator[Share]:
    (a,) = one.arguments
    yield a, where(node("first_largest", a), g, 0)


def _pick(one: Node, g: Node, _: Times) -> Iterator[Share]:
    a, index = one.arguments
    yield a, where(node("at", index, a), g, 0)


_OTHERS: dict[str, Callable[[Node, Node, Times], Iterator[Share]]] = {
    "add": lambda one, g, _: iter([(one.arguments[0], g), (one.arguments[1], g)]),
    "sub": lambda one, g, _: iter([(one.arguments[0], g), (one.arguments[1], -g)]),
    "mul": _product,
    "chain": _product,
    "div": _quotient,
    "larger": _larger,
    "where": _either,
    "sum": _sum,
    "largest": _largest,
    "pick": _pick,
    "spread": lambda one, g, _: iter([(one.arguments[0], g)]),
    "cumsum": lambda one, g, _: iter([(one.arguments[0], node("cumsum_from_end", g))]),
    "cumsum_from_end": lambda one, g, _: iter([(one.arguments[0], node("cumsum", g))]),
}
