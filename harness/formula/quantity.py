r"""A quantity of a formula, its value or its gradient in one input: the exact value and two error bounds.

The bound *as written* is the running error of the form (:mod:`harness.formula.running_error`): each operation is
rounded to the format, and sums stay in the accumulator. The *attainable* bound is

.. math:: (8 u + k u_a) |f| + (4 u + k u_a) \sum_j |\partial_j f|\, |x_j - c| + s (4 + 2 \sum_j |\partial_j f|)

with the shift :math:`c` of least effect. Zero is always a candidate. If a shift leaves the result unchanged or changes
it by the same amount, the mean, the largest and the smallest entry of the row are also candidates. (The rows of the
Jacobian then sum to zero or to one.) An implementation is wrong if it exceeds twice the larger bound; it loses digits
if it exceeds only the attainable one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.floats import Array, DoubleDouble, Format, Oracle, dd, lift, to_arb
from harness.formula.arithmetic import SWAPPED, Environment, pairs, values
from harness.formula.ball import evaluate
from harness.formula.node import ENTRY, ROW, Node, order
from harness.formula.primitive import PRIMITIVES
from harness.formula.running_error import DOUBLE, DOUBLE_DOUBLE, errors, rounding_of
from harness.formula.tangent import tangents
from harness.formula.undefined import InDouble, find_undefined, zero_by_infinity

FEW = 16
"""Number of columns up to which the Jacobian is computed entry by entry; wider rows use random signs."""

FEW_NUMBERS = 32
"""Largest number of input values for which balls are quicker than arrays, such as in a shrunken example."""

LONG = 1_024
"""Number of columns beyond which only the bound as written is computed, as it counts every addition."""

ENOUGH_NARROW = 2.0**-40
ENOUGH_WIDE = 2.0**-68
"""Largest acceptable relative error of the screen, far below an ulp of any measured format."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """A value or a gradient.

    Parameters
    ----------
    inputs
        The inputs in order.
    true
        Graphs of the definition and of the form, which have equal values.
    computed
        Graph that an implementation computes; its running error is the bound as written.
    extent
        Of the result: :data:`~harness.formula.node.ROW` or :data:`~harness.formula.node.ENTRY`.
    by_rows
        Whether entries are along the second axis.
    value
        For a gradient, the quantity that is differentiated, with weights as its last input; otherwise ``None``.
    """

    inputs: tuple[Node, ...]
    true: tuple[Node, ...]
    computed: Node
    extent: int
    by_rows: bool
    value: "Quantity | None" = None

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return tuple(str(node.value) for node in self.inputs)

    @cached_property
    def oracle(self) -> Oracle:
        """The exact value, in two tiers."""
        return Oracle(self._screen, self.exact)

    @cached_property
    def _true_orders(self) -> list[list[Node]]:
        return [order(root) for root in dict.fromkeys(self.true)]

    @cached_property
    def _computed_order(self) -> list[Node]:
        return order(self.computed)

    @cached_property
    def _both_order(self) -> list[Node]:
        return order(self._true_orders[-1][-1], self.computed)

    # Inputs and outputs

    def environment(self, inputs: Sequence[Any]) -> dict[str, NDArray[Any]]:
        """Return the inputs by name; an input with one number per row gets a last axis of length one."""
        return {
            str(node.value): x[..., None] if self.by_rows and node.extent == ROW else x
            for node, x in zip(self.inputs, inputs, strict=True)
        }

    def _shape(self, environment: Environment) -> tuple[int, ...]:
        shape = np.broadcast_shapes(*(x.shape for x in environment.values()))
        return (*shape[:-1], 1) if self.by_rows and self.extent < ENTRY else shape

    def _out(self, x: Any, shape: tuple[int, ...]) -> Any:
        wide = np.broadcast_to(x, (*np.shape(x)[: max(0, np.ndim(x) - len(shape))], *shape))
        return wide[..., 0] if self.by_rows and self.extent < ENTRY else wide

    # Exact value

    def _screen(self, elementary: dd.Elementary, *inputs: Any) -> DoubleDouble:
        """Evaluate in float64 or double-double, and in ball arithmetic for undecided rows or for few numbers."""
        environment = self.environment(inputs)
        shape = self._shape(environment)
        wide = elementary is dd.DOUBLE
        floor = 2.0**-1073 if wide else 2.0**-190
        finite = np.logical_and.reduce([_all_rows(np.isfinite(x), shape[0]) for x in environment.values()])
        if finite.all() and max(x.size for x in environment.values()) <= FEW_NUMBERS:
            middles = _round(self._balls(environment, shape))
            return DoubleDouble(np.array(self._out(middles.hi, shape)), np.array(self._out(middles.lo, shape)))
        hi, lo = np.empty(shape), np.empty(shape)
        rows = np.arange(shape[0])
        for in_pairs in (True,) if wide else (False, True):
            subset = {name: x[rows] for name, x in environment.items()}
            result, off = self.enclose(subset, (len(rows), *shape[1:]), in_pairs=in_pairs)
            hi[rows], lo[rows] = result.pair
            enough = np.maximum((ENOUGH_WIDE if wide else ENOUGH_NARROW) * np.abs(result.hi), floor)
            pending = ~(off <= enough)
            rows, pending = rows[chosen := _any_rows(pending) & finite[rows]], pending[chosen]
            if len(rows) and in_pairs is wide:
                # More digits do not help where the formula is undefined.
                is_undefined = self.nowhere({name: x[rows] for name, x in environment.items()}, pending.shape)
                hi[rows], lo[rows] = np.where(is_undefined, np.nan, hi[rows]), np.where(is_undefined, 0.0, lo[rows])
                rows = rows[_any_rows(pending & ~is_undefined)]
            if not len(rows):
                break
        else:
            subset = {name: x[rows] for name, x in environment.items()}
            hi[rows], lo[rows] = _round(self._balls(subset, (len(rows), *shape[1:]))).pair
        return DoubleDouble(np.array(self._out(hi, shape)), np.array(self._out(lo, shape)))

    def enclose(
        self, environment: Environment, shape: tuple[int, ...], *, in_pairs: bool
    ) -> tuple[DoubleDouble, Array]:
        """Return the value in float64 or double-double, and its running error, infinite if nothing is known."""
        nodes = self._true_orders[-1]
        results: dict[Node, Any] = pairs(nodes, environment) if in_pairs else values(nodes, environment)
        # A sum that cancels completely is not zero in float64, so each arithmetic needs its own values.
        numbers = {node: x.hi if isinstance(x, DoubleDouble) else x for node, x in results.items()}
        value = results[nodes[-1]] if in_pairs else lift(numbers[nodes[-1]])
        off = errors(nodes, numbers, DOUBLE_DOUBLE if in_pairs else DOUBLE)[nodes[-1]]
        hi, lo, off = (np.array(np.broadcast_to(x, shape)) for x in (value.hi, value.lo, off))
        if (infinite := np.isinf(hi)).any():
            off = np.where(infinite & _may_be_finite(nodes, results, shape), np.nan, off)
        return DoubleDouble(hi, lo), np.where(np.isnan(hi), np.inf, off)

    def nowhere(self, environment: Environment, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return where no graph has a value at any precision."""
        result = np.ones(shape, dtype=bool)
        with np.errstate(all="ignore"):
            for nodes in self._true_orders:
                doubles = values(nodes, environment)
                flags = find_undefined(nodes, InDouble(doubles, errors(nodes, doubles, DOUBLE)))
                result &= False if flags is None else flags
        return result

    def find_infinities(self, inputs: Sequence[Any]) -> Array:
        """Return infinities by the rules of IEEE 754 in either graph, and NaN elsewhere."""
        environment, infinities = self.environment(inputs), np.array(np.nan)
        for nodes in self._true_orders:
            doubles = values(nodes, environment)[nodes[-1]]
            infinities = np.where(np.isinf(doubles), doubles, infinities)
        return np.array(self._out(infinities, self._shape(environment)))

    def evaluate_definition(self, elementary: dd.Elementary, *inputs: Any) -> DoubleDouble:
        """Return the definition in double-double, without a bound on its error."""
        environment, nodes = self.environment(inputs), self._true_orders[0]
        shape, result = self._shape(environment), pairs(nodes, environment, elementary)[nodes[-1]]
        return DoubleDouble(*(np.array(self._out(part, shape)) for part in result.pair))

    def exact(self, *inputs: Any) -> NDArray[np.object_]:
        """Return balls with more digits than any format, or NaN where neither graph has a value."""
        environment = self.environment([np.asarray(x) for x in inputs])
        shape = self._shape(environment)
        return np.asarray(self._out(evaluate(self._true_orders, environment, shape), shape), dtype=object)

    def _balls(self, environment: Environment, shape: tuple[int, ...]) -> NDArray[np.object_]:
        lifted = {name: to_arb(x) if x.dtype.kind == "f" else x for name, x in environment.items()}
        return evaluate(self._true_orders, lifted, shape)

    # Bounds

    def written(self, inputs: Sequence[Any], format_: Format) -> Array:
        """Return the bound as written; infinite where the form leaves the range of the format or loses all digits."""
        environment = self.environment(inputs)
        return self._bound_as_written(values(self._computed_order, environment), self._shape(environment), format_)

    def _bound_as_written(self, results: dict[Node, Any], shape: tuple[int, ...], format_: Format) -> Array:
        error = errors(self._computed_order, results, rounding_of(format_))[self.computed]
        return np.array(self._out(error, shape))

    def overflows(self, inputs: Sequence[Any], format_: Format) -> NDArray[np.bool_]:
        """Return where the form leaves the range of the format, and would keep digits if the range were unlimited."""
        environment = self.environment(inputs)
        nodes, shape = self._computed_order, self._shape(environment)
        endless = replace(rounding_of(format_), largest=math.inf)
        results = values(nodes, environment)
        error = self._out(errors(nodes, results, endless)[self.computed], shape)
        return np.asarray(np.isfinite(error) & np.isinf(self._bound_as_written(results, shape, format_)))

    def evaluate_at_infinities(self, inputs: Sequence[Any]) -> tuple[Array, NDArray[np.bool_]]:
        """Return the limits at infinite inputs by the rules of IEEE 754, in float64, and where they are known.

        An infinity is a limit if it results from infinite inputs only, and is neither subtracted from another infinity
        nor multiplied by zero. The limit is unknown where definition and form disagree.
        """
        environment = self.environment(inputs)
        shape = self._shape(environment)
        limit, is_known = np.zeros(shape), np.ones(shape, dtype=bool)
        for index, nodes in enumerate(self._true_orders):
            results = values(nodes, environment)
            result, off = results[nodes[-1]], errors(nodes, results, DOUBLE)[nodes[-1]]
            with np.errstate(invalid="ignore"):
                same = (result == limit) | (np.abs(result - limit) <= 2.0**-40 * np.abs(result)) if index else True
            is_known = is_known & same & ~np.isnan(result) & np.isfinite(off)
            limit = np.broadcast_to(result, shape)
        return np.array(self._out(limit, shape)), np.array(self._out(is_known, shape))

    def find_undefined(self, inputs: Sequence[Any]) -> NDArray[np.bool_]:
        """Return where the result depends on how a tie is broken, or a gradient is zero times an infinite slope."""
        environment = self.environment(inputs)
        shape = self._shape(environment)
        return np.array(self._out(self.find_ties(environment) | self._is_zero_by_infinity(environment), shape))

    @cached_property
    def conditions(self) -> tuple[Node, ...]:
        """The comparisons on which the result depends."""
        return tuple(node for node in order(*self.true) if node.operation in SWAPPED)

    def find_ties(self, environment: Environment) -> NDArray[np.bool_]:
        """Return where the result depends on how a tie is broken, in the dimensions of the environment."""
        nodes, shape = self._true_orders[-1], self._shape(environment)
        if not self.conditions:
            return np.zeros(shape, dtype=bool)
        first, second = (values(nodes, environment, swapped=swapped)[nodes[-1]] for swapped in (False, True))
        with np.errstate(all="ignore"):
            near = np.abs(first - second) <= 2.0**-40 * (np.abs(first) + np.abs(second))
            same = (first == second) | (near & np.isfinite(first) & np.isfinite(second))
            same |= np.isnan(first) & np.isnan(second)
            if self.value is None:
                # A comparison selects the value of a branch at a tie, but no slope.
                same |= np.isfinite(first) & ~np.isfinite(second)
        return np.broadcast_to(~same, shape)

    def _is_zero_by_infinity(self, environment: Environment) -> Any:
        if self.value is None:
            return False
        flags: Any = False
        for nodes in self._true_orders:
            new_flags = zero_by_infinity(nodes, values(nodes, environment), self.names[-1])
            flags = flags if new_flags is None else flags | new_flags
        return flags

    def attainable(self, inputs: Sequence[Any], format_: Format, exact: Array | None = None) -> Array:
        """Return the attainable bound; ``exact`` replaces the float64 value, which may have no correct digits."""
        environment = self.environment(inputs)
        results = values(self._true_orders[-1], environment)
        return self._attainable(results, environment, self._shape(environment), format_, exact)

    def is_never_zero(self, inputs: Sequence[Any], format_: Format, exact: Array) -> NDArray[np.bool_]:
        """Return where a result is at least an ulp of one, and no rounding of the inputs turns it into zero.

        Each input may move by a rounding of the largest input, because sums absorb small terms. Formulas of rows, and
        numbers with a condition number of more than a quarter of ``u ** -0.5``, are not judged.
        """
        if self.by_rows:
            return np.zeros(exact.shape, dtype=bool)
        environment = self.environment(inputs)
        shape, nodes = self._shape(environment), self._true_orders[-1]
        sizes = [np.abs(x) for x in environment.values() if x.dtype.kind == "f"]
        with np.errstate(all="ignore"):
            moved, slopes = self._conditioning(nodes, values(nodes, environment), environment, shape)
            of_largest = slopes * np.maximum.reduce(np.broadcast_arrays(*sizes))
            lost = 4.0 * math.sqrt(format_.u) * moved + 16.0 * format_.u * of_largest
            # Libraries lose a smaller number when they add it to one, as in `1 - cos(x)` or `1 + tanh(x)`.
            return np.asarray(np.abs(exact) > np.fmax(lost, 2.0 * format_.u))

    def bounds(self, inputs: Sequence[Any], format_: Format, exact: Array | None = None) -> tuple[Array, Array]:
        """Return :meth:`written` and :meth:`attainable` together, which share most nodes."""
        environment = self.environment(inputs)
        shape, results = self._shape(environment), values(self._both_order, environment)
        return self._bound_as_written(results, shape, format_), self._attainable(
            results, environment, shape, format_, exact
        )

    def _attainable(
        self,
        results: dict[Node, Any],
        environment: Environment,
        shape: tuple[int, ...],
        format_: Format,
        exact: Array | None,
    ) -> Array:
        nodes = self._true_orders[-1]
        k = environment[self.names[0]].shape[-1] if self.by_rows else 1
        with np.errstate(all="ignore"):
            moved, slopes = self._conditioning(nodes, results, environment, shape)
            summation = k * format_.u_accumulator
            size = np.abs(np.broadcast_to(results[nodes[-1]], shape))
            if exact is not None:
                size = np.fmax(size, np.abs(exact).reshape(shape))
            bound = (8.0 * format_.u + summation) * size + (4.0 * format_.u + summation) * moved
            bound = bound + format_.smallest * (4.0 + 2.0 * slopes)
        return np.array(self._out(np.where(np.isnan(bound), np.inf, bound), shape))

    def _conditioning(
        self, nodes: list[Node], results: dict[Node, Any], environment: Environment, shape: tuple[int, ...]
    ) -> tuple[Any, Any]:
        """Sum the magnitudes of the Jacobian's entries, multiplied by the inputs' magnitudes, and alone."""
        moved, slopes = np.zeros(shape), np.zeros(shape)
        for node in self.inputs:
            name = str(node.value)
            x = environment[name]
            if x.dtype.kind != "f" or (self.by_rows and x.shape[-1] > LONG):
                continue
            if self.by_rows and node.extent == ENTRY and x.shape[-1] > FEW:
                moved = moved + self._estimate_by_signs(nodes, results, name, x)
                continue
            jacobian = tangents(nodes, results, {name: _units(x, by_rows=self.by_rows and node.extent == ENTRY)})[
                nodes[-1]
            ]
            if jacobian is None:
                continue
            jacobian = np.broadcast_to(jacobian, (len(jacobian), *shape))
            entries = np.moveaxis(x, -1, 0)[..., None] if len(jacobian) > 1 else x[None]
            moved = moved + _least_shift(jacobian, entries)
            slopes = slopes + np.abs(jacobian).sum(0)
        return moved, slopes

    def _estimate_by_signs(self, nodes: list[Node], results: dict[Node, Any], name: str, x: Array) -> Any:
        """Estimate the effect of all entries by random signs: twice the root mean square, for the best free shift."""
        joint = tangents(nodes, results, {name: np.ones((1, *x.shape))})[nodes[-1]]
        k = x.shape[-1]
        signs = np.random.default_rng(k).choice([-1.0, 1.0], size=(FEW, 1, k))
        if joint is None:
            return 0.0
        separate = tangents(nodes, results, {name: signs * np.ones(x.shape)})[nodes[-1]]
        whole = 0.0 if separate is None else _root_mean_square(separate)
        shifts = [0.0]
        if any((np.abs(joint[0] - c) <= 1e-9 * np.maximum(whole, c)).all() for c in (0.0, 1.0)):
            shifts += [x.mean(-1, keepdims=True), x.max(-1, keepdims=True), x.min(-1, keepdims=True)]
        changes = [tangents(nodes, results, {name: signs * (x - c)})[nodes[-1]] for c in shifts]
        return np.minimum.reduce([2.0 * _root_mean_square(change) for change in changes if change is not None])


