"""Laws and rays of the normalizations of rows, with the bounds and inputs of their moments."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from harness.contracts.building_blocks import moments, usual_laws
from harness.contracts.building_blocks.usual_laws import Exact
from harness.floats import Array, Measurement, to_array
from harness.laws import Law, Ray, Subject


@dataclass(frozen=True)
class Normalization:
    """A normalization of rows, with its bound ``bound(x, *conventions, format)``, from which laws are made."""

    name: str
    bound: Callable[..., Array]
    conventions: tuple[str, ...]
    non_finite: str

    def error(self, subject: Subject, x: Tensor) -> Array:
        """Return the admissible errors of the values."""
        return self.bound(to_array(x), *(float(subject.declares[name]) for name in self.conventions), subject.format)

    def law(self, name: str, statement: str, measure: Callable[..., Measurement], **fields: Any) -> Law:
        """Return a law of the group ``algebra``."""
        return Law(name, statement, measure=measure, group="algebra", non_finite=self.non_finite, **fields)

    def mean_square_at_most_one(self, **fields: Any) -> Law:
        """Return the law that measures the excess of a row's mean square over one; NaN counts as excess."""

        def measure(subject: Subject, x: Tensor) -> Measurement:
            absolute, actual = self.error(subject, x), to_array(subject(x))
            with np.errstate(invalid="ignore", over="ignore"):
                square = (actual**2).mean(-1)
                bound = (2.0 * np.abs(actual) * absolute + absolute**2).mean(-1)
                bound = np.where(np.isposinf(absolute).any(-1), np.inf, bound)
                reference = np.where(square <= 1.0, square, 1.0)
            return moments.in_units_of_one(square, reference, bound, subject.format)

        statement = f"The mean square of a row of {self.name}(x) is at most one."
        bound = "2 mean(|y| E) + mean(E^2), E the value's bound"
        return self.law("mean_square_at_most_one", statement, measure, bound=bound, **fields)

    def odd(self, **fields: Any) -> Law:
        """Return the law that compares the output for the negated row with the negated output."""

        def measure(subject: Subject, x: Tensor) -> Measurement:
            bound = 2.0 * self.error(subject, x)
            return moments.in_units_of_one(to_array(subject(-x)), -to_array(subject(x)), bound, subject.format)

        cause = "magnitudes are normalized instead of values, or one sign is clipped: treat both signs alike"
        bound = "twice the value's bound"
        return self.law("odd", f"Negating a row negates its {self.name}.", measure, bound=bound, cause=cause, **fields)

    def doubling_at_most_doubles(self, **fields: Any) -> Law:
        """Return the law that the outputs for ``2 x`` lie between once and twice the outputs for ``x``."""

        def measure(subject: Subject, x: Tensor) -> Measurement:
            absolute = self.error(subject, 2.0 * x.double()) + 2.0 * self.error(subject, x)
            once, doubled = to_array(subject(x)), to_array(subject(2.0 * x))
            with np.errstate(over="ignore"):
                nearest = np.clip(doubled, np.minimum(once, 2.0 * once), np.maximum(once, 2.0 * once))
            return moments.in_units_of_one(doubled, nearest, absolute, subject.format)

        statement = f"Doubling a row moves no entry of its {self.name} toward zero, and none beyond twice its value."
        bound = "the value's bound at 2 x, plus twice that at x"
        return self.law("doubling_at_most_doubles", statement, measure, bound=bound, **fields)


def gradient_digits_not_lost(exact: Exact, statement: str, bound: str) -> Law:
    """Return the law about the digits of the gradient on large rows."""
    return usual_laws.gradient(
        exact,
        statement,
        name="gradient_digits_not_lost",
        source="chain rule; the bound of the value, carried through it",
        bound=bound,
        cause=moments.CUBED,
        lost_digits=moments.CUBED_USUALLY,
        inputs=moments.large_rows_and_cotangents,
    )


def value_on_extreme_rows(value: Law) -> Law:
    """Derive the law about the value on rows of the largest numbers, whose squares overflow unless they are scaled."""
    return usual_laws.on_extreme_numbers(
        value,
        moments.extreme_rows(lambda format_: format_.max),
        cause=moments.SQUARES_OVERFLOW,
        non_finite=moments.SQUARES_OVERFLOW,
        lost_digits=moments.UNSCALED,
        loses_digits_only=True,
    )


def sizes(gradient_digits: Law, extreme_value: Law) -> tuple[Ray, ...]:
    """Rows of every size of the domain, and beyond it for two laws."""
    return (
        moments.sized("size", lambda _: 0.0, moments.largest_normalised),
        moments.sized("large size", lambda _: 1.0, moments.largest_normalised, gradient_digits),
        moments.sized("extreme size", lambda _: 1.0, lambda format_: format_.max, extreme_value),
    )
