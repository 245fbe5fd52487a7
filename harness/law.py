"""Laws and contracts: properties as data, each with a small function that returns the deviation it measured.

A law does not assert. It is written once and runs on every dtype and device; what happens with a deviation
beyond its bound is decided elsewhere.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from hypothesis.strategies import SearchStrategy
from torch import Tensor

from harness.case import FLOATS, Case
from harness.double_double import Array, DoubleDouble, lift
from harness.precision import Format, deviation, to_array, ulp

Example = dict[str, Any]
"""One concrete input: tensors and plain numbers by the names the laws use."""


class CaseError(Exception):
    """What an implementation did instead of answering: it raised, or returned something that is no tensor."""


@dataclass(frozen=True)
class Measurement:
    """What a law measured on one example, element by element.

    Parameters
    ----------
    deviation, bound
        In the law's unit; a law is kept where ``deviation <= bound``.
    actual, expected
        The case's values and the exact ones, for the message.
    """

    deviation: Array
    bound: Array
    actual: Array
    expected: Array

    @cached_property
    def ratio(self) -> Array:
        """``deviation / bound``; zero where the deviation is, whatever the bound; ``inf`` for an infinite deviation."""
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.deviation / self.bound
        ratio = np.where(self.deviation == 0.0, 0.0, ratio)
        return np.where(np.isposinf(self.deviation) | np.isnan(self.deviation), np.inf, ratio)

    @property
    def worst(self) -> tuple[int, ...]:
        """Index of the largest ratio."""
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(self.ratio)), self.ratio.shape))

    @property
    def over(self) -> int:
        """How many elements are beyond their bound."""
        return int(np.count_nonzero(self.ratio > 1.0))

    @property
    def broken(self) -> bool:
        """Whether any element is beyond its bound."""
        return self.over > 0


def compare(actual: Tensor | Array, expected: DoubleDouble | Array | float, bound: Any, format_: Format) -> Measurement:
    """Measure in ulp of the exact value.

    Parameters
    ----------
    actual
        The case's output.
    expected
        Exact values, broadcast to ``actual``.
    bound
        Largest admissible deviation in ulp, broadcast to ``actual``.
    format_
        The format whose ulp is the unit.

    Notes
    -----
    An output of another shape than expected deviates by ``inf`` everywhere.
    """
    values = to_array(actual) if isinstance(actual, Tensor) else np.asarray(actual, dtype=np.float64)
    exact = lift(expected)
    if isinstance(expected, DoubleDouble) and values.shape != exact.shape:
        return _all_infinite(values, exact)
    exact = DoubleDouble(np.broadcast_to(exact.hi, values.shape), np.broadcast_to(exact.lo, values.shape))
    limit = np.broadcast_to(np.asarray(bound, dtype=np.float64), values.shape)
    return Measurement(deviation(values, exact, format_), limit, values, exact.hi)


def compare_absolute(actual: Tensor | Array, expected: Array, bound: Array, format_: Format) -> Measurement:
    """Measure in ulp of one or of the expected value, whichever is larger.

    For what is near zero because larger numbers cancelled, an ulp of the value itself says nothing.

    Parameters
    ----------
    actual, expected
        Values of the same shape; equal ones deviate by nothing, infinities too.
    bound
        Largest admissible absolute error.
    format_
        The format whose ulp is the unit.
    """
    values = to_array(actual) if isinstance(actual, Tensor) else actual
    unit = 2.0 * format_.u * np.maximum(1.0, np.where(np.isfinite(expected), np.abs(expected), 1.0))
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(values), np.abs(values - expected), np.inf)
    error = np.where(values == expected, 0.0, error)
    return Measurement(error / unit, np.broadcast_to(bound / unit, values.shape), values, expected)


def _all_infinite(values: Array, exact: DoubleDouble) -> Measurement:
    shape = exact.shape or (1,)
    actual = np.broadcast_to(np.nan if values.size != 1 else values.reshape(()), shape)
    return Measurement(np.full(shape, np.inf), np.zeros(shape), actual, exact.hi.reshape(shape))


def in_ulp(absolute: Array, expected: DoubleDouble, format_: Format) -> Array:
    """Convert an absolute error to ulp of the exact value."""
    with np.errstate(over="ignore"):
        return np.asarray(absolute / ulp(expected, format_))


class Subject:
    """A case as its laws see it: callable on whole batches, in one format, on one device.

    Parameters
    ----------
    case
        The case.
    contract
        Its contract. Where the contract says ``grouped``, the implementation is called once for each index of the
        leading axis and the results are stacked, since it reduces over everything it is given.
    format_
        The format it is checked in.
    """

    def __init__(self, case: Case, contract: "Contract", format_: Format) -> None:
        self.case = case
        self.contract = contract
        self.format = format_
        self.declares: Mapping[str, Any] = {**contract.conventions, **case.declares}

    def __call__(self, *inputs: Any) -> Any:
        """Call the implementation."""
        if not self.contract.grouped:
            return self._call(inputs)
        outputs = [self._call(arguments) for arguments in zip(*inputs, strict=True)]
        shapes = {tuple(output.shape) for output in outputs}
        if len(shapes) > 1:
            raise CaseError(f"{self.case.name} returns tensors of different shapes: {sorted(shapes)}")
        return torch.stack(outputs)

    def run(self, *inputs: Any) -> Any:
        """Call an implementation that returns something else than one tensor.

        Raises
        ------
        CaseError
            If it raises.
        """
        try:
            return self.case.function(*inputs)
        except Exception as error:
            raise CaseError(f"{self.case.name} raises {type(error).__name__}: {error}") from error

    def _call(self, inputs: tuple[Any, ...]) -> Tensor:
        output = self.run(*inputs)
        if isinstance(output, (int, float)):
            output = torch.tensor(float(output), dtype=torch.float64)
        if not isinstance(output, Tensor):
            raise CaseError(f"{self.case.name} returns {type(output).__name__}, not a tensor")
        wanted = self._shape(inputs)
        if wanted is not None and tuple(output.shape) != wanted:
            given = ", ".join(str(list(value.shape)) for value in inputs if isinstance(value, Tensor))
            raise CaseError(
                f"{self.case.name} returns shape {list(output.shape)} for inputs of shape {given}, "
                f"where the contract says {self.contract.signature}, that is {list(wanted)}"
            )
        return output

    def _shape(self, inputs: tuple[Any, ...]) -> tuple[int, ...] | None:
        """The shape the contract asks for; ``None`` where it leaves that to its laws."""
        names = self.contract.output
        if names is None:
            return None
        if self.declares.get("reduction") == "none":
            names = ("n",)
        lengths: dict[str, int] = {}
        for value, input_axes in zip(inputs, self.contract.axes.values(), strict=False):
            if isinstance(value, Tensor):
                lengths.update(zip(input_axes.names[self.contract.grouped :], value.shape, strict=True))
        return tuple(lengths[name] for name in names)

    def gradient(self, inputs: tuple[Tensor, ...], cotangent: Tensor | None = None, *, of: int = 0) -> Tensor:
        """Gradient in the case's own dtype, through autograd.

        Parameters
        ----------
        inputs
            Arguments of the implementation.
        cotangent
            Weights of the outputs, of the outputs' shape; ones when absent.
        of
            Position of the argument to differentiate by.
        """
        arguments = [argument.detach().clone() for argument in inputs]
        arguments[of].requires_grad_()
        output = self(*arguments)
        weights = torch.ones_like(output) if cotangent is None else cotangent
        if not output.requires_grad:
            raise CaseError(f"{self.case.name} returns a tensor that autograd cannot follow back to its input")
        try:
            (found,) = torch.autograd.grad(output, arguments[of], weights, allow_unused=True)
        except RuntimeError as error:
            raise CaseError(f"the backward pass of {self.case.name} raises {error}") from error
        return torch.zeros_like(arguments[of]) if found is None else found


@dataclass(frozen=True)
class Law:
    """One property of an operation.

    Parameters
    ----------
    name
        Present-tense fact, for example ``rows_sum_to_one``.
    statement
        One sentence.
    source
        Where the property, or its bound, comes from.
    bound
        The admissible deviation in words or as a formula.
    cause
        What usually breaks it, and how it is mended.
    non_finite
        The same where the output is not finite; ``cause`` where that says as much.
    group
        ``value``, ``algebra``, ``finite``, ``gradient``, ``equivalence``, ``training`` or ``data``.
    measure
        ``measure(subject, **inputs) -> Measurement``; it takes those inputs of the example that it names.
    unit
        Unit of deviation and bound.
    """

    name: str
    statement: str
    source: str
    bound: str
    cause: str
    group: str
    measure: Callable[..., Measurement]
    unit: str = "ulp"
    non_finite: str = ""

    def likely_cause(self, actual: float) -> str:
        """What to look at, given the offending output."""
        return self.non_finite if self.non_finite and not math.isfinite(actual) else self.cause

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs the law reads."""
        return tuple(inspect.signature(self.measure).parameters)[1:]

    def __call__(self, subject: Subject, example: Example) -> Measurement:
        """Measure the law on one example."""
        return self.measure(subject, **{name: example[name] for name in self.inputs})


