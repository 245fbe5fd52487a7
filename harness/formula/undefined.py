"""Find where a graph has no value at any precision: after a division by zero, or a log or root of a negative number.

Enclosures show this by their signs, and a higher precision would not change it. Only certain cases are reported; the
others are decided by more digits.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.floats import Array
from harness.formula.arithmetic import DOUBLES, pick_entries
from harness.formula.node import STEPS, Node
from harness.formula.primitive import PRIMITIVES
from harness.formula.running_error import DOUBLE, errors

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class InDouble:
    """Certain facts about the values of nodes, entry by entry: from float64 values and their running errors."""

    values: Mapping[Node, Any]
    errors: Mapping[Node, Array]

    def is_zero(self, node: Node) -> Flags:
        """Return where the value is certainly zero."""
        return np.asarray((self.values[node] == 0.0) & (self.errors[node] == 0.0))

    def is_not_zero(self, node: Node) -> Flags:
        """Return where the value is certainly not zero: its magnitude exceeds twice the error."""
        return np.asarray(np.abs(self.values[node]) > 2.0 * self.errors[node])

    def is_below(self, node: Node, bound: float) -> Flags:
        """Return where the value is certainly below a number, by at least twice the error."""
        above = self.values[node] - bound
        return np.asarray((above < 0.0) & (above <= -2.0 * self.errors[node]))

    def is_decided(self, node: Node) -> Flags:
        """Return where a condition is certain; undecided conditions have the error one."""
        return np.asarray(self.errors[node] == 0.0)


def _each(says: Callable[[Any], bool]) -> Callable[[Any], Flags]:
    applied = np.frompyfunc(says, 1, 1)
    return lambda values: np.asarray(applied(values), dtype=bool)


_is_zero, _is_not_zero = _each(lambda x: x.is_zero()), _each(lambda x: not x.contains(0))


@dataclass(frozen=True)
class InBalls:
    """The same facts from balls."""

    values: Mapping[Node, Any]

    def is_zero(self, node: Node) -> Flags:
        """Return where the ball is zero."""
        return _is_zero(self.values[node])

    def is_not_zero(self, node: Node) -> Flags:
        """Return where the ball does not contain zero."""
        return _is_not_zero(self.values[node])

    def is_below(self, node: Node, bound: float) -> Flags:
        """Return where the ball is below a number."""
        return _each(lambda x: x < bound)(self.values[node])

    def is_decided(self, node: Node) -> Flags:
        """Only inputs and indices are certain, because comparisons use the middles of balls."""
        return np.full(np.shape(self.values[node]), node.operation in {"input", "at"})


Enclosures = InDouble | InBalls


def find_undefined(nodes: Sequence[Node], enclosures: Enclosures) -> Flags | None:
    """Return where the last node certainly has no value, or ``None`` if there is no such entry."""
    results: dict[Node, Flags | None] = {}
    for node in nodes:
        carried = _carry(node, [results[argument] for argument in node.arguments], enclosures)
        results[node] = _either(carried, _undefined_here(node, enclosures))
    return results[nodes[-1]]


def zero_by_infinity(nodes: Sequence[Node], values: Mapping[Node, Any], weight: str) -> Flags | None:
    """Return where a gradient is zero times an infinite slope, not counting branches that were not taken.

    The chain rule takes such a product as zero, which is right for a branch that was not taken. But
    ``sqrt(p) - sqrt(q)`` is zero at zero and zero, and its square has a slope there. The gradient is linear in the
    input ``weight``: where that is zero, so are its products. The result is ``None`` if there is no such entry.
    """
    if not any(_meets_infinity(node, values) for node in nodes):
        return None
    of_branches = _find_untaken(nodes, values, weight)
    # A number that merely overflows in float64 is not infinite.
    enclosures = InDouble(values, errors(nodes, values, DOUBLE))
    results: dict[Node, Flags | None] = {}
    for node in nodes:
        argument_flags = [results[argument] for argument in node.arguments]
        flags = _either(_carry(node, argument_flags, enclosures), _undefined_here(node, enclosures))
        if node.operation == "chain" and argument_flags[1] is not None:
            flags = _either(flags, np.asarray(argument_flags[1] & ~of_branches[node.arguments[0]]))
        results[node] = flags
    return results[nodes[-1]]


def _meets_infinity(node: Node, values: Mapping[Node, Any]) -> bool:
    if node.operation != "chain":
        return False
    outer, slope = (values[argument] for argument in node.arguments)
    return bool(((outer == 0.0) & ~np.isfinite(slope)).any())


def _find_untaken(nodes: Sequence[Node], values: Mapping[Node, Any], weight: str) -> dict[Node, Any]:
    """Return where a node is zero for structural reasons: in a branch that was not taken, or without weight."""
    results: dict[Node, Any] = {}
    for node in nodes:
        argument_flags = [results[argument] for argument in node.arguments]
        match node.operation:
            case "input":
                flags = (values[node] == 0.0) & (node.value == weight)
            case "number":
                flags = np.asarray(node.value == 0)
            case "where":
                flags = np.where(values[node.arguments[0]], argument_flags[1], argument_flags[2])
            case "mul" | "chain":
                flags = argument_flags[0] | argument_flags[1]
            case "add" | "sub":
                flags = argument_flags[0] & argument_flags[1]
            case "div" | "neg" | "stop" | "spread":
                flags = argument_flags[0]
            case "sum":
                flags = np.broadcast_to(argument_flags[0], np.shape(values[node.arguments[0]])).all(-1, keepdims=True)
            case _:
                flags = np.False_
        results[node] = flags
    return results


def _either(a: Flags | None, b: Flags | None) -> Flags | None:
    if a is None or b is None:
        return a if b is None else b
    return np.asarray(a | b)


def _undefined_here(node: Node, enclosures: Enclosures) -> Flags | None:
    """Return where the operation itself has no value."""
    row = PRIMITIVES.get(node.operation)
    if node.operation == "div":
        flags = enclosures.is_zero(node.arguments[1])
    elif row is not None and row.lowest > -math.inf:
        flags = enclosures.is_below(node.arguments[0], row.lowest)
        flags = flags | (row.is_pole and enclosures.is_zero(node.arguments[0]))
    else:
        return None
    return flags if flags.any() else None


def _carry(node: Node, argument_flags: list[Flags | None], enclosures: Enclosures) -> Flags | None:
    """Return where a required argument has no value."""
    if node.operation in _CONDITIONS or all(flags is None for flags in argument_flags):
        return None
    match node.operation:
        case "where":
            return _find_selected(node, argument_flags, enclosures)
        case "chain":
            inner = (
                None
                if argument_flags[1] is None
                else np.asarray(argument_flags[1] & enclosures.is_not_zero(node.arguments[0]))
            )
            return _either(argument_flags[0], inner)
    first = argument_flags[0]
    if node.operation not in _ALONG or first is None:
        return (
            None if node.operation in _ALONG else _either(first, argument_flags[1] if len(argument_flags) > 1 else None)
        )
    wide = np.broadcast_to(first, np.shape(enclosures.values[node.arguments[0]]))
    if node.operation in STEPS:
        return np.asarray(DOUBLES[node.operation](wide) > 0)
    if node.operation == "largest":
        return np.asarray(wide.any(-1, keepdims=True))
    if node.operation == "pick":
        return pick_entries(wide, enclosures.values[node.arguments[1]])
    return np.broadcast_to(first, np.shape(enclosures.values[node]))


_CONDITIONS = {"less", "not_more", "first_largest", "at", "count"}
_ALONG = {*STEPS, "largest", "pick", "spread"}


def _find_selected(node: Node, argument_flags: list[Flags | None], enclosures: Enclosures) -> Flags | None:
    """Return where the selected branch has no value; both branches must lack one if the selection is uncertain."""
    condition, yes, no = node.arguments[0], *(False if flags is None else flags for flags in argument_flags[1:])
    branch = np.where(enclosures.values[condition], yes, no)
    return np.asarray(np.where(enclosures.is_decided(condition), branch, np.logical_and(yes, no)))
