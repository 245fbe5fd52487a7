"""The law of modes that every operation has: the settings of torch and of a module change no value.

Autocast computes in a narrower format, so the bound of that format applies.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.calling.adapter import NotApplicable, is_model
from harness.floats import FORMATS, Measurement, compare_runs, to_array
from harness.laws.case_error import CaseError
from harness.laws.derivation import bound_to, other_inputs, worst_of
from harness.laws.law import Example, Law
from harness.laws.subject import Subject
from harness.record import Fault

_LEAST = 2.0**-100
"""Smaller inputs are taken for zero: processors flush subnormal numbers and products in bfloat16's dot products."""

Call = Callable[..., Any]


def mode_law(value: Law) -> Law:
    """Derive the law from the law of the value."""
    law = Law(
        "any_mode",
        "The value does not depend on gradient mode, autocast, number of threads, default dtype, a module's training "
        "mode or a later call.",
        source="results do not depend on the mode; autocast: the value's law in bfloat16",
        bound="twice the value's bound; under autocast the value's bound in bfloat16, for inputs that bfloat16 "
        "represents",
        cause="another code path runs in this mode, such as dropout or a fused kernel; a tensor takes the default "
        "dtype; all results share one buffer; or autocast runs a sum in bfloat16: use one code path, name the dtype, "
        "return new tensors, and accumulate in float32",
        group="implementation",
        measure=any_mode,
        examples=2,
    )
    return bound_to(law, value)


def any_mode(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Call in each mode, and name the one with the worst deviation.

    If an implementation refuses inputs that require a gradient, its laws of gradients report this.
    """
    if changes := subject.host.changed_at_import():
        raise CaseError(f"the import of {subject.case.name} {changes}", Fault.STATE)
    first = subject.measure(value, inputs)

    reference = subject(*inputs.values())

    def comparison(name: str, call: Call) -> Measurement:
        output = _named(name, lambda: call(*inputs.values()))
        found = compare_runs(to_array(output), first.actual, first, subject.format)
        if output.dtype == reference.dtype or subject.returns_number:
            return replace(found, circumstance=name)
        circumstance = f"{name} it returns {output.dtype}, otherwise {reference.dtype}"
        return replace(found, deviation=np.full(found.deviation.shape, np.inf), circumstance=circumstance)

    measured = [
        comparison("under torch.no_grad()", _within(torch.no_grad, subject)),
        comparison("under torch.inference_mode()", _within(torch.inference_mode, subject)),
        comparison(f"with {_THREADS} threads", _within(lambda: _settings(subject, threads=_THREADS), subject)),
        comparison(_DEFAULT, _within(lambda: _settings(subject, dtype=torch.float64), subject)),
    ]
    if not subject.contract.grouped:
        measured.append(comparison("after a call on other inputs", lambda *given: _unchanged(subject, given)))
    with suppress(CaseError, NotApplicable):
        measured.append(comparison("with inputs that require a gradient", subject.arranged(_requiring, _detached)))
    if _is_module(subject):
        measured += _switched(subject, comparison)
    if subject.format.name == "float32":
        measured.append(_under_autocast(subject, value, inputs))
    return worst_of(*measured)


_THREADS = 2

_DEFAULT = "with torch.set_default_dtype(torch.float64)"


@contextmanager
def _settings(subject: Subject, **settings: Any) -> Iterator[None]:
    """Call with other settings, without a new compilation."""
    with subject.host.uncompiled(), subject.host.modes(**settings):
        yield


def _unchanged(subject: Subject, arguments: Sequence[Any]) -> Tensor:
    """Return the result of a call after another call on inputs of the same shapes."""
    first, _ = subject.each([arguments, other_inputs(arguments)])
    return first


def _is_module(subject: Subject) -> bool:
    function = subject.case.function
    return is_model(function) or getattr(function, "is_module", False) is True


def _switched(subject: Subject, comparison: Callable[[str, Call], Measurement]) -> list[Measurement]:
    """Call a module in its other mode; random numbers of dropout are not a fault there."""
    before = torch.get_rng_state()
    name = "with the module switched between train() and eval()"
    with suppress(NotApplicable):
        found = comparison(name, _within(lambda: subject.host.modes(switched=True), subject))
        if torch.equal(before, torch.get_rng_state()):
            return [found]
    torch.set_rng_state(before)
    return []


def _within(mode: Callable[[], AbstractContextManager[Any]], call: Call) -> Call:
    def within(*arguments: Any) -> Any:
        with mode():
            return call(*arguments)

    return within


def _requiring(arguments: Sequence[Any]) -> list[Any]:
    return [x.clone().requires_grad_() if isinstance(x, Tensor) and x.is_floating_point() else x for x in arguments]


def _detached(output: Any) -> Any:
    return output.detach() if isinstance(output, Tensor) else output


def _under_autocast(subject: Subject, value: Law, inputs: Example) -> Measurement:
    """Measure the value's law in bfloat16; the implementation gets float32 and may return float32.

    Rows that also fail without autocast are left to other laws.
    """
    narrow = FORMATS["bfloat16"]
    name = "under torch.autocast('cpu', torch.bfloat16)"
    axes = subject.contract.axes
    example = {key: _narrow(x, positive=key in axes and axes[key].positive) for key, x in inputs.items()}

    def narrowed(run: Call) -> Measurement:
        def call(*arguments: Any) -> Any:
            return _as(narrow.dtype, run(*(_as(torch.float32, x) for x in arguments)))

        case = replace(subject.case, function=call, call=None)
        return Subject(case, subject.contract, narrow, subject.watch).measure(value, example)

    plain = narrowed(subject.run)
    autocast = _within(lambda: torch.autocast("cpu", narrow.dtype), subject.run)
    under: Measurement = _named(name, lambda: narrowed(autocast))
    if plain.deviation.shape == under.deviation.shape:
        under = replace(under, deviation=np.where(plain.ratio > 1.0, 0.0, under.deviation))
    return replace(under, circumstance=name)


def _narrow(x: Any, *, positive: bool) -> Any:
    """In bfloat16, and zero where dot products may take it for zero, unless the contract's domain leaves zero out."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    return (x if positive else torch.where(x.abs() < _LEAST, 0.0, x)).bfloat16()


def _as(dtype: torch.dtype, x: Any) -> Any:
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def _named(name: str, action: Callable[[], Any]) -> Any:
    """Run an action, and name the mode if it fails."""
    try:
        return action()
    except CaseError as error:
        raise CaseError(f"{name}: {error}", error.fault) from error
