"""Forward mode: the change of every node for small changes of the inputs, in several directions at once.

It gives products of the Jacobian with vectors. The directions are along the first axis.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from harness.floats import Array
from harness.formula.arithmetic import DOUBLES, compute_nodes, pick_entries, widen
from harness.formula.derivative import ACCURATE
from harness.formula.node import STEPS, WITHOUT_SLOPE, Node, node, order

Tangent = Array | None
"""Changes along the directions of the first axis; ``None`` for a constant."""


def tangents(nodes: Iterable[Node], values: Mapping[Node, Any], directions: Mapping[str, Array]) -> dict[Node, Tangent]:
    """Return the change of every node along each direction; directions have one axis more than the inputs, in front."""
    results: dict[Node, Tangent] = {}
    with np.errstate(all="ignore"):
        for node in nodes:
            if node.operation == "input":
                results[node] = directions.get(str(node.value))
            else:
                results[node] = _tangent(node, values, [results[argument] for argument in node.arguments])
    return results


def _tangent(node: Node, values: Mapping[Node, Any], changes: list[Tangent]) -> Tangent:
    changing = changes[:1] if node.operation in {"spread", "pick"} else changes
    if node.operation in WITHOUT_SLOPE or all(tangent is None for tangent in changing):
        return None
    v, arguments = values[node], [values[argument] for argument in node.arguments]
    if node.operation in ACCURATE:
        slopes = _order_slope(node.operation)
        slope = compute_nodes(slopes, {"argument": arguments[0], "value": v}, DOUBLES)[slopes[-1]]
        return np.asarray(_times(slope, changes[0]))
    return np.asarray(_CARRIED[node.operation](v, arguments, changes))


@cache
def _order_slope(operation: str) -> list[Node]:
    """Return the derivative of an elementary function as a list of nodes."""
    return order(ACCURATE[operation](node("input", value="argument"), node("input", value="value")))


def _times(slope: Any, tangent: Tangent) -> Any:
    return 0.0 if tangent is None else slope * tangent


def _or_zero(tangent: Tangent) -> Any:
    return 0.0 if tangent is None else tangent


def _chain(_: Any, a: list[Any], changes: list[Tangent]) -> Array:
    inner = np.where(a[0] == 0.0, 0.0, a[1])
    return np.asarray(_times(inner, changes[0]) + np.where(a[0] == 0.0, 0.0, _times(a[0], changes[1])))


def _select(condition: Any, yes: Tangent, no: Tangent) -> Array:
    return np.asarray(np.where(condition, _or_zero(yes), _or_zero(no)))


def _tangent_of_largest(_: Any, a: list[Any], changes: list[Tangent]) -> Array:
    assert changes[0] is not None
    index = np.expand_dims(a[0].argmax(-1), -1)
    tangent = _wide(changes[0], a[0])
    return np.take_along_axis(tangent, np.broadcast_to(index, (len(changes[0]), *index.shape)), -1)


def _tangent_of_steps(name: str) -> Callable[[Any, list[Any], list[Tangent]], Array]:
    return lambda _, a, changes: np.asarray(DOUBLES[name](_wide(changes[0], a[0])))


def _wide(tangent: Tangent, like: Any) -> Array:
    assert tangent is not None
    return np.asarray(widen(tangent, (len(tangent), *like.shape)))


_CARRIED: Mapping[str, Callable[[Any, list[Any], list[Tangent]], Array]] = {
    "add": lambda _, __, changes: np.asarray(_or_zero(changes[0]) + _or_zero(changes[1])),
    "sub": lambda _, __, changes: np.asarray(_or_zero(changes[0]) - _or_zero(changes[1])),
    "mul": lambda _, a, changes: np.asarray(_times(a[1], changes[0]) + _times(a[0], changes[1])),
    "chain": _chain,
    # Relative changes avoid the quotient of a small result and a large divisor, which would underflow.
    "div": lambda v, a, changes: np.asarray(_or_zero(changes[0]) / a[1] - v * (_or_zero(changes[1]) / a[1])),
    "larger": lambda _, a, changes: _select(a[0] < a[1], changes[1], changes[0]),
    "where": lambda _, a, changes: _select(a[0], changes[1], changes[2]),
    "spread": lambda v, _, changes: _wide(changes[0], v),
    **{name: _tangent_of_steps(name) for name in STEPS},
    "largest": _tangent_of_largest,
    "pick": lambda _, a, changes: np.stack([pick_entries(tangent, a[1]) for tangent in _wide(changes[0], a[0])]),
}
