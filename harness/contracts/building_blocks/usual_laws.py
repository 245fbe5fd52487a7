"""The shapes that most laws have, given what differs: the words, what is exact, and how far from it is admissible.

A law of a usual shape is stated in its contract and measured here; one of another shape is written out where it is
stated. All take what is exact, the law's name and its statement, and the other fields of :class:`~harness.laws.law.Law`
by keyword.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from harness.floats import Array, DoubleDouble, Format, Measurement, compare, in_ulp, lift, to_array
from harness.laws import Inputs, Law, Subject

AbsoluteComparison = Callable[[Any, Any, Array, Format], Measurement]
"""``comparison(actual, expected, error, format)``, with an admissible error that is absolute."""


def within(actual: Tensor | Array, expected: DoubleDouble | Array, error: Array, format_: Format) -> Measurement:
    """Measure in ulp of the exact value, within an absolute error."""
    return compare(actual, expected, in_ulp(error, lift(expected), format_), format_)


@dataclass(frozen=True)
class Exact:
    """What an output is exactly, and by how much a sound implementation may miss it.

    Parameters
    ----------
    reads
        Names of the inputs, in the order of the implementation's arguments; last, for a gradient, that of the
        ``cotangent``.
    oracle
        ``oracle(*inputs, *conventions)``.
    error
        ``error(*inputs, *conventions, expected, format)``: the admissible absolute error, of the oracle's shape.
    conventions
        Names of the contract's conventions that both depend on.
    comparison
        How the output is compared.
    """

    reads: tuple[str, ...]
    oracle: Callable[..., DoubleDouble]
    error: Callable[..., Array]
    conventions: tuple[str, ...] = ()
    comparison: AbsoluteComparison = within

    def value(self, subject: Subject, *inputs: Any) -> DoubleDouble:
        """The exact value under the conventions that the case declares."""
        return self.oracle(*inputs, *self._declared(subject))

    def error_at(self, subject: Subject, *inputs: Any) -> Array:
        """The admissible absolute error there."""
        return self._error(subject, self.value(subject, *inputs), *inputs)

    def measure(self, subject: Subject, actual: Tensor, *inputs: Any) -> Measurement:
        """Compare an output with it."""
        expected = self.value(subject, *inputs)
        return self.comparison(actual, expected, self._error(subject, expected, *inputs), subject.format)

    def _error(self, subject: Subject, expected: DoubleDouble, *inputs: Any) -> Array:
        return self.error(*inputs, *self._declared(subject), expected, subject.format)

    def _declared(self, subject: Subject) -> tuple[Any, ...]:
        return tuple(subject.declares[name] for name in self.conventions)


def value(exact: Exact, name: str, statement: str, *, group: str = "value", **facts: Any) -> Law:
    """The output is the exact value, within its error."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return exact.measure(subject, subject(*inputs.values()), *inputs.values())

    return Law(name, statement, measure=measure, reads=exact.reads, group=group, **facts)


def gradient(exact: Exact, name: str, statement: str, *, of: int = 0, **facts: Any) -> Law:
    """The gradient by autograd, in the case's own dtype, is the analytic one; ``of`` is the argument's position."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        arguments = tuple(x for given, x in inputs.items() if given != "cotangent")
        actual = subject.gradient(arguments, inputs.get("cotangent"), of=of)
        return exact.measure(subject, actual, *inputs.values())

    return Law(name, statement, measure=measure, reads=exact.reads, group="gradient", **facts)


def finite(exact: Exact, name: str, statement: str, **facts: Any) -> Law:
    """The output is finite; any finite value passes."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return measure_finite(subject(*inputs.values()), exact.value(subject, *inputs.values()), subject.format)

    return Law(name, statement, measure=measure, reads=exact.reads, group="finite", bound="no tolerance", **facts)


def measure_finite(actual: Tensor, expected: DoubleDouble, format_: Format) -> Measurement:
    """Measure zero where the output is finite, ``inf`` where it is not."""
    values = to_array(actual)
    reference = DoubleDouble(np.where(np.isfinite(values), values, expected.hi), np.zeros(values.shape))
    return compare(values, reference, 0.0, format_)


SATURATED = "autograd uses a value that has rounded to zero or one, as in most libraries"
"""Why it is no defect where a gradient stops too early."""

ABSORBED = "the usual formula loses one term where the other absorbs it, and libraries use that formula"
"""Why what breaks the laws of small results is no defect."""


