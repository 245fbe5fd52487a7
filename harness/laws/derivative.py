"""Laws of derivatives that differentiable operations have, derived from the law of the gradient.

A backward pass is linear in the incoming gradient, whatever its strides. It can be differentiated again, and is as
accurate on long rows as on short ones.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from harness.calling.adapter import NotApplicable
from harness.calling.modes import backward, grad
from harness.floats import FORMATS, Array, Format, Measurement, compare_runs, to_array
from harness.laws.case_error import CaseError
from harness.laws.derivation import bound_to, make_other_inputs, select_worst
from harness.laws.law import Example, Inputs, Law, law
from harness.laws.strategies import draw_companions
from harness.laws.subject import Subject

LONGEST = 4_096
"""Entries of the longest rows that gradients are tried on."""


def derivative_laws(gradient: Law, *long: Inputs, second: bool = True) -> tuple[Law, ...]:
    """Derive the laws from the law of the gradient in the first differentiable input.

    Parameters
    ----------
    gradient
        The law of the gradient. Its inputs are the arguments of the implementation, and a cotangent if it reads one.
    long
        Examples with long rows and without a cotangent, on which the gradient is also checked.
    second
        Whether the gradient depends on that input, so that a second derivative exists.

    Returns
    -------
    tuple of Law
        The gradient on long rows, any cotangent, and the second derivative.
    """
    derived = (any_cotangent, second_derivative) if second else (any_cotangent,)
    return *(_derive_long_rows(gradient, inputs) for inputs in long), *(bound_to(law, gradient) for law in derived)


def _derive_long_rows(gradient: Law, inputs: Inputs) -> Law:
    def is_short(example: Example) -> bool:
        return all(length <= LONGEST for x in example.values() if isinstance(x, Tensor) for length in x.shape)

    def draw_short(format_: Format) -> st.SearchStrategy[Example]:
        return inputs(format_).filter(is_short)

    def measure(subject: Subject, **example: Any) -> Measurement:
        output = subject(*example.values())
        return gradient.measure(
            subject, **example, cotangent=draw_companions(output.detach(), np.random.default_rng(0))
        )

    return replace(
        gradient,
        measure=measure,
        reads=tuple(name for name in gradient.reads if name != "cotangent"),
        name="gradient_on_long_rows",
        statement=f"{gradient.statement.rstrip('.')}, also on rows of dozens to thousands of entries.",
        group="length",
        cause="a block of the backward pass ends before the row does, or a sum is accumulated in 16 bits: cover the "
        "whole row, and accumulate in float32",
        inputs=draw_short,
        examples=24,
    )


@law(
    "backward() is linear in the incoming gradient, for any strides and after other calls.",
    source="chain rule",
    bound="twice the gradient's bound",
    cause="the backward pass assumes an incoming gradient of one, ignores its strides, or reads a buffer of all calls: "
    "multiply by it, call contiguous(), and save tensors for each call",
    group="gradient",
    examples=4,
    every_row=False,
)
def any_cotangent(subject: Subject, gradient: Law, inputs: Example) -> Measurement:
    """Change the layout of the incoming gradient or scale it, and make another call before the backward pass.

    The law of a loss has an incoming gradient of ones; other laws read a cotangent.
    """
    arguments = tuple(x for name, x in inputs.items() if name != "cotangent")
    if "cotangent" not in inputs:
        first = gradient.measure(subject, **inputs)
        halves = torch.full_like(subject(*arguments).detach(), -0.5)
        against = _Against(subject, gradient, arguments, first, factor=-0.5)
        return select_worst(against(halves, "with an incoming gradient of -1/2"), *against.compare_after_call(halves))
    cotangent = inputs["cotangent"]
    threes = torch.full_like(cotangent, 3.0)
    first, of_threes = (gradient.measure(subject, **{**inputs, "cotangent": v}) for v in (cotangent, threes))
    against = _Against(subject, gradient, arguments, first)
    measured = [against(_make_strided(cotangent), "with a strided incoming gradient")]
    if cotangent.ndim > 1:
        measured.append(against(cotangent.mT.contiguous().mT, "with a transposed incoming gradient"))
    expanded = threes.new_tensor(3.0).expand(threes.shape)
    circumstance = "with an incoming gradient expanded from one number"
    measured.append(_Against(subject, gradient, arguments, of_threes)(expanded, circumstance))
    return select_worst(*measured, *against.compare_after_call(cotangent))


def _make_strided(x: Tensor) -> Tensor:
    """Return the tensor as every second element along the last axis of another one, with NaN in between."""
    return torch.stack([torch.full_like(x, torch.nan), x], -1)[..., 1]


@dataclass(frozen=True)
class _Against:
    """Compare with the first gradient times the factor, a power of two, within twice the bound of the first.

    Infinite and wrong gradients are not compared: half of an infinite one may be finite, and another law judges them.
    """

    subject: Subject
    gradient: Law
    arguments: tuple[Any, ...]
    first: Measurement
    factor: float = 1.0

    def __call__(self, cotangent: Tensor, how: str) -> Measurement:
        """Compute the backward pass with an incoming gradient."""
        return self._compare(self.subject.gradient(self.arguments, cotangent, of=self.gradient.differentiates), how)

    def compare_after_call(self, cotangent: Tensor) -> Iterator[Measurement]:
        """Compute the backward pass after a call on other inputs; grouped implementations make such calls anyway."""
        if not self.subject.contract.grouped:
            position = self.gradient.differentiates
            gradient = self.subject.gradient(
                self.arguments, cotangent, of=position, before=make_other_inputs(self.arguments)
            )
            yield self._compare(gradient, "with another call before the backward pass")

    def _compare(self, gradient: Tensor, how: str) -> Measurement:
        measurement = compare_runs(to_array(gradient), self.factor * self.first.actual, self.first, self.subject.format)
        if measurement.deviation.shape == self.first.deviation.shape:
            judged = np.isfinite(self.first.actual) & (self.first.ratio <= 1.0)
            measurement = replace(measurement, deviation=np.where(judged, measurement.deviation, 0.0))
        return replace(measurement, circumstance=how)


# The second derivative


@law(
    "The gradient can be differentiated again: the result is exact to half of the digits, or an error is raised.",
    source="difference quotients of the exact gradient at two steps (Richardson)",
    bound="sqrt(u), relative to one or to the largest entry, plus the difference of the two quotients",
    cause="the backward pass detaches a value, or runs outside autograd: mark it once_differentiable, or use "
    "differentiable operations",
    unit="ulp of the largest",
    group="gradient",
    examples=2,
    every_row=False,
)
def second_derivative(subject: Subject, gradient: Law, inputs: Example) -> Measurement:
    """Differentiate the gradient along a direction, and compare with differences of the exact gradient.

    The error of a difference quotient is proportional to the square of its step. Therefore, the difference of the
    quotients at two steps is three times the error of the finer one. The bound is this difference plus half of the
    digits of the format.
    """
    rows = {name: x[:_ROWS] if isinstance(x, Tensor) else x for name, x in inputs.items()}
    name = gradient.reads[gradient.differentiates]
    points, direction = _make_points(rows[name]), _make_directions(rows[name])
    positive = name in subject.contract.axes and subject.contract.axes[name].positive
    if positive:
        # It is a probability, and code that is given one may refuse more than one. Steps are as much smaller.
        points, direction = points.abs() / 4.0 + 0.5, direction / 4.0
    rows[name] = points.to(subject.format.dtype)
    actual = _compute_second_derivative(subject, rows, direction, gradient.differentiates)
    (coarse, _), (fine, rounding) = (
        _compute_quotient(subject, gradient, rows, direction, s) for s in (_STEP, _STEP / 2.0)
    )
    exact = (4.0 * fine - coarse) / 3.0
    axes = tuple(range(1, exact.ndim)) or (0,)
    size = np.abs(exact).max(axes, keepdims=True, initial=1.0, where=np.isfinite(exact))
    bound = np.sqrt(subject.format.u) * size + np.abs(coarse - fine) + rounding
    unit = 2.0 * subject.format.u * size
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(actual), np.abs(actual - exact), np.inf)
    # A row of a single entry has no variance with a correction of 1.
    error, bound = np.where(np.isfinite(exact), error, 0.0), np.nan_to_num(bound)
    return Measurement(error / unit, bound / unit, actual, exact)


_ROWS = 4
_STEP = 2.0**-9


def _make_points(like: Tensor) -> Tensor:
    """Ordinary numbers, apart from each other in each row; of float16, so that every format has them."""
    rng = np.random.default_rng(like.shape[-1])
    spread = np.linspace(-1.5, 1.5, like.shape[-1]) + 0.25
    rows = rng.permuted(np.broadcast_to(spread, tuple(like.shape)), axis=-1)
    return torch.from_numpy(rows).to(torch.bfloat16)


def _make_directions(like: Tensor) -> Tensor:
    return torch.from_numpy(np.random.default_rng(1).choice([-1.0, -0.5, 0.5, 1.0], size=tuple(like.shape)))


def _compute_quotient(
    subject: Subject, gradient: Law, inputs: Example, direction: Tensor, step: float
) -> tuple[Array, Array]:
    """The central difference quotient of the exact gradient at float64 inputs, and what rounding leaves of it."""
    wide = FORMATS["float64"]
    name = gradient.reads[gradient.differentiates]
    double = {key: x.double() if isinstance(x, Tensor) and x.is_floating_point() else x for key, x in inputs.items()}
    ends = [
        Subject(subject.case, subject.contract, wide, subject.watch, subject.device)
        .measure(gradient, {**double, name: double[name] + sign * step * direction})
        .expected
        for sign in (1.0, -1.0)
    ]
    quotient = (ends[0] - ends[1]) / (2.0 * step)
    return quotient, 2.0**-50 / step * np.maximum(np.abs(ends[0]), np.abs(ends[1]))


def _compute_second_derivative(subject: Subject, inputs: Example, direction: Tensor, of: int) -> Array:
    arguments = [
        x.detach().clone() if isinstance(x, Tensor) else x for name, x in inputs.items() if name != "cotangent"
    ]
    x = arguments[of].requires_grad_()
    output = subject(*arguments)
    # Only an incoming gradient that requires one makes a backward pass say that it is once_differentiable.
    weights = inputs.get("cotangent", torch.ones_like(output)).detach().clone().requires_grad_()
    if not output.requires_grad:
        raise NotApplicable("autograd cannot follow the output back to the input")

    def differentiate_twice() -> Tensor | None:
        (once,) = grad([output], [x], [weights], create=True)
        if once is None or not once.requires_grad:
            return None
        # All of the graph, and not only what leads to x: there stands what refuses.
        backward([once], [direction.to(x.dtype)])
        return x.grad

    try:
        second = subject.attempt(f"the second backward pass of {subject.case.name}", differentiate_twice)
    except CaseError as refusal:
        raise NotApplicable(f"its gradient cannot be differentiated: {refusal}") from refusal
    return to_array(torch.zeros_like(x) if second is None else second)
