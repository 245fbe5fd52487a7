"""The values of a graph, in float64 and in double-double.

An environment has an array for each input name. The entries of a row are along the last axis, and an input with one
number per row has a last axis of length one. Masks are booleans, and indices are integers. Operations without a
double-double version give NaN, which the running error makes undecided.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.floats import Array, DoubleDouble, dd, lift
from harness.formula.node import Node
from harness.formula.primitive import PRIMITIVES

Environment = Mapping[str, NDArray[Any]]
"""The inputs by name."""

MAX_STEPS = 64
"""Length of the longest row whose running sums are formed in double-double."""


def first_largest(x: Array) -> NDArray[np.bool_]:
    """Mark the first of the largest entries in each row."""
    return np.asarray(np.arange(x.shape[-1]) == x.argmax(-1)[..., None])


def _other_largest(x: Array) -> NDArray[np.bool_]:
    """Mark the largest entries after the first, so that ties are broken differently; a single largest entry stays."""
    first, largest = first_largest(x), x == x.max(-1, keepdims=True)
    return np.where(largest.sum(-1, keepdims=True) > 1, largest & ~first, first)


def pick_entries(x: NDArray[Any], index: NDArray[Any]) -> NDArray[Any]:
    """Return the indexed entry from each row; an index outside the row is an error."""
    return np.take_along_axis(x, np.broadcast_to(index, (*x.shape[:-1], 1)), -1)


def is_at(index: NDArray[Any], like: NDArray[Any]) -> NDArray[np.bool_]:
    """Mark the indexed entry in each row."""
    return np.asarray(np.arange(like.shape[-1]) == index)


def widen(x: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast to a shape; the check for an equal shape is faster than NumPy's own."""
    return x if np.shape(x) == shape else np.broadcast_to(x, shape)


def spread(x: NDArray[Any], like: NDArray[Any]) -> NDArray[Any]:
    """Repeat the numbers of rows for each entry."""
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, like.shape))


def apply_from_end(running: Callable[[Any], Any], x: Any) -> Any:
    """Apply an operation along rows from their ends."""
    return np.flip(running(np.flip(x, -1)), -1)


def cumsum(x: Any) -> Any:
    """Return the running sums of rows."""
    return x.cumsum(-1)


DOUBLES: Mapping[str, Callable[..., Any]] = {
    **{name: row.double for name, row in PRIMITIVES.items()},
    "where": np.where,
    "number": lambda value: np.asarray(nearest(value)),
    "pi": lambda _: np.asarray(math.pi),
    "abs": np.abs,
    "neg": np.negative,
    "stop": np.asarray,
    "sum": lambda x: np.asarray(x.sum(-1, keepdims=True)),
    "largest": lambda x: np.asarray(x.max(-1, keepdims=True)),
    "count": lambda x: np.asarray(float(x.shape[-1])),
    "cumsum": cumsum,
    "cumsum_from_end": partial(apply_from_end, cumsum),
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "larger": np.maximum,
    "less": np.less,
    "not_more": np.less_equal,
    "first_largest": first_largest,
    "chain": lambda a, b: np.where(a == 0.0, 0.0 * np.zeros_like(b), a * b),
    "pick": pick_entries,
    "at": is_at,
    "spread": spread,
}


def values(
    nodes: Iterable[Node], environment: Environment, *, swapped: bool = False, same_everywhere: bool = False
) -> dict[Node, NDArray[Any]]:
    """Return the float64 value of every node; each node comes after its arguments.

    ``swapped`` breaks ties the other way. ``same_everywhere`` uses slower exponentials and logarithms that have the
    same bits on every processor.
    """
    functions = {**DOUBLES, **(_SAME_EVERYWHERE if same_everywhere else {}), **(SWAPPED if swapped else {})}
    with np.errstate(all="ignore"):
        return compute_nodes(nodes, environment, functions)


def compute_nodes(
    nodes: Iterable[Node], environment: Mapping[str, Any], functions: Mapping[str, Callable[..., Any]]
) -> dict[Node, Any]:
    """Return the value of every node by a table of operations; an operation without arguments gets the node's value."""
    results: dict[Node, Any] = {}
    for node in nodes:
        if node.operation == "input":
            results[node] = environment[str(node.value)]
        else:
            arguments = [results[argument] for argument in node.arguments] or [node.value]
            results[node] = functions[node.operation](*arguments)
    return results


