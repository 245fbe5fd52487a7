"""Where a graph has no value, to however many digits: behind a division by zero, the logarithm or root of what is less.

That is a matter of signs, which an enclosure shows as it is: zero by zero is not refined, and neither is what is made
of it. Said only of what is certain; of the rest more digits decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.floats import Array
from harness.formula.arithmetic import picked
from harness.formula.node import Node
from harness.formula.running_error import DOUBLE, errors

Flags = NDArray[np.bool_]


class Enclosures(Protocol):
    """What is certain of the values of nodes, entry by entry."""

    def is_zero(self, one: Node) -> Flags:
        """Whether it is zero."""

    def is_not_zero(self, one: Node) -> Flags:
        """Whether it is another number."""

    def is_below(self, one: Node, bound: float) -> Flags:
        """Whether it is less than a number."""

    def is_decided(self, one: Node) -> Flags:
        """Whether a condition is what it seems."""

    def value(self, one: Node) -> Any:
        """What it seems to be."""


@dataclass(frozen=True)
class InDouble:
    """Of float64 values and their running errors.

    Parameters
    ----------
    values, errors
        As :mod:`harness.formula.arithmetic` and :mod:`harness.formula.running_error` have them.
    """

    values: Mapping[Node, Any]
    errors: Mapping[Node, Array]

    def is_zero(self, one: Node) -> Flags:
        """Exactly."""
        return np.asarray((self.values[one] == 0.0) & (self.errors[one] == 0.0))

    def is_not_zero(self, one: Node) -> Flags:
        """By more than it is wrong by."""
        return np.asarray(np.abs(self.values[one]) > 2.0 * self.errors[one])

    def is_below(self, one: Node, bound: float) -> Flags:
        """By more than it is wrong by."""
        above = self.values[one] - bound
        return np.asarray((above < 0.0) & (above <= -2.0 * self.errors[one]))

    def is_decided(self, one: Node) -> Flags:
        """A condition that is not has an error."""
        return np.asarray(self.errors[one] == 0.0)

    def value(self, one: Node) -> Any:
        """In float64."""
        return self.values[one]


def undefined(nodes: Sequence[Node], known: Enclosures) -> Flags | None:
    """Return where the last node has no value; ``None`` where that is certain of no entry.

    Parameters
    ----------
    nodes
        In order.
    known
        What is certain of them.
    """
    found: dict[Node, Flags | None] = {}
    for one in nodes:
        carried = _carried(one, [found[argument] for argument in one.arguments], known)
        found[one] = _either(carried, _own(one, known))
    return found[nodes[-1]]


def zero_by_infinity(nodes: Sequence[Node], values: Mapping[Node, Any], weight: str) -> Flags | None:
    """Return where a gradient is zero times an infinite slope, and that zero is no branch's; ``None`` if nowhere.

    The chain rule takes such a product for zero: what a branch that was not taken would give. But ``sqrt(p) - sqrt(q)``
    is zero at zero and zero, and its square has a slope there.

    Parameters
    ----------
    nodes
        In order, the gradient the last.
    values
        Their float64 values.
    weight
        The input that the gradient is linear in: where it is zero, so is what is multiplied by it.
    """
    if not any(_meets_infinity(one, values) for one in nodes):
        return None
    of_branches = _of_branches(nodes, values, weight)
    # What only overflows in float64 is not infinite.
    known = InDouble(values, errors(nodes, values, DOUBLE))
    found: dict[Node, Flags | None] = {}
    for one in nodes:
        of = [found[argument] for argument in one.arguments]
        flags = _either(_carried(one, of, known), _own(one, known))
        if one.operation == "chain" and of[1] is not None:
            flags = _either(flags, np.asarray(of[1] & ~of_branches[one.arguments[0]]))
        found[one] = flags
    return found[nodes[-1]]


def _meets_infinity(one: Node, values: Mapping[Node, Any]) -> bool:
    if one.operation != "chain":
        return False
    outer, slope = (values[argument] for argument in one.arguments)
    return bool(((outer == 0.0) & ~np.isfinite(slope)).any())


def _of_branches(nodes: Sequence[Node], values: Mapping[Node, Any], weight: str) -> dict[Node, Any]:
    """Where a node is zero whatever is computed: in a branch that was not taken, and where it has no weight."""
    found: dict[Node, Any] = {}
    for one in nodes:
        of = [found[argument] for argument in one.arguments]
        match one.operation:
            case "input":
                own = (values[one] == 0.0) & (one.value == weight)
            case "number":
                own = np.asarray(one.value == 0)
            case "where":
                own = np.where(values[one.arguments[0]], of[1], of[2])
            case "mul" | "chain":
                own = of[0] | of[1]
            case "add" | "sub":
                own = of[0] & of[1]
            case "div" | "neg" | "stop" | "spread":
                own = of[0]
            case "sum":
                own = np.broadcast_to(of[0], np.shape(values[one.arguments[0]])).all(-1, keepdims=True)
            case _:
                own = np.False_
        found[one] = own
    return found


def _either(a: Flags | None, b: Flags | None) -> Flags | None:
    if a is None or b is None:
        return a if b is None else b
    return np.asarray(a | b)


def _own(one: Node, known: Enclosures) -> Flags | None:
    """Where it is the operation itself that has none."""
    match one.operation:
        case "div":
            own = known.is_zero(one.arguments[1])
        case "log":
            own = known.is_zero(one.arguments[0]) | known.is_below(one.arguments[0], 0.0)
        case "log1p":
            own = known.is_below(one.arguments[0], -1.0)
        case "sqrt":
            own = known.is_below(one.arguments[0], 0.0)
        case _:
            return None
    return own if own.any() else None


def _carried(one: Node, of: list[Flags | None], known: Enclosures) -> Flags | None:
    """Where an argument has none that is needed."""
    if one.operation in _CONDITIONS or all(flags is None for flags in of):
        return None
    match one.operation:
        case "where":
            return _selected(one, of, known)
        case "chain":
            inner = None if of[1] is None else np.asarray(of[1] & known.is_not_zero(one.arguments[0]))
            return _either(of[0], inner)
    first = of[0]
    if one.operation not in _ALONG or first is None:
        return None if one.operation in _ALONG else _either(first, of[1] if len(of) > 1 else None)
    wide = np.broadcast_to(first, np.shape(known.value(one.arguments[0])))
    match one.operation:
        case "sum" | "largest":
            return np.asarray(wide.any(-1, keepdims=True))
        case "cumsum":
            return np.logical_or.accumulate(wide, axis=-1)
        case "cumsum_from_end":
            return np.flip(np.logical_or.accumulate(np.flip(wide, -1), axis=-1), -1)
        case "pick":
            return picked(wide, known.value(one.arguments[1]))
    return np.broadcast_to(first, np.shape(known.value(one)))


_CONDITIONS = {"less", "not_more", "first_largest", "at", "count"}
_ALONG = {"sum", "largest", "cumsum", "cumsum_from_end", "pick", "spread"}


def _selected(one: Node, of: list[Flags | None], known: Enclosures) -> Flags | None:
    """Of the branch that is taken; where that is not certain, of both."""
    condition, yes, no = one.arguments[0], *(False if flags is None else flags for flags in of[1:])
    taken = np.where(known.value(condition), yes, no)
    return np.asarray(np.where(known.is_decided(condition), taken, np.logical_and(yes, no)))