def _units(x: Array, *, by_rows: bool) -> Array:
    """One direction per entry of a row; a single direction if entries do not affect each other."""
    k = x.shape[-1] if by_rows else 1
    return np.broadcast_to(np.eye(k)[:, None, :], (k, len(x), k)) if by_rows else np.ones((1, *x.shape))


def _root_mean_square(x: Array) -> Array:
    """Return the root mean square along the first axis; squares of scaled numbers do not leave the range."""
    size = np.abs(x).max(0)
    scale = np.where((size > 0.0) & np.isfinite(size), size, 1.0)
    return np.asarray(scale * np.sqrt(((x / scale) ** 2).mean(0)))


def _least_shift(jacobian: Array, entries: Array) -> Array:
    """The effect of the entries after the best shift that the result ignores or follows."""
    size = np.abs(jacobian)
    plain = (size * np.abs(entries)).sum(0)
    if len(jacobian) == 1:
        return np.asarray(plain)
    total, whole = jacobian.sum(0), size.sum(0)
    ordinary = np.isfinite(whole)
    free = np.abs(total) <= 1e-9 * whole
    carried = np.abs(total - 1.0) <= 1e-9 * np.maximum(whole, 1.0)
    if not (free | ~ordinary).all() and not (carried | ~ordinary).all():
        return np.asarray(plain)
    shifts = (entries.mean(0), entries.max(0), entries.min(0))
    return np.asarray(np.minimum.reduce([plain, *((size * np.abs(entries - c)).sum(0) for c in shifts)]))


