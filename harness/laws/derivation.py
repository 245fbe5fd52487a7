"""Functions that derive the laws of every operation from the law of its value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from harness.floats import Measurement, compare_runs, to_array, worse
from harness.laws.law import Example, Law
from harness.laws.repetition import EXAMPLES
from harness.laws.subject import Subject


def about_every_operation(
    measure: Callable[..., Measurement],
    statement: str,
    cause: str,
    *,
    bound: str = "no tolerance",
    group: str = "implementation",
) -> Law:
    """Make a law of ``measure(subject, value, inputs)`` with the usual descriptions; see :func:`bound_to`."""
    return Law(
        measure.__name__,
        statement,
        source="definition of a function of its inputs",
        bound=bound,
        cause=cause,
        group=group,
        measure=measure,
        examples=EXAMPLES,
    )


def bound_to(law: Law, value: Law) -> Law:
    """Bind the law of the value to a law, which then reads the same inputs."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return law.measure(subject, value, inputs)

    return replace(law, measure=measure, reads=value.reads)


def against(subject: Subject, value: Law, inputs: Example, others: Iterable[Subject]) -> Measurement:
    """Compare other ways to call an implementation with the plain call."""
    first = subject.measure(value, inputs)
    against_first = [
        compare_runs(to_array(other(*inputs.values())), first.actual, first, subject.format) for other in others
    ]
    return worse(*against_first)


def rows_of(subject: Subject, value: Law) -> tuple[list[int | None], bool]:
    """Return the row axes of the arguments, and whether the first axis of the output is the row axis."""
    axes: Mapping[str, Any] = subject.contract.axes
    own = [axes[name].names[subject.contract.grouped :] if name in axes else () for name in value.reads]
    return [names.index("n") if "n" in names else None for names in own], (subject.output_axes or ())[:1] == ("n",)


def between(arguments: tuple[Any, ...], places: list[int | None], first: int, end: int) -> list[Any]:
    """Return the arguments with only the rows from ``first`` to ``end``."""
    return [
        x if at is None else x.narrow(at, first, min(end, x.shape[at]) - first)
        for x, at in zip(arguments, places, strict=True)
    ]


def other_inputs(arguments: Sequence[Any]) -> list[Any]:
    """Return other inputs of the same shapes: the same numbers in reverse order along every axis."""
    return [x.flip(tuple(range(x.ndim))) if isinstance(x, Tensor) else x for x in arguments]


def worst_of(*measured: Measurement) -> Measurement:
    """Return the measurement that is furthest beyond its bound, with its circumstance."""
    return max(measured, key=lambda one: float(one.ratio.max(initial=0.0)))
