"""Functions that derive laws about several calls: repeated ones, and other ways to make the call of the law of a value.

The settings of torch and of a module change no value. Autocast computes in a narrower format, so the bound of that
format applies.

Uninitialized memory usually contains the data of the previous call, so a second call can seem sound. Therefore, the
next blocks of the allocator are overwritten before each repeated call. In a last call, torch fills new memory with NaN.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable, is_model
from harness.calling.device import CPU
from harness.calling.host import HERE, Host
from harness.floats import FORMATS, Array, Format, Measurement, compare_runs, from_ordinal, to_array, to_ordinal, worse
from harness.laws.case_error import CaseError
from harness.laws.contract import Axes
from harness.laws.default_examples import OF_IMPLEMENTATION
from harness.laws.law import Example, Law, law
from harness.laws.subject import Subject
from harness.record import Fault

Call = Callable[..., Any]

CONTENTS = (0x00, 0xFF, 0x42)
"""Bytes that freed memory is filled with: zeros; NaN, or minus one in integers; and ordinary numbers."""


def repeatable(statement: str) -> Callable[[Callable[..., Measurement]], Law]:
    """Make a law of the function below: calls on the same inputs agree.

    Parameters
    ----------
    statement
        One sentence.

    Returns
    -------
    callable
        A decorator that turns the measuring function into a :class:`~harness.laws.Law`.
    """
    return about_every_operation(
        statement,
        cause="uninitialized memory, state kept between calls, randomness, or a sum in thread order: make each call "
        "independent and deterministic",
        intermittent=True,
    )


def compare_repeated_calls(
    call: Callable[[], Array],
    format_: Format,
    *,
    between: Callable[[], Measurement | None] = lambda: None,
    sizes: Iterable[int] = (),
    device: str = CPU,
    host: Host = HERE,
) -> Measurement:
    """Call three times and compare the bits of the results with the first result; NaN agrees with NaN.

    In a fourth call, uninitialized memory is NaN, and the result may not have additional NaNs.

    Parameters
    ----------
    call
        Makes the call and returns the result as float64.
    format_
        The format whose ulp is the unit; a zero of the other sign deviates by one.
    between
        Action before the last call; if it finds a difference, this decides.
    sizes, device
        See :func:`harness.calling.modes.overwrite_freed`.
    host
        Place of the calls.

    Returns
    -------
    Measurement
        The difference from the first result in ulp.
    """
    sizes = tuple(sizes)
    runs = []
    for byte in CONTENTS:
        if byte == CONTENTS[-1]:
            measurement = between()
            if measurement is not None and measurement.broken:
                return measurement
        host.overwrite_freed(byte, sizes=sizes, device=device)
        runs.append(call())
    first = runs[0]
    same = Measurement(np.zeros(first.shape), np.zeros(first.shape), first, first)
    second, third = (_compare_bits(compare_runs(run, first, same, format_)) for run in runs[1:])
    agreed = worse(second, third)
    if agreed.broken:
        return agreed
    # Without compilation: the changed setting would cause a recompilation.
    with host.uncompiled(), host.unset_is_nan():
        filled = call()
    return worse(agreed, _measure_new_nans(filled, first)) if filled.shape == first.shape else agreed


def _measure_new_nans(filled: Array, first: Array) -> Measurement:
    """Return a measurement that is infinite for each new NaN."""
    unset = np.isnan(filled) & ~np.isnan(first)
    return Measurement(np.where(unset, np.inf, 0.0), np.zeros(first.shape), filled, first)


def _compare_bits(measured: Measurement) -> Measurement:
    """Return the measurement with a deviation of one for zeros of the other sign."""
    if measured.actual.shape != measured.expected.shape:
        return measured
    other_zero = (measured.actual == measured.expected) & (np.signbit(measured.actual) != np.signbit(measured.expected))
    return replace(measured, deviation=np.where(other_zero, 1.0, measured.deviation))


# From the law of a value


about_every_operation = partial(
    law,
    source="definition of a function of its inputs",
    bound="no tolerance",
    group="implementation",
    examples=OF_IMPLEMENTATION,
)
"""Make a law of ``measure(subject, value, inputs)`` below, about the law of a value; see :func:`bound_to`."""

TWICE = "twice the value's bound"
"""The bound of laws that compare two calls."""


def bound_to(law: Law, value: Law) -> Law:
    """Bind the law of the value to a law, which then reads the same inputs."""

    def measure(subject: Subject, **inputs: Any) -> Measurement:
        return law.measure(subject, value, inputs)

    return replace(law, measure=measure, reads=value.reads)


def compare_calls(subject: Subject, value: Law, inputs: Example, rest: Iterable[Call]) -> Measurement:
    """Compare other ways to call an implementation with the plain call."""
    first = subject.measure(value, inputs)
    against_first = [compare_runs(to_array(way(*inputs.values())), first.actual, first, subject.format) for way in rest]
    return worse(*against_first)


def find_row_axes(subject: Subject, value: Law) -> tuple[list[int | None], bool]:
    """Return the row axes of the arguments, and whether the first axis of the output is the row axis."""
    axes: Mapping[str, Any] = subject.contract.axes
    axis_names = [axes[name].names[subject.contract.grouped :] if name in axes else () for name in value.reads]
    row_axes = [names.index("n") if "n" in names else None for names in axis_names]
    return row_axes, (subject.output_axes or ())[:1] == ("n",)


def select_rows(arguments: tuple[Any, ...], places: list[int | None], first: int, end: int) -> list[Any]:
    """Return the arguments with only the rows from ``first`` to ``end``."""
    return [
        x if axis is None else x.narrow(axis, first, min(end, x.shape[axis]) - first)
        for x, axis in zip(arguments, places, strict=True)
    ]


def make_other_inputs(arguments: Sequence[Any]) -> list[Any]:
    """Return other inputs of the same shapes: the same numbers in reverse order along every axis."""
    return [x.flip(tuple(range(x.ndim))) if isinstance(x, Tensor) else x for x in arguments]


def select_worst(*measured: Measurement) -> Measurement:
    """Return the measurement that is furthest beyond its bound, with its circumstance."""
    return max(measured, key=lambda one: float(one.ratio.max(initial=0.0)))


# Modes

_LEAST = 2.0**-100
"""Smaller inputs are taken for zero: processors flush subnormal numbers and products in bfloat16's dot products."""