SWAPPED: Mapping[str, Callable[..., Any]] = {
    "less": np.less_equal,
    "not_more": np.less,
    "first_largest": _other_largest,
}
"""Operations that depend on how a tie is broken, with versions that break it the other way."""


def nearest(value: Any) -> float:
    """Return the float64 nearest to a fraction."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


# Double-double


def _is_less(a: DoubleDouble, b: DoubleDouble) -> Any:
    return (a.hi < b.hi) | ((a.hi == b.hi) & (a.lo < b.lo))


def _largest_pair(x: DoubleDouble) -> DoubleDouble:
    hi = x.hi.max(-1, keepdims=True)
    lo = np.where(x.hi == hi, x.lo, -np.inf).max(-1, keepdims=True)
    return DoubleDouble(hi, np.where(np.isfinite(lo), lo, 0.0))


def _steps(x: DoubleDouble, *, from_end: bool = False) -> DoubleDouble:
    k = x.shape[-1]
    if k > MAX_STEPS:
        return lift(np.full(x.shape, np.nan))
    hi, lo = np.empty(x.shape), np.empty(x.shape)
    running = lift(np.zeros(x.shape[:-1]))
    for column in reversed(range(k)) if from_end else range(k):
        running = running + x[..., column]
        hi[..., column], lo[..., column] = running.hi, running.lo
    return DoubleDouble(hi, lo)


def _number(value: Any) -> DoubleDouble:
    exact = Fraction(value or 0)
    hi = nearest(exact)
    rest = nearest(exact - Fraction(hi)) if math.isfinite(hi) else 0.0
    return DoubleDouble(np.asarray(hi), np.asarray(rest))


_PAIRS: Mapping[str, Callable[..., Any]] = {
    **{name: row.pair for name, row in PRIMITIVES.items()},
    "abs": lambda x: dd.select(x.hi < 0.0, -x, x),
    "neg": lambda x: -x,
    "stop": lambda x: x,
    "sum": lambda x: dd.total(x, keepdims=True),
    "largest": _largest_pair,
    "count": lambda x: lift(float(x.shape[-1])),
    "cumsum": _steps,
    "cumsum_from_end": lambda x: _steps(x, from_end=True),
    "add": dd.add,
    "sub": lambda a, b: a - b,
    "mul": dd.multiply,
    "div": dd.divide,
    "larger": lambda a, b: dd.select(_is_less(a, b), b, a),
    "chain": lambda a, b: dd.select(a.hi == 0.0, lift(np.zeros(np.broadcast_shapes(a.shape, b.shape))), a * b),
    "where": dd.select,
    "pick": lambda x, place: DoubleDouble(pick_entries(x.hi, place), pick_entries(x.lo, place)),
    "spread": lambda x, like: DoubleDouble(*(spread(part, like) for part in x.pair)),
    "number": _number,
    "pi": lambda _: DoubleDouble(np.asarray(math.pi), np.asarray(1.2246467991473532e-16)),
    "less": _is_less,
    "not_more": lambda a, b: ~_is_less(b, a) & ~np.isnan(a.hi) & ~np.isnan(b.hi),
    "first_largest": lambda x: first_largest(x.hi),
    "at": lambda index, like: is_at(index, like.hi),
}

_SAME_EVERYWHERE = {name: row.portable for name, row in PRIMITIVES.items() if row.portable is not None}
"""Replacements of functions whose bits depend on the processor."""


def pairs(nodes: Iterable[Node], environment: Environment, elementary: dd.Elementary = dd.DOUBLE) -> dict[Node, Any]:
    """Return the double-double value of every node; conditions and masks are booleans."""
    functions = {**_PAIRS, "exp": elementary.exp, "log": elementary.log, "log1p": elementary.log1p}
    lifted = {name: lift(x) if x.dtype.kind == "f" else x for name, x in environment.items()}
    with np.errstate(all="ignore"):
        return compute_nodes(nodes, lifted, functions)
