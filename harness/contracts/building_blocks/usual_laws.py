"""Laws of the usual forms, built from a statement, exact values and admissible errors.

A contract states a law of a usual form by a call of these functions; it spells out laws of other forms. All functions
take the exact value, the law's name if it has no usual one, its statement, and the other fields of
:class:`~harness.laws.law.Law` by keyword.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.floats import Array, DoubleDouble, Format, Measurement, Oracle, lift, to_array
from harness.floats.format import compare, compare_absolute, convert_to_ulp
from harness.floats.oracle import MEBIBYTE, Memory, is_recalling
from harness.laws import Inputs, Law, Subject, derivative_laws, derive_long_rows, implementation_laws, no_drift

AbsoluteComparison = Callable[[Any, Any, Array, Format], Measurement]
"""``comparison(actual, expected, error, format)``, with an admissible absolute error."""


def within(actual: Tensor | Array, expected: DoubleDouble | Array, error: Array, format_: Format) -> Measurement:
    """Measure in ulp of the exact value, within an absolute error."""
    return compare(actual, expected, convert_to_ulp(error, lift(expected), format_), format_)


def replace_exact_rows(x: Tensor, exact: DoubleDouble) -> Tensor:
    """Return the exact values in rows where the format of ``x`` has them all, and ``x`` in other rows."""
    rounded = torch.from_numpy(exact.hi).to(x.dtype)
    is_exact = ((to_array(rounded) == exact.hi) & (exact.lo == 0.0)).all(-1, keepdims=True)
    return torch.where(torch.from_numpy(is_exact), rounded, x)


@dataclass(frozen=True)
class Exact:
    """The exact value of an output, and the admissible error of a sound implementation.

    Parameters
    ----------
    reads
        Names of the inputs, in the order of the implementation's arguments. For a gradient, the last one is
        ``cotangent``.
    oracle
        ``oracle(*inputs, *conventions)``.
    error
        ``error(*inputs, *conventions, expected, format)``: the admissible absolute error, with the oracle's shape.
    conventions
        Names of the contract's conventions on which both depend.
    comparison
        Function that compares the output.
    """

    reads: tuple[str, ...]
    oracle: Callable[..., DoubleDouble]
    error: Callable[..., Array]
    conventions: tuple[str, ...] = ()
    comparison: AbsoluteComparison = within

    def value(self, subject: Subject, *inputs: Any) -> DoubleDouble:
        """Return the exact value under the case's declared conventions."""
        return self.oracle(*inputs, *self._declared(subject))

    def error_at(self, subject: Subject, *inputs: Any) -> Array:
        """Return the admissible absolute error."""
        return self._error(subject, self.value(subject, *inputs), *inputs)

    def measure(self, subject: Subject, actual: Tensor, *inputs: Any) -> Measurement:
        """Compare an output with the exact value."""
        expected = self.value(subject, *inputs)
        return self.comparison(actual, expected, self._error(subject, expected, *inputs), subject.format)

    def _error(self, subject: Subject, expected: DoubleDouble, *inputs: Any) -> Array:
        declared = self._declared(subject)
        if not (is_recalling() and isinstance(self.oracle, Oracle)):
            return self.error(*inputs, *declared, expected, subject.format)
        # An oracle returns the same object for equal inputs, and other objects for others.
        key = id(expected), self.error, subject.format, repr(declared)
        entry = _errors.get(key)
        if entry is None:
            error = self.error(*inputs, *declared, expected, subject.format)
            entry = expected, error
            if isinstance(error, np.ndarray):
                error.flags.writeable = False
                _errors.keep(key, entry, error.nbytes + sum(part.nbytes for part in expected.pair))
        return entry[1]

    def _declared(self, subject: Subject) -> tuple[Any, ...]:
        return tuple(subject.declares[name] for name in self.conventions)


_errors: Memory[tuple[DoubleDouble, Array]] = Memory(32 * MEBIBYTE)
"""Exact values, and their admissible errors: laws and cases share examples."""