@about_every_operation(
    "The value does not depend on gradient mode, autocast, number of threads, default dtype, a module's training mode "
    "or a later call.",
    source="results do not depend on the mode; autocast: the value's law in bfloat16",
    bound=f"{TWICE}; under autocast the value's bound in bfloat16, for inputs that bfloat16 represents",
    cause="another code path runs in this mode, such as dropout or a fused kernel; a tensor takes the default dtype; "
    "all results share one buffer; or autocast runs a sum in bfloat16: use one code path, name the dtype, return new "
    "tensors, and accumulate in float32",
    examples=2,
)
def any_mode(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Call in each mode, and name the one with the worst deviation.

    If an implementation refuses inputs that require a gradient, its laws of gradients report this.
    """
    if changes := subject.host.changed_at_import():
        raise CaseError(f"the import of {subject.case.name} {changes}", Fault.STATE)
    first = subject.measure(value, inputs)

    reference = subject(*inputs.values())

    def comparison(name: str, call: Call) -> Measurement:
        output = _run_named(name, lambda: call(*inputs.values()))
        measurement = compare_runs(to_array(output), first.actual, first, subject.format)
        if output.dtype == reference.dtype or subject.returns_number:
            return replace(measurement, circumstance=name)
        circumstance = f"{name} it returns {output.dtype}, otherwise {reference.dtype}"
        return replace(measurement, deviation=np.full(measurement.deviation.shape, np.inf), circumstance=circumstance)

    measured = [
        comparison("under torch.no_grad()", call_in_mode(torch.no_grad, subject)),
        comparison("under torch.inference_mode()", call_in_mode(torch.inference_mode, subject)),
        comparison(
            f"with {_THREADS} threads", call_in_mode(lambda: _change_settings(subject, threads=_THREADS), subject)
        ),
        comparison(_DEFAULT, call_in_mode(lambda: _change_settings(subject, dtype=torch.float64), subject)),
    ]
    if not subject.contract.grouped:
        measured.append(
            comparison("after a call on other inputs", lambda *given: _call_after_other_inputs(subject, given))
        )
    with suppress(CaseError, NotApplicable):
        measured.append(
            comparison("with inputs that require a gradient", subject.wrap_calls(_require_gradients, _detach))
        )
    if is_module(subject):
        measured += _compare_switched(subject, comparison)
    if subject.format.name == "float32":
        measured.append(_measure_autocast(subject, value, inputs))
    return select_worst(*measured)


_THREADS = 2

_DEFAULT = "with torch.set_default_dtype(torch.float64)"


@contextmanager
def _change_settings(subject: Subject, **settings: Any) -> Iterator[None]:
    """Call with other settings, without a new compilation."""
    with subject.host.uncompiled(), subject.host.modes(**settings):
        yield


def _call_after_other_inputs(subject: Subject, arguments: Sequence[Any]) -> Tensor:
    """Return the result of a call after another call on inputs of the same shapes."""
    first, _ = subject.each([arguments, make_other_inputs(arguments)])
    return first


def is_module(subject: Subject) -> bool:
    """Whether the implementation is a module."""
    function = subject.case.function
    return is_model(function) or getattr(function, "is_module", False) is True


def _compare_switched(subject: Subject, comparison: Callable[[str, Call], Measurement]) -> list[Measurement]:
    """Call a module in its other mode; random numbers of dropout are not a fault there."""
    before = torch.get_rng_state()
    name = "with the module switched between train() and eval()"
    with suppress(NotApplicable):
        measurement = comparison(name, call_in_mode(lambda: subject.host.modes(switched=True), subject))
        if torch.equal(before, torch.get_rng_state()):
            return [measurement]
    torch.set_rng_state(before)
    return []


def call_in_mode(mode: Callable[[], AbstractContextManager[Any]], call: Call) -> Call:
    """Return a function that makes a call in a mode."""

    def call_in_mode(*arguments: Any) -> Any:
        with mode():
            return call(*arguments)

    return call_in_mode


def _require_gradients(arguments: Sequence[Any]) -> list[Any]:
    return [x.clone().requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x for x in arguments]


def _detach(output: Any) -> Any:
    return output.detach() if isinstance(output, Tensor) else output


def _measure_autocast(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Measure the value's law in bfloat16; the implementation gets float32 and may return float32.

    Rows that also fail without autocast are left to other laws.
    """
    narrow = FORMATS["bfloat16"]
    name = "under torch.autocast('cpu', torch.bfloat16)"
    axes = subject.contract.axes
    example = {key: _narrow(x, axes.get(key)) for key, x in inputs.items()}

    def call_narrow(run: Call) -> Measurement:
        def call(*arguments: Any) -> Any:
            return _convert(narrow.dtype, run(*(_convert(torch.float32, x) for x in arguments)))

        case = replace(subject.case, function=call, call=None)
        return Subject(case, subject.contract, narrow, subject.watch).measure(value, example)

    plain = call_narrow(subject.run)
    autocast = call_in_mode(lambda: torch.autocast("cpu", narrow.dtype), subject.run)
    under: Measurement = _run_named(name, lambda: call_narrow(autocast))
    if plain.deviation.shape == under.deviation.shape:
        under = replace(under, deviation=np.where(plain.ratio > 1.0, 0.0, under.deviation))
    return replace(under, circumstance=name)


def _narrow(x: Any, axes: Axes | None) -> Any:
    """In bfloat16, and zero where dot products may take it for zero, unless the contract's domain leaves zero out."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    narrow: Tensor = (x if axes is not None and axes.positive else torch.where(x.abs() < _LEAST, 0.0, x)).bfloat16()
    if axes is None or axes.restore is None or not axes.is_bounded:
        return narrow
    # A number that is rounded out of the domain has a neighbor inside, on the side of the original number.
    inside = axes.restore(narrow.float(), FORMATS["float32"])
    if inside is None:
        return narrow
    steps = torch.where(torch.eq(narrow.float(), inside), 0, torch.where(x < narrow, -1, 1))
    return from_ordinal(to_ordinal(narrow) + steps.numpy(), FORMATS["bfloat16"])


def _convert(dtype: torch.dtype, x: Any) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def _run_named(name: str, action: Callable[[], Any]) -> Any:
    """Run an action, and name the mode if it fails."""
    try:
        return action()
    except CaseError as error:
        raise CaseError(f"{name}: {error}", error.fault) from error
