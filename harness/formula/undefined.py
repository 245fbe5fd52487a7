"""Find where a graph has no value at any precision: after a division by zero, or a log or root of a negative number.

Enclosures show this by their signs, and a higher precision would not change it. Only certain cases are reported; the
others are decided by more digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.floats import Array
from harness.formula.arithmetic import DOUBLES, pick_entries
from harness.formula.node import STEPS, Node
from harness.formula.running_error import DOUBLE, errors

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class InDouble:
    """Certain facts about the values of nodes, entry by entry: from float64 values and their running errors."""

    values: Mapping[Node, Any]
    errors: Mapping[Node, Array]

    def is_zero(self, one: Node) -> Flags:
        """Return where the value is certainly zero."""
        return np.asarray((self.values[one] == 0.0) & (self.errors[one] == 0.0))

    def is_not_zero(self, one: Node) -> Flags:
        """Return where the value is certainly not zero: its magnitude exceeds twice the error."""
        return np.asarray(np.abs(self.values[one]) > 2.0 * self.errors[one])

    def is_below(self, one: Node, bound: float) -> Flags:
        """Return where the value is certainly below a number, by at least twice the error."""
        above = self.values[one] - bound
        return np.asarray((above < 0.0) & (above <= -2.0 * self.errors[one]))

    def is_decided(self, one: Node) -> Flags:
        """Return where a condition is certain; undecided conditions have the error one."""
        return np.asarray(self.errors[one] == 0.0)


def _each(says: Callable[[Any], bool]) -> Callable[[Any], Flags]:
    applied = np.frompyfunc(says, 1, 1)
    return lambda values: np.asarray(applied(values), dtype=bool)


_is_zero, _is_not_zero = _each(lambda x: x.is_zero()), _each(lambda x: not x.contains(0))


@dataclass(frozen=True)
class InBalls:
    """The same facts from balls."""

    values: Mapping[Node, Any]

    def is_zero(self, one: Node) -> Flags:
        """Return where the ball is zero."""
        return _is_zero(self.values[one])

    def is_not_zero(self, one: Node) -> Flags:
        """Return where the ball does not contain zero."""
        return _is_not_zero(self.values[one])

    def is_below(self, one: Node, bound: float) -> Flags:
        """Return where the ball is below a number."""
        return _each(lambda x: x < bound)(self.values[one])

    def is_decided(self, one: Node) -> Flags:
        """Only inputs and indices are certain, because comparisons use the middles of balls."""
        return np.full(np.shape(self.values[one]), one.operation in {"input", "at"})


Enclosures = InDouble | InBalls


def find_undefined(nodes: Sequence[Node], known: Enclosures) -> Flags | None:
    """Return where the last node certainly has no value, or ``None`` if there is no such entry."""
    found: dict[Node, Flags | None] = {}
    for one in nodes:
        carried = _carry(one, [found[argument] for argument in one.arguments], known)
        found[one] = _either(carried, _undefined_here(one, known))
    return found[nodes[-1]]


def zero_by_infinity(nodes: Sequence[Node], values: Mapping[Node, Any], weight: str) -> Flags | None:
    """Return where a gradient is zero times an infinite slope, not counting branches that were not taken.

    The chain rule takes such a product as zero, which is right for a branch that was not taken. But
    ``sqrt(p) - sqrt(q)`` is zero at zero and zero, and its square has a slope there. The gradient is linear in the
    input ``weight``: where that is zero, so are its products. The result is ``None`` if there is no such entry.
    """
    if not any(_meets_infinity(one, values) for one in nodes):
        return None
    of_branches = _find_untaken(nodes, values, weight)
    # A number that merely overflows in float64 is not infinite.
    known = InDouble(values, errors(nodes, values, DOUBLE))
    found: dict[Node, Flags | None] = {}
    for one in nodes:
        of = [found[argument] for argument in one.arguments]
        flags = _either(_carry(one, of, known), _undefined_here(one, known))
        if one.operation == "chain" and of[1] is not None:
            flags = _either(flags, np.asarray(of[1] & ~of_branches[one.arguments[0]]))
        found[one] = flags
    return found[nodes[-1]]


def _meets_infinity(one: Node, values: Mapping[Node, Any]) -> bool:
    if one.operation != "chain":
        return False
    outer, slope = (values[argument] for argument in one.arguments)
    return bool(((outer == 0.0) & ~np.isfinite(slope)).any())


def _find_untaken(nodes: Sequence[Node], values: Mapping[Node, Any], weight: str) -> dict[Node, Any]:
    """Return where a node is zero for structural reasons: in a branch that was not taken, or without weight."""
    found: dict[Node, Any] = {}
    for one in nodes:
        of = [found[argument] for argument in one.arguments]
        match one.operation:
            case "input":
                flags = (values[one] == 0.0) & (one.value == weight)
            case "number":
                flags = np.asarray(one.value == 0)
            case "where":
                flags = np.where(values[one.arguments[0]], of[1], of[2])
            case "mul" | "chain":
                flags = of[0] | of[1]
            case "add" | "sub":
                flags = of[0] & of[1]
            case "div" | "neg" | "stop" | "spread":
                flags = of[0]
            case "sum":
                flags = np.broadcast_to(of[0], np.shape(values[one.arguments[0]])).all(-1, keepdims=True)
            case _:
                flags = np.False_
        found[one] = flags
    return found


def _either(a: Flags | None, b: Flags | None) -> Flags | None:
    if a is None or b is None:
        return a if b is None else b
    return np.asarray(a | b)


def _undefined_here(one: Node, known: Enclosures) -> Flags | None:
    """Return where the operation itself has no value."""
    match one.operation:
        case "div":
            flags = known.is_zero(one.arguments[1])
        case "log":
            flags = known.is_zero(one.arguments[0]) | known.is_below(one.arguments[0], 0.0)
        case "log1p":
            flags = known.is_below(one.arguments[0], -1.0)
        case "sqrt":
            flags = known.is_below(one.arguments[0], 0.0)
        case _:
            return None
    return flags if flags.any() else None


def _carry(one: Node, of: list[Flags | None], known: Enclosures) -> Flags | None:
    """Return where a required argument has no value."""
    if one.operation in _CONDITIONS or all(flags is None for flags in of):
        return None
    match one.operation:
        case "where":
            return _find_selected(one, of, known)
        case "chain":
            inner = None if of[1] is None else np.asarray(of[1] & known.is_not_zero(one.arguments[0]))
            return _either(of[0], inner)
    first = of[0]
    if one.operation not in _ALONG or first is None:
        return None if one.operation in _ALONG else _either(first, of[1] if len(of) > 1 else None)
    wide = np.broadcast_to(first, np.shape(known.values[one.arguments[0]]))
    if one.operation in STEPS:
        return np.asarray(DOUBLES[one.operation](wide) > 0)
    if one.operation == "largest":
        return np.asarray(wide.any(-1, keepdims=True))
    if one.operation == "pick":
        return pick_entries(wide, known.values[one.arguments[1]])
    return np.broadcast_to(first, np.shape(known.values[one]))


_CONDITIONS = {"less", "not_more", "first_largest", "at", "count"}
_ALONG = {*STEPS, "largest", "pick", "spread"}


def _find_selected(one: Node, of: list[Flags | None], known: Enclosures) -> Flags | None:
    """Return where the selected branch has no value; both branches must lack one if the selection is uncertain."""
    condition, yes, no = one.arguments[0], *(False if flags is None else flags for flags in of[1:])
    branch = np.where(known.values[condition], yes, no)
    return np.asarray(np.where(known.is_decided(condition), branch, np.logical_and(yes, no)))