def value(exact: Exact, statement: str, *, name: str = "value", group: str = "value", **fields: Any) -> Law:
    """Return the law that the output equals the exact value, within its error."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return exact.measure(subject, subject(*inputs.values()), *inputs.values())

    return Law(name, statement, measure=measure, reads=exact.reads, group=group, **fields)


def gradient(exact: Exact, statement: str, *, name: str = "gradient", of: int = 0, **fields: Any) -> Law:
    """Return the law that autograd, in the case's dtype, gives the analytic gradient in the argument at ``of``."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        arguments = tuple(x for name, x in inputs.items() if name != "cotangent")
        actual = subject.gradient(arguments, inputs.get("cotangent"), of=of)
        return exact.measure(subject, actual, *inputs.values())

    return Law(name, statement, measure=measure, reads=exact.reads, group="gradient", **fields)


def finite(exact: Exact, name: str, statement: str, **fields: Any) -> Law:
    """Return the law that the output is finite; any finite value passes."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return measure_finite(subject(*inputs.values()), exact.value(subject, *inputs.values()), subject.format)

    return Law(name, statement, measure=measure, reads=exact.reads, group="finite", **fields)


def measure_finite(actual: Tensor, expected: DoubleDouble, format_: Format) -> Measurement:
    """Measure zero where the output is finite, and ``inf`` elsewhere."""
    values = to_array(actual)
    reference = DoubleDouble(np.where(np.isfinite(values), values, expected.hi), np.zeros(values.shape))
    return compare(values, reference, 0.0, format_)


SATURATED = "autograd uses a value that has rounded to zero or one, as in most libraries"
"""Reason why a gradient that becomes zero too early is not a defect."""

ABSORBED = "the usual formula loses one term where the other absorbs it, and libraries use that formula"
"""Reason why breaking the laws of small results is not a defect."""


def not_lost(exact: Exact, name: str, statement: str, **fields: Any) -> Law:
    """Return the law that the output is zero only where the exact value is below the normal numbers."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return measure_not_lost(subject(*inputs.values()), exact.value(subject, *inputs.values()), subject.format)

    options = {"lost_digits": ABSORBED, **fields}
    return Law(name, statement, measure=measure, reads=exact.reads, group="value", **options)


def measure_not_lost(actual: Tensor, expected: DoubleDouble, format_: Format, least: Any = 0.0) -> Measurement:
    """Measure ``inf`` where a value is zero and the exact one is a normal number that exceeds ``least``."""
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
    **fields: Any,
) -> Law:
    """Return the law that the output is on one side of a limit.

    ``nearest(actual, *inputs)`` gives the nearest value on the right side, see :func:`at_least`. With a ``comparison``,
    the output may be beyond the limit by the value's error.
    """

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        actual = to_array(subject(*inputs.values()))
        reference = nearest(actual, *inputs.values())
        if comparison is None:
            return compare(actual, reference, 0.0, subject.format)
        return comparison(actual, reference, exact.error_at(subject, *inputs.values()), subject.format)

    bound = "no tolerance" if comparison is None else "the value's bound"
    usual = {"group": "algebra", "unit": unit_of(comparison), "bound": bound}
    return Law(name, statement, measure=measure, reads=exact.reads, **(usual | fields))


def at_least(actual: Array, limit: Any) -> Array:
    """Raise values to a limit; NaN counts as below it."""
    return np.asarray(np.where(np.isnan(actual), limit, np.maximum(actual, limit)))


def at_most(actual: Array, limit: Any) -> Array:
    """Lower values to a limit; NaN counts as above it."""
    return np.asarray(np.where(np.isnan(actual), limit, np.minimum(actual, limit)))


def not_below_zero(actual: Array, *_: Any) -> Array:
    """Raise values to zero, for outputs that are never negative."""
    return at_least(actual, 0.0)


def unchanged(
    exact: Exact,
    name: str,
    statement: str,
    *,
    other: Callable[..., Tensor],
    comparison: AbsoluteComparison = within,
    **fields: Any,
) -> Law:
    """Return the law that another call, ``other(subject, *inputs)``, gives the same output.

    Both outputs err, so the bound is doubled.
    """

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        arguments = tuple(inputs.values())
        expected, values = exact.value(subject, *arguments), to_array(other(subject, *arguments))
        # Equal infinities agree in an absolute comparison; they have no ulp.
        usable = ~np.isnan(values) if comparison is compare_absolute else np.isfinite(values)
        reference = np.where(usable, values, expected.hi)
        absolute = 2.0 * exact.error_at(subject, *arguments)
        return comparison(subject(*arguments), reference, absolute, subject.format)

    usual = {"group": "algebra", "bound": "twice the value's bound", "unit": unit_of(comparison)}
    return Law(name, statement, measure=measure, reads=exact.reads, **{**usual, **fields})


