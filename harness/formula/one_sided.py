"""The limits of a gradient on both sides of a point where a condition of the formula changes.

At such a point the gradient of the graph depends on how the tie is broken. The exact gradient next to the point, on
both sides of one entry, shows which derivatives or subgradients exist there. Two tiny distances show the limit. A third
distance of a few roundings also counts, because an implementation rounds the constants of a condition.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flint import arb, ctx
from numpy.typing import NDArray
from torch import Tensor

from harness.floats import FORMATS, Array, Format, Measurement, compare, compare_absolute, to_arb, to_array
from harness.formula import inputs as of_inputs
from harness.formula.arithmetic import values
from harness.formula.ball import balls_of
from harness.formula.grammar import Formula
from harness.formula.model import Model
from harness.formula.node import order
from harness.formula.quantity import Quantity
from harness.formula.spelling import Domain
from harness.laws import Law

TOLERANCE = (
    "half of the digits, relative to the largest one-sided gradient and weight; the range is widened by its length"
)

EXAMPLES = 6
"""Number of examples; exact limits take time."""

MAX_ENTRIES = 32
"""Largest number of entries that are judged in one example."""

_BITS = 2_560
"""Precision that leaves enough digits after the cancellation at the tiny distances."""

_TINY = (arb(2) ** -100 * 3, arb(2) ** -200 * 3)
_ROUNDINGS = 8

_GROWTH, _FAR, _CLOSE = 1.5, 16.0, 2.0**-30
"""An infinite limit grows by the first factor between the tiny distances, and exceeds the weights by the second. Equal
limits differ by at most the third, relative to the gradient or the weights.
"""

Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
"""Indices of entries, one row for each."""


def laws(
    model: Model,
    name: str,
    suffix: str,
    of_gradient: Callable[[Callable[..., Measurement]], Callable[..., Measurement]],
    gradient_law: Callable[..., Law],
) -> Iterator[Law]:
    """Yield the laws of the gradient in one input; none if its conditions do not matter."""
    quantity, formula = model.gradients[name], model.formula
    judge = partial(measure_one_sided, quantity, name, formula.domains[name])
    law = partial(
        gradient_law,
        cause="the branch that is not selected is also differentiated, or its slope differs from that of its "
        "neighbor: choose safe arguments before the operation",
        unit="ulp of one or of the result",
        inputs=lambda format_: of_inputs.draw_at_switches(formula, quantity.conditions, format_),
        examples=EXAMPLES,
        shows_worst=False,
    )
    here = f"If a condition of {formula.spelling.definition} changes at an input"
    tied, infinite = _drawn_switches(quantity, formula)
    if tied:
        yield law(
            f"gradient_at_switching_points{suffix}",
            f"{here}, the gradient in {name} is one of the one-sided gradients or lies between them.",
            bound=TOLERANCE,
            measure=of_gradient(judge),
        )
    if infinite:
        yield law(
            f"gradient_beside_infinite_slopes{suffix}",
            f"{here} and the one-sided gradients in {name} are infinite, the gradient is not NaN if that of the "
            "selected branch is finite.",
            bound="no tolerance",
            measure=of_gradient(partial(judge, infinite=True)),
            lost_digits="no finite gradient is right there, and an infinite one is of little use",
        )


def _drawn_switches(quantity: Quantity, formula: Formula) -> tuple[bool, bool]:
    """Return whether the gradient depends on the branch at a point of the examples, and is infinite in one branch."""
    tied = infinite = False
    for columns in (1, 3) if quantity.conditions else ():
        example = of_inputs.switching_rows(formula, quantity.conditions, FORMATS["float32"], 64, columns, 0)
        environment = quantity.environment([_array(x) for x in example.values()])
        flags = quantity.find_ties(environment)
        branches = (
            values(order(quantity.true[0]), environment, swapped=swapped)[quantity.true[0]] for swapped in (False, True)
        )
        tied |= bool(flags.any())
        infinite |= any(bool((flags & np.isinf(branch)).any()) for branch in branches)
    return tied, infinite


def _array(x: Tensor) -> NDArray[Any]:
    return to_array(x) if x.dtype.is_floating_point else x.numpy()


def measure_one_sided(
    quantity: Quantity,
    name: str,
    domain: Domain,
    actual: Tensor,
    inputs: Sequence[Any],
    format_: Format,
    *,
    infinite: bool = False,
) -> Measurement:
    """Compare a gradient with its one-sided limits at the entries where a condition changes.

    NaN is wrong where a limit is finite. Other numbers are judged if the limits on all sides are finite and the value
    is continuous. With ``infinite``, only NaN is judged, where no limit is finite but the selected branch has a
    gradient.
    """
    entries = to_array(actual)
    environment = quantity.environment([_array(x) for x in inputs])
    flags = quantity.find_ties(environment)
    if entries.size != flags.size:
        return compare(entries, quantity.oracle(*inputs), 0.0, format_)
    wide = entries.reshape(flags.shape)
    # A gradient that is not finite is judged first.
    places = np.concatenate([np.argwhere(flags & ~np.isfinite(wide)), np.argwhere(flags & np.isfinite(wide))])[
        :MAX_ENTRIES
    ]
    expected, tolerance = np.nan_to_num(wide), np.zeros(wide.shape)
    judged = np.zeros(wide.shape, dtype=bool)
    if len(places):
        limits, index = _Around(quantity, name, environment, places).limits(domain, format_), tuple(places.T)
        judged[index] = limits.judges(wide[index], format_, infinite=infinite)
        expected[index], tolerance[index] = limits.nearest(wide[index]), limits.tolerance(format_)
    measurement = compare_absolute(np.where(judged, wide, 0.0), np.where(judged, expected, 0.0), tolerance, format_)
    deviation, bound = measurement.deviation.reshape(entries.shape), measurement.bound.reshape(entries.shape)
    return Measurement(deviation, bound, entries, expected.reshape(entries.shape))


@dataclass(frozen=True)
class Limits:
    """The limits of a gradient at some entries.

    Parameters
    ----------
    low, high
        Smallest and largest finite limit; the gradient of the selected branch without one.
    exists
        Where one of these is finite and no side is unknown.
    infinite
        Where no limit is finite.
    finite
        Where the limits on all sides are finite and the value is continuous.
    size
        Largest magnitude of the limits and of the weights in the row.
    """

    low: Array
    high: Array
    exists: Flags
    infinite: Flags
    finite: Flags
    size: Array

    def judges(self, actual: Array, format_: Format, *, infinite: bool) -> Flags:
        """Return where a gradient is wrong if it is not near the limits."""
        inside = np.maximum(np.abs(self.low), np.abs(self.high)) < format_.max / 2.0
        judged = self.exists & (self.infinite == infinite)
        return np.asarray(inside & judged & (np.isnan(actual) | self.finite))

    def nearest(self, actual: Array) -> Array:
        """Return the admissible gradient nearest to the given one.

        Autograd adds the subgradients of several conditions, so that the range is wider by its own length.
        """
        length = self.high - self.low
        inside = np.clip(actual, self.low - length, self.high + length)
        return np.where(np.isfinite(actual), inside, (self.low + self.high) / 2.0)

    def tolerance(self, format_: Format) -> Array:
        """Return the admissible distance, half of the digits."""
        return np.asarray(np.sqrt(format_.u) * self.size)


class _Side(NamedTuple):
    """One side: the limits and the gradient a few roundings away, and which kind of limit there is."""

    numbers: tuple[Array, Array]
    exists: Flags
    finite: Flags
    infinite: Flags
    continuous: Flags


class _Around:
    """Exact evaluations around some entries of the inputs."""

    def __init__(self, quantity: Quantity, name: str, environment: Mapping[str, NDArray[Any]], places: Places) -> None:
        assert quantity.value is not None
        self.quantity, self.name, self.places = quantity, name, places
        self.rows = {key: x[places[:, 0]] for key, x in environment.items()}
        self.roots = quantity.true[0], quantity.value.true[0]
        self.x = self.rows[name][self._entry]
        self.weights = _largest(self.rows[quantity.names[-1]])
        self.scale = np.where(self.x == 0.0, self._smallest(), np.abs(self.x))

    @property
    def _entry(self) -> tuple[Any, ...]:
        return (np.arange(len(self.places)), *self.places[:, 1:].T)

    def _smallest(self) -> Array:
        """Return the smallest magnitude in each row other than zero; one if there is none."""
        numbers = [
            np.abs(x) for name, x in self.rows.items() if x.dtype.kind == "f" and name != self.quantity.names[-1]
        ]
        minima = [np.where(x > 0.0, x, np.inf).reshape(len(x), -1).min(-1) for x in numbers]
        smallest = np.minimum.reduce(minima)
        return np.asarray(np.where(np.isinf(smallest), 1.0, smallest))

    def limits(self, domain: Domain, format_: Format) -> Limits:
        """Return the limits of the gradient."""
        at_zero, here = self._evaluate_moved(arb(0))
        sides = [self._side(sign, here, domain, format_) for sign in (-1, 1)]
        finite = [np.where(side.finite & np.isfinite(g), g, np.nan) for side in sides for g in side.numbers]
        none = np.asarray(np.isnan(finite).all(0))
        low, high = (np.where(none, at_zero, reduced(finite)) for reduced in (np.fmin.reduce, np.fmax.reduce))
        any_side = np.logical_or.reduce([side.exists for side in sides])
        all_known = np.logical_and.reduce([~side.exists | side.finite | side.infinite for side in sides])
        smooth = np.logical_and.reduce([~side.exists | (side.finite & side.continuous) for side in sides])
        exists = any_side & all_known & np.isfinite(here).all(-1) & np.isfinite(low)
        size = np.fmax(self.weights, np.fmax(np.abs(low), np.abs(high)))
        return Limits(low, high, exists, none, exists & ~none & smooth, size)

    def _side(self, sign: int, here: Array, domain: Domain, format_: Format) -> _Side:
        near, _ = self._evaluate_moved(sign * _TINY[0])
        nearer, value = self._evaluate_moved(sign * _TINY[1])
        rounded, _ = self._evaluate_moved(arb(sign * _ROUNDINGS * format_.u))
        exists = np.isfinite(value).all(-1) & _is_admitted(self.x, domain, sign)
        with np.errstate(invalid="ignore"):
            size = np.fmax(np.fmax(np.abs(near), np.abs(nearer)), self.weights)
            finite = exists & (np.abs(near - nearer) <= _CLOSE * size)
            grows = (np.abs(nearer) >= _GROWTH * np.abs(near)) & (np.abs(nearer) > _FAR * self.weights)
            infinite = exists & grows & (np.sign(near) == np.sign(nearer))
            jump = np.abs(value - here).max(-1)
        continuous = jump <= _CLOSE * np.maximum(1.0, np.abs(here).max(-1))
        return _Side((nearer, rounded), exists, finite, infinite, continuous)

    def _evaluate_moved(self, distance: arb) -> tuple[Array, Array]:
        """Return the gradient and the value where the entry has moved by a distance relative to its scale."""
        moved = {name: to_arb(x) if x.dtype.kind == "f" else x for name, x in self.rows.items()}
        with ctx.workprec(_BITS):
            moved[self.name][self._entry] += to_arb(self.scale) * distance
        gradient, value = (_floats(x) for x in balls_of(self.roots, moved, _BITS))
        shape = np.broadcast_shapes(gradient.shape, self.rows[self.name].shape)
        return np.broadcast_to(gradient, shape)[self._entry], value.reshape(len(self.places), -1)


def _is_admitted(x: Array, domain: Domain, sign: int) -> Flags:
    """Return where a small step stays inside the domain."""
    low, high = domain.ends
    return np.asarray(x < high if sign > 0 else x > low)


def _largest(x: Array) -> Array:
    return np.asarray(np.abs(x).reshape(len(x), -1).max(-1))


def _floats(balls: Any) -> Array:
    """Return the middles of balls as float64; NaN where a ball is unknown."""
    return np.asarray(np.frompyfunc(lambda x: float(x.mid()) if x.is_finite() else np.nan, 1, 1)(balls), dtype=float)
