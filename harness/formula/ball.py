"""The values of a graph in ball arithmetic, at rising precision.

A ball whose exponential overflows is unknown, not infinite; a quotient is unknown if the divisor contains zero.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from flint import arb, ctx, fmpq
from numpy.typing import NDArray

from harness.exact.elementwise import larger, largest
from harness.formula.arithmetic import apply_from_end, compute_nodes, cumsum, is_at, pick_entries, spread
from harness.formula.node import Node, order
from harness.formula.primitive import PRIMITIVES, UNKNOWN, divide_balls
from harness.formula.undefined import Flags, InBalls, find_undefined

Balls = NDArray[np.object_]

PRECISIONS = (160, 640, 2560, 10240)
"""Precisions in bits, tried in order."""

ENOUGH_BITS = 120
_NEGLIGIBLE = arb(2) ** -1210


def _is_infinite(x: arb) -> bool:
    return not x.is_finite() and not x.is_nan()


def _middle(x: arb) -> arb:
    return x.mid() if x.is_finite() else x


def _elementwise(function: Callable[..., Any], arguments: int) -> Callable[..., Any]:
    applied = np.frompyfunc(function, arguments, 1)
    return lambda *operands: np.asarray(applied(*operands), dtype=object)


def _first_largest(x: Balls) -> NDArray[np.bool_]:
    middles = np.asarray(np.frompyfunc(_middle, 1, 1)(x), dtype=object)
    index = np.zeros(x.shape[:-1], dtype=int)
    for row in np.ndindex(index.shape):
        row_values = list(middles[row])
        index[row] = max(range(len(row_values)), key=row_values.__getitem__)
    return np.asarray(np.arange(x.shape[-1]) == index[..., None])


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "number": lambda value: np.asarray(arb(fmpq(value.numerator, value.denominator)), dtype=object),
    "pi": lambda _: np.asarray(arb.pi(), dtype=object),
    "first_largest": _first_largest,
    **{name: _elementwise(row.ball, 1) for name, row in PRIMITIVES.items()},
    "abs": _elementwise(abs, 1),
    "neg": _elementwise(lambda x: -x, 1),
    "stop": lambda x: x,
    "add": _elementwise(lambda a, b: a + b, 2),
    "sub": _elementwise(lambda a, b: a - b, 2),
    "mul": _elementwise(lambda a, b: a * b, 2),
    "div": _elementwise(divide_balls, 2),
    "chain": _elementwise(lambda a, b: arb(0) if a.is_zero() else a * b, 2),
    "larger": larger,
    "less": lambda a, b: np.asarray(np.frompyfunc(lambda a, b: bool(_middle(a) < _middle(b)), 2, 1)(a, b), dtype=bool),
    "not_more": lambda a, b: np.asarray(
        np.frompyfunc(lambda a, b: bool(_middle(a) <= _middle(b)), 2, 1)(a, b), dtype=bool
    ),
    "where": np.where,
    "sum": lambda x: np.asarray(x.sum(-1, keepdims=True), dtype=object),
    "largest": lambda x: largest(x, -1, keepdims=True),
    "cumsum": cumsum,
    "cumsum_from_end": partial(apply_from_end, cumsum),
    "pick": pick_entries,
    "at": is_at,
    "count": lambda x: np.asarray(arb(x.shape[-1]), dtype=object),
    "spread": spread,
}
"""Operations of graphs on object arrays of balls."""

_evaluated = partial(compute_nodes, functions=_FUNCTIONS)
"""Evaluate nodes at the precision of the context."""


def balls_of(roots: Sequence[Node], environment: Mapping[str, Any], precision: int) -> list[Balls]:
    """Return the values of several graphs at one precision in bits."""
    with ctx.workprec(precision):
        results = _evaluated(order(*roots), environment)
    return [np.asarray(results[root], dtype=object) for root in roots]


def is_known(x: arb) -> bool:
    """Return whether a ball has more digits than any format, or lies below their smallest numbers."""
    return bool(x.is_finite() and (x.is_exact() or x.rel_accuracy_bits() >= ENOUGH_BITS or x.abs_upper() < _NEGLIGIBLE))


def evaluate(roots: Sequence[Sequence[Node]], environment: Mapping[str, Any], shape: tuple[int, ...]) -> Balls:
    """Return the common value of several graphs; for each row, the first graph that has a known value supplies it.

    Each graph is a list of nodes that ends with the root. Inputs are exact balls or booleans, with rows along the first
    axis. Results are known in the sense of :func:`is_known`, or NaN if no graph gives a value. It begins with the
    precision of the context, and raises it for rows that are neither known nor undefined.
    """
    precisions = [bits for bits in PRECISIONS if bits >= ctx.prec] or [ctx.prec]
    result = np.full(shape, UNKNOWN, dtype=object)
    pending = np.arange(shape[0])
    for nodes in roots:
        rest = pending
        for precision in precisions:
            if not len(rest):
                break
            with ctx.workprec(precision):
                results = _evaluated(nodes, {name: x[rest] for name, x in environment.items()})
                values = np.broadcast_to(np.asarray(results[nodes[-1]], dtype=object), (len(rest), *shape[1:]))
                flags = np.asarray(np.frompyfunc(is_known, 1, 1)(values), dtype=bool)
                if len(rest) == len(result) and flags.all():
                    return np.array(values)
                settled = flags if flags.all() else _or_undefined(flags, find_undefined(nodes, InBalls(results)))
            result[rest] = np.where(flags, values, result[rest])
            pending = np.setdiff1d(pending, rest[_whole_rows(flags)])
            rest = rest[~_whole_rows(settled)]
    return result


def _or_undefined(flags: Flags, is_undefined: Flags | None) -> Flags:
    return flags if is_undefined is None else flags | is_undefined


def _whole_rows(flags: Flags) -> Flags:
    return np.asarray(flags.reshape(len(flags), -1).all(-1))
