"""Running errors: bound the error of every computed node by the rounding of its operations.

Errors propagate along the graph, in the manner of Wilkinson. The errors of the arguments propagate by the exact growth
of exponentials, logarithms and roots, not by a derivative. Each operation adds its own rounding:

* ``u`` of a result, and ``2 u`` of the result of a transcendental function;
* ``(k - 1) u_a`` of the sum of magnitudes, for a sum of ``k`` terms in an accumulator, and of a term added to it;
* the smallest subnormal, if the result can underflow.

If the errors of its arguments leave a comparison undecided, both branches count. The error is infinite where a value
leaves the range or its error hides it. If the given values are the rounded float64 ones, they show whether a sum or a
quotient was exact, and an exact one adds no error.

References
----------
N. J. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, 2nd ed., section 3.3.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any

import numpy as np

from harness.floats import Array, Format
from harness.floats.double_double import two_product
from harness.formula.arithmetic import DOUBLES, nearest, pick_entries, widen
from harness.formula.node import ENTRY, REDUCTIONS, STEPS, Node
from harness.formula.primitive import PRIMITIVES


@dataclass(frozen=True)
class Rounding:
    """The rounding of each kind of operation.

    Parameters
    ----------
    basic, transcendental
        Relative error of a result.
    accumulated
        Relative error of each addition within a sum.
    smallest
        Absolute error of a result that can underflow.
    largest, largest_sum
        Largest number, and largest sum while it is in the accumulator.
    exact
        Whether a constant is representable.
    of_double
        Whether the given values are the rounded ones, so that they show which sums and quotients are exact.
    """

    basic: float
    transcendental: float
    accumulated: float
    smallest: float
    largest: float
    largest_sum: float
    exact: Callable[[Fraction], bool]
    of_double: bool = False


@cache
def rounding_of(format_: Format) -> Rounding:
    """Return the rounding of an implementation that computes in a format and sums in its accumulator."""
    u, sums = format_.u, format_.accumulator
    return Rounding(u, 2.0 * u, sums.u, format_.smallest, format_.max, sums.max, lambda c: _is_in(c, format_.precision))


def _is_in(value: Fraction, precision: int) -> bool:
    """Return whether a number fits in ``precision`` bits; its range is ignored."""
    below = value.denominator
    odd = abs(value.numerator) >> max(0, (value.numerator & -value.numerator).bit_length() - 1)
    return below & (below - 1) == 0 and odd.bit_length() <= precision


DOUBLE = Rounding(2.0**-53, 2.0**-49, 2.0**-53, 2.0**-1074, math.inf, math.inf, lambda c: _is_in(c, 53), of_double=True)
"""Rounding of float64 in NumPy and torch."""

DOUBLE_DOUBLE = Rounding(2.0**-102, 2.0**-94, 2.0**-104, 2.0**-1073, math.inf, math.inf, lambda c: _is_in(c, 100))
"""Rounding of :mod:`harness.floats.double_double`."""


def errors(nodes: Iterable[Node], values: Mapping[Node, Any], rounding: Rounding) -> dict[Node, Array]:
    """Return the largest absolute error of every node, given the nodes in order and their float64 values."""
    node_errors: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for node in nodes:
            error = _error(node, values, node_errors, rounding)
            is_known = _is_known(node, error, values[node], rounding)
            if not is_known.all():
                # The error of an unknown value is infinite, except for an infinity caused by infinite inputs.
                unknown = np.where(_is_infinite(node, values, node_errors), 0.0, np.inf)
                error = np.where(is_known, error, unknown)
            node_errors[node] = np.asarray(error)
    return node_errors


def _is_known(node: Node, error: Any, v: Any, rounding: Rounding) -> Any:
    """Return where a value with its error is inside the range; conditions always are."""
    if v.dtype == np.bool_:
        return np.True_
    farthest = np.abs(v) + error
    largest = rounding.largest_sum if node.operation in STEPS else rounding.largest
    return farthest < largest if math.isinf(largest) else farthest <= largest


def _is_infinite(node: Node, values: Mapping[Node, Any], node_errors: Mapping[Node, Array]) -> Any:
    """Return where a node is infinite by the rules of IEEE 754 because an input is, not because of an overflow."""
    infinite = np.isinf(values[node])
    if node.operation == "input" or not node.arguments:
        return infinite & (node.operation == "input")
    along = node.operation in REDUCTIONS
    from_infinity, all_known = np.zeros(infinite.shape, dtype=bool), np.ones(infinite.shape, dtype=bool)
    for argument in node.arguments:
        is_so, has = np.isinf(values[argument]), np.isfinite(node_errors[argument])
        from_infinity = from_infinity | (is_so.any(-1, keepdims=True) if along else is_so)
        all_known = all_known & (has.all(-1, keepdims=True) if along else has)
    return infinite & from_infinity & all_known


def _error(node: Node, values: Mapping[Node, Any], node_errors: Mapping[Node, Array], rounding: Rounding) -> Any:
    v = values[node]
    operands = [values[argument] for argument in node.arguments]
    e = [node_errors[argument] for argument in node.arguments]
    match node.operation:
        case "input":
            return np.zeros(v.shape)
        case "number":
            return _error_of_number(Fraction(node.value or 0), rounding)
        case "pi":
            return rounding.basic * math.pi
        case "neg" | "stop" | "abs":
            return e[0]
        case "count" | "at":
            return 0.0
        case "pick":
            return pick_entries(widen(e[0], operands[0].shape), operands[1])
        case "spread":
            return widen(e[0], v.shape)
        case "add" | "sub":
            return e[0] + e[1] + rounding.basic * np.abs(v) + _error_of_one_more_term(node, values, rounding)
        case "mul" | "chain":
            return _error_of_product(operands, e, v, rounding, skips=node.operation == "chain")
        case "div":
            rounding_error = rounding.basic * np.abs(v) + rounding.smallest * ((operands[0] != 0.0) | (e[0] > 0.0))
            rounding_error = (
                np.where(_is_whole_quotient(operands, e, v), 0.0, rounding_error)
                if rounding.of_double
                else rounding_error
            )
            return (
                np.where(e[1] < np.abs(operands[1]), (e[0] + np.abs(v) * e[1]) / (np.abs(operands[1]) - e[1]), np.inf)
                + rounding_error
            )
        case "larger":
            return np.maximum(*np.broadcast_arrays(*e))
        case "less" | "not_more":
            # The error of a condition is one where the condition is undecided.
            margin = e[0] + e[1]
            return np.where((margin > 0.0) & ~(np.abs(operands[0] - operands[1]) > margin), 1.0, 0.0)
        case "first_largest":
            largest = operands[0].max(-1, keepdims=True)
            margin = e[0] + e[0].max(-1, keepdims=True)
            return np.where((margin > 0.0) & ~(largest - operands[0] > margin), 1.0, 0.0)
        case "where":
            chosen = np.where(operands[0], e[1], e[2])
            either = np.maximum(*np.broadcast_arrays(e[1], e[2])) + np.abs(operands[1] - operands[2])
            return np.where(e[0] > 0.0, either, chosen)
        case "sum" | "cumsum" | "cumsum_from_end":
            return _error_of_sum(node.operation, operands[0], e[0], v, rounding)
        case "largest":
            return e[0].max(-1, keepdims=True)
    return PRIMITIVES[node.operation].growth(operands[0], v, e[0]) + _own_rounding(
        node.operation, operands[0], v, rounding
    )


@cache
def _error_of_number(value: Fraction, rounding: Rounding) -> float:
    return 0.0 if rounding.exact(value) else rounding.basic * abs(nearest(value))


def _error_of_product(operands: list[Any], e: list[Array], v: Any, rounding: Rounding, *, skips: bool) -> Any:
    a, b = map(np.abs, operands)
    size = a * e[1] + b * e[0] + e[0] * e[1] + rounding.basic * np.abs(v)
    # Zero times an unknown number is zero.
    size = np.where((a == 0.0) & (e[0] == 0.0) & (np.isfinite(b) | skips), 0.0, size)
    # The product can underflow, and so can the contribution of an erroneous factor.
    return size + rounding.smallest * (((a != 0.0) | (e[0] > 0.0)) & ((b != 0.0) | (e[1] > 0.0)))


def _error_of_sum(operation: str, a: Any, e: Array, v: Any, rounding: Rounding) -> Any:
    k = a.shape[-1]
    magnitudes = widen(e, a.shape) + (k - 1) * rounding.accumulated * np.abs(a)
    error = DOUBLES[operation](magnitudes) + rounding.basic * np.abs(v) * (k > 1)
    if operation == "sum" and rounding.of_double and (exact := (e == 0.0).all(-1, keepdims=True)).any():
        error = np.where(exact & _is_whole_sum(a), 0.0, error)
    return error


def _error_of_one_more_term(node: Node, values: Mapping[Node, Any], rounding: Rounding) -> Any:
    """Return the error of adding a term to a sum first instead of last: the sum may round away each other term.

    An example is ``log(1 + sum(exp(x)))`` as a ``logsumexp`` of the row with a zero.
    """
    error: Any = 0.0
    for a, b in (node.arguments, node.arguments[::-1]):
        if a.operation == "sum" and b.extent < ENTRY:
            terms = values[a.arguments[0]].shape[-1]
            error = error + (terms - 1) * rounding.accumulated * np.abs(values[b])
    return error


def _is_whole_sum(a: Any) -> Any:
    """Return where the sum of a row is exact in any order: no partial sum outgrows the common last bit of the terms."""
    size = np.abs(a).sum(-1, keepdims=True)
    unit = np.exp2(np.frexp(size)[1] - 52.0)
    multiples = (a / unit == np.rint(a / unit)).all(-1, keepdims=True)
    return multiples & (size < 2.0**1000) & (size > 2.0**-900)


def _is_whole_quotient(operands: list[Any], e: list[Array], v: Any) -> Any:
    """Return where a quotient of exact numbers has no remainder."""
    back = two_product(v, operands[1])
    return (
        (e[0] == 0.0) & (e[1] == 0.0) & (back.hi == operands[0]) & (back.lo == 0.0) & (np.abs(operands[0]) > 2.0**-900)
    )


def _own_rounding(operation: str, a: Any, v: Any, rounding: Rounding) -> Any:
    """The rounding of an elementary function itself."""
    row = PRIMITIVES[operation]
    u = rounding.basic if row.is_basic else rounding.transcendental
    if operation == "sigmoid":
        # 1 / (1 + exp(-x)) has two more roundings, and is zero where the exponential overflows.
        u = 2.0 * u
        v = np.where(v < 2.0 / rounding.largest, v * (1.0 + 1.0 / u), v)
    return u * np.abs(v) + rounding.smallest * row.underflows(a)