def not_lost(exact: Exact, name: str, statement: str, **facts: Any) -> Law:
    """The output is zero only where the exact value is no normal number."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return measure_not_lost(subject(*inputs.values()), exact.value(subject, *inputs.values()), subject.format)

    known = {"lost_digits": ABSORBED, **facts}
    return Law(name, statement, measure=measure, reads=exact.reads, group="value", bound="no tolerance", **known)


def measure_not_lost(actual: Tensor, expected: DoubleDouble, format_: Format, least: Any = 0.0) -> Measurement:
    """Measure ``inf`` where a value is exactly zero and the truth is a normal number, by ``least`` at the least."""
    values = to_array(actual)
    lost = (values == 0.0) & (np.abs(expected.hi) >= format_.tiny + least)
    return Measurement(np.where(lost, np.inf, 0.0), np.zeros(values.shape), values, expected.hi)


def one_sided(
    exact: Exact,
    name: str,
    statement: str,
    *,
    nearest: Callable[..., Array],
    comparison: AbsoluteComparison | None = None,
    **facts: Any,
) -> Law:
    """The output is on one side of a limit.

    Parameters
    ----------
    exact, name, statement, facts
        As everywhere here.
    nearest
        ``nearest(actual, *inputs)``: what is on the right side as it is, else the limit; see :func:`at_least`.
    comparison
        How far beyond, within the value's error; when absent nothing is admissible.
    """

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        actual = to_array(subject(*inputs.values()))
        reference = nearest(actual, *inputs.values())
        if comparison is None:
            return compare(actual, reference, 0.0, subject.format)
        return comparison(actual, reference, exact.error_at(subject, *inputs.values()), subject.format)

    return Law(name, statement, measure=measure, reads=exact.reads, group="algebra", **facts)


def at_least(actual: Array, limit: Any) -> Array:
    """What is not below the limit, and the limit for the rest; NaN is below any."""
    return np.asarray(np.where(np.isnan(actual), limit, np.maximum(actual, limit)))


def at_most(actual: Array, limit: Any) -> Array:
    """What is not above the limit, and the limit for the rest; NaN is above any."""
    return np.asarray(np.where(np.isnan(actual), limit, np.minimum(actual, limit)))


def not_below_zero(actual: Array, *_: Any) -> Array:
    """For what has no negative values."""
    return at_least(actual, 0.0)


def policy(
    exact: Exact,
    name: str,
    statement: str,
    *,
    convention: str,
    rows: Callable[..., Any],
    policies: Callable[..., Mapping[str, Any]],
    **facts: Any,
) -> Law:
    """Some rows are what the case declares, where mathematics leaves them open.

    Parameters
    ----------
    exact, name, statement, facts
        As everywhere here; of ``exact`` only the inputs' names are used.
    convention
        Name of the convention.
    rows
        ``rows(*inputs)``: which ones.
    policies
        ``policies(*inputs)``: what each admissible value of the convention says of them.
    """

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        arguments = tuple(inputs.values())
        return compare_policy(subject, subject(*arguments), rows(*arguments), policies(*arguments), convention)

    return Law(name, statement, measure=measure, reads=exact.reads, group="special", **facts)


def compare_policy(
    subject: Subject, actual: Tensor, rows: Any, policies: Mapping[str, Any], convention: str
) -> Measurement:
    """Compare the chosen rows with what the declared policy says of them.

    Parameters
    ----------
    subject
        Its declaration of ``convention`` names the policy.
    actual
        The output, with the rows as its first axis.
    rows
        Which rows the policy is about; the others are the business of other laws.
    policies
        What each policy expects, broadcast to the output.
    convention
        Name of the convention.
    """
    return compare_rows(actual, rows, policies[subject.declares[convention]], subject.format, bound=0.5)


def compare_rows(actual: Tensor, rows: Any, expected: Any, format_: Format, *, bound: float = 0.0) -> Measurement:
    """Compare the chosen rows; the others are the business of other laws."""
    values = to_array(actual)
    chosen = np.reshape(rows, (-1,) + (1,) * (values.ndim - 1))
    return compare(values, np.where(chosen, expected, values), bound, format_)


EXTREME_NUMBERS = "The value is also right for the largest and smallest finite numbers and for both zeros."


def on_extreme_numbers(value: Law, inputs: Inputs, statement: str = EXTREME_NUMBERS, **facts: Any) -> Law:
    """Derive the law of the group ``special``: the value's, on the largest and the smallest numbers."""
    return value.on(inputs, "value_on_extreme_numbers", statement, group="special", **facts)