def _may_be_finite(nodes: list[Node], results: Mapping[Node, Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return in which rows an infinite result can have another exact value.

    A division by zero or the logarithm of zero may have no value, and an overflowed number may become small again.
    """
    rows = np.zeros((shape[0], 1), dtype=bool)
    with np.errstate(all="ignore"):
        for node in nodes:
            if node.operation not in _SHRINKING:
                continue
            arguments = (results[argument] for argument in node.arguments)
            sizes = (np.abs(x.hi if isinstance(x, DoubleDouble) else x) for x in arguments)
            flags = np.asarray(_SHRINKING[node.operation](*sizes))
            by_row = flags.reshape(len(flags), -1) if flags.ndim and len(flags) == shape[0] else flags.reshape(1, -1)
            rows |= by_row.any(-1, keepdims=True)
    return rows.reshape(shape[0], *(1,) * (len(shape) - 1))


_SHRINKING: Mapping[str, Callable[..., Any]] = {
    "div": lambda a, b: (b == 0.0) | (np.isinf(a) & (b > 1.0)),
    "mul": lambda a, b: (np.isinf(a) & (b < 1.0)) | (np.isinf(b) & (a < 1.0)),
    "chain": lambda a, b: (np.isinf(a) & (b < 1.0)) | (np.isinf(b) & (a < 1.0)),
    **{name: row.shrinks for name, row in PRIMITIVES.items() if row.shrinks is not None},
}
"""For each operation, where magnitudes give an infinity in floating point but possibly a finite or no exact result."""


def _any_rows(x: Any) -> NDArray[np.bool_]:
    return np.asarray(x.reshape(len(x), -1).any(-1))


def _all_rows(x: Any, rows: int) -> NDArray[np.bool_]:
    return np.asarray(x.reshape(rows, -1).all(-1))


def _round(balls: NDArray[np.object_]) -> DoubleDouble:
    """Return the middles of balls as double-double."""
    hi, lo = np.empty(balls.shape), np.empty(balls.shape)
    for index in np.ndindex(balls.shape):
        ball: Any = balls[index]
        hi[index] = float(ball.mid()) if ball.is_finite() else np.nan
        lo[index] = float(ball.mid() - hi[index]) if np.isfinite(hi[index]) else 0.0
    return DoubleDouble(hi, lo)