def law(
    statement: str, *, source: str, bound: str, cause: str, group: str, unit: str = "ulp", non_finite: str = ""
) -> Callable[[Callable[..., Measurement]], Law]:
    """Make a law of the function below, whose name becomes the law's."""

    def decorate(measure: Callable[..., Measurement]) -> Law:
        return Law(measure.__name__, statement, source, bound, cause, group, measure, unit, non_finite)

    return decorate


@dataclass(frozen=True)
class Axes:
    """How an input may be made smaller.

    Parameters
    ----------
    names
        Name of each axis; axes of one name have one length throughout an example, and are shortened together.
    index_of
        The axis whose positions an integer input refers to; ``None`` for values.
    positive
        Whether values outside the open interval above zero are outside the contract's domain.
    """

    names: tuple[str, ...]
    index_of: str | None = None
    positive: bool = False


@dataclass(frozen=True)
class Contract:
    """The laws, inputs and oracle of one operation.

    Parameters
    ----------
    name
        As cases claim it.
    signature
        What an implementation is given and must return.
    summary
        One sentence.
    domain
        The inputs on which the laws are to hold, in words.
    inputs
        ``inputs(format) -> strategy`` of examples.
    laws
        The laws, in the order they are reported.
    axes
        How each input shrinks; an input that is absent stays as it is.
    output
        Names of the output's axes, as the inputs have them; ``None`` where the laws look at the shape themselves.
    conventions
        The choices a case may declare otherwise, with their defaults. Under the reduction ``none`` the output has
        one axis, ``n``.
    grouped
        Whether an implementation reduces over all it is given, so that examples carry a leading axis of groups.
    dtypes
        The dtypes in which the contract is meaningful.
    examples
        Hypothesis examples per law where the user names no number.
    """

    name: str
    signature: str
    summary: str
    domain: str
    inputs: Callable[[Format], SearchStrategy[Example]]
    laws: tuple[Law, ...]
    axes: Mapping[str, Axes] = field(default_factory=dict)
    output: tuple[str, ...] | None = None
    conventions: Mapping[str, Any] = field(default_factory=dict)
    grouped: bool = False
    dtypes: tuple[str, ...] = FLOATS
    examples: int = 40
