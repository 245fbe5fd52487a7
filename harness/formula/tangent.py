"""Forward mode: the change of every node for small changes of the inputs, in several directions at once.

It gives products of the Jacobian with vectors. The directions are along the first axis.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from harness.floats import Array
from harness.formula.arithmetic import DOUBLES, pick_entries, widen
from harness.formula.node import STEPS, WITHOUT_SLOPE, Node

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
    if node.operation in _SLOPES:
        return np.asarray(_times(_SLOPES[node.operation](arguments[0], v), changes[0]))
    return np.asarray(_CARRIED[node.operation](v, arguments, changes))


def _times(slope: Any, tangent: Tangent) -> Any:
    return 0.0 if tangent is None else slope * tangent


def _or_zero(tangent: Tangent) -> Any:
    return 0.0 if tangent is None else tangent


def _product(_: Any, a: list[Any], changes: list[Tangent]) -> Array:
    return np.asarray(_times(a[1], changes[0]) + _times(a[0], changes[1]))


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


def _tangent_of_pick(_: Any, a: list[Any], changes: list[Tangent]) -> Array:
    return np.stack([pick_entries(tangent, a[1]) for tangent in _wide(changes[0], a[0])])


def _tangent_of_steps(name: str) -> Callable[[Any, list[Any], list[Tangent]], Array]:
    return lambda _, a, changes: np.asarray(DOUBLES[name](_wide(changes[0], a[0])))


def _wide(tangent: Tangent, like: Any) -> Array:
    assert tangent is not None
    return np.asarray(widen(tangent, (len(tangent), *like.shape)))


_CARRIED: Mapping[str, Callable[[Any, list[Any], list[Tangent]], Array]] = {
    "add": lambda _, __, changes: np.asarray(_or_zero(changes[0]) + _or_zero(changes[1])),
    "sub": lambda _, __, changes: np.asarray(_or_zero(changes[0]) - _or_zero(changes[1])),
    "mul": _product,
    "chain": _chain,
    # Relative changes avoid the quotient of a small result and a large divisor, which would underflow.
    "div": lambda v, a, changes: np.asarray(_or_zero(changes[0]) / a[1] - v * (_or_zero(changes[1]) / a[1])),
    "larger": lambda _, a, changes: _select(a[0] < a[1], changes[1], changes[0]),
    "where": lambda _, a, changes: _select(a[0], changes[1], changes[2]),
    "spread": lambda v, _, changes: _wide(changes[0], v),
    **{name: _tangent_of_steps(name) for name in STEPS},
    "largest": _tangent_of_largest,
    "pick": _tangent_of_pick,
}

_BELL = 2.0 / math.sqrt(math.pi)


def _sech_squared(a: Any) -> Any:
    t = np.exp(-2.0 * np.abs(a))
    return 4.0 * t / ((1.0 + t) * (1.0 + t))


_SLOPES: Mapping[str, Callable[[Any, Any], Any]] = {
    "exp": lambda _, v: v,
    "log": lambda a, _: 1.0 / a,
    "log1p": lambda a, _: 1.0 / (1.0 + a),
    "expm1": lambda _, v: v + 1.0,
    "sqrt": lambda _, v: 0.5 / v,
    "erf": lambda a, _: _BELL * np.exp(-a * a),
    "erfc": lambda a, _: -_BELL * np.exp(-a * a),
    "tanh": lambda a, _: _sech_squared(a),
    "sigmoid": lambda a, _: _sech_squared(0.5 * a) * 0.25,
    "sin": lambda a, _: np.cos(a),
    "cos": lambda a, _: -np.sin(a),
    "atan": lambda a, _: 1.0 / (1.0 + a * a),
    "abs": lambda a, _: np.where(a < 0.0, -1.0, 1.0),
    "neg": lambda _, __: -1.0,
}
"""``slope(argument, value)``"""