def unit_of(comparison: AbsoluteComparison | None) -> str:
    """Return the unit of a comparison's deviations."""
    return "ulp of 1" if comparison is compare_absolute else "ulp"


def rows_become(
    exact: Exact, name: str, statement: str, *, rows: Callable[..., Any], expected: Any, **fields: Any
) -> Law:
    """Return the law that marked rows, ``rows(*inputs)``, have an expected value, which may be a function of inputs."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        arguments = tuple(inputs.values())
        values = expected(*arguments) if callable(expected) else expected
        return compare_rows(subject(*arguments), rows(*arguments), values, subject.format)

    return Law(name, statement, measure=measure, reads=exact.reads, group="special", **fields)


def policy(
    exact: Exact,
    name: str,
    statement: str,
    *,
    convention: str,
    rows: Callable[..., Any],
    policies: Callable[..., Mapping[str, Any]],
    **fields: Any,
) -> Law:
    """Return the law that rows for which mathematics is undecided follow the case's declared convention.

    ``rows(*inputs)`` marks these rows. ``policies(*inputs)`` gives their expected value for each option of the
    convention. Only the inputs' names of ``exact`` are used.
    """

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        arguments = tuple(inputs.values())
        return compare_policy(subject, subject(*arguments), rows(*arguments), policies(*arguments), convention)

    return Law(name, statement, measure=measure, reads=exact.reads, group="special", **fields)


def compare_policy(
    subject: Subject, actual: Tensor, rows: Any, policies: Mapping[str, Any], convention: str
) -> Measurement:
    """Compare marked rows with their expected value under the declared convention; other laws cover the other rows.

    The rows are along the first axis of the output, to which the expected values are broadcast.
    """
    return compare_rows(actual, rows, policies[subject.declares[convention]], subject.format, bound=0.5)


def compare_rows(actual: Tensor, rows: Any, expected: Any, format_: Format, *, bound: float = 0.0) -> Measurement:
    """Compare marked rows with their expected value; other laws cover the other rows."""
    values = to_array(actual)
    chosen = np.reshape(rows, (-1,) + (1,) * (values.ndim - 1))
    return compare(values, np.where(chosen, expected, values), bound, format_)


def defined_in(module: Mapping[str, Any]) -> tuple[Law, ...]:
    """Return the laws that a module defines, in their order; the argument has its names, as ``globals()`` does."""
    return tuple(law for law in module.values() if isinstance(law, Law))


EXTREME_NUMBERS = "The value is also right for the largest and smallest finite numbers and for both zeros."


def on_extreme_numbers(value: Law, inputs: Inputs, statement: str = EXTREME_NUMBERS, **fields: Any) -> Law:
    """Derive the law of the group ``special`` about the value on the largest and the smallest numbers."""
    return value.derive_special(inputs, "value_on_extreme_numbers", statement, **fields)


def of_every_operation(
    value: Law,
    gradient: Law | None,
    *also: Inputs,
    long: Inputs,
    cause: str,
    many: Inputs | None = None,
    second: bool = True,
    **which: bool,
) -> tuple[Law, ...]:
    """Derive the laws that every operation has: long rows, drift of ``many`` rows, derivatives, implementation.

    ``cause`` explains a failure on ``long`` rows, and the gradient is checked on the rows ``also``, too. ``second`` is
    passed to :func:`~harness.laws.derivative_laws`, and ``which`` to :func:`~harness.laws.implementation_laws`.
    """
    return (
        derive_long_rows(value, long, cause=cause),
        *(() if many is None else (no_drift(value, many),)),
        *(() if gradient is None else derivative_laws(gradient, *also, second=second)),
        *implementation_laws(value, **which),
    )
