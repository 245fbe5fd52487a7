"""Controls: implementations on which no law may break.

*Rounded* controls return the exact value and the exact gradients, each rounded once: nothing is more accurate in the
format. *Stable* controls are written in the dtype itself, as a careful engineer would.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.case import Case
from harness.floats import FORMATS, DoubleDouble, Format, confirming, round_to, ulp
from harness.verdict.job import Job, list_jobs

Exact = Callable[..., DoubleDouble]


@dataclass(frozen=True)
class Control:
    """The correctly rounded and the stable implementation of a contract, and the conventions that both follow."""

    contract: str
    rounded: Callable[..., Any]
    stable: Callable[..., Any]
    declares: Mapping[str, Any] = field(default_factory=dict)

    def cases(self) -> tuple[Case, Case]:
        """Both implementations as cases: ``rounded.softmax`` and ``stable.softmax``."""
        return (
            Case(self.rounded, self.contract, declares=self.declares, name=f"rounded.{self.contract}"),
            Case(self.stable, self.contract, declares=self.declares, name=f"stable.{self.contract}"),
        )

    def jobs(self, dtypes: Sequence[str] = ()) -> list[Job]:
        """Return the jobs for both implementations.

        The laws on a million values and on second derivatives are left to the stable one: rounding a million values
        takes minutes, and correctly rounded gradients are constants for autograd.
        """
        rounded, stable = (list_jobs([case], dtypes=dtypes, strict=True) for case in self.cases())
        return [*(job for job in rounded if job.law.name not in {"value_on_many_rows", "second_derivative"}), *stable]


def rounded(value: Exact, *pullbacks: Exact) -> Callable[..., Tensor]:
    """Return a correctly rounded implementation, from the exact value and the exact gradients in its first arguments.

    ``pullback(cotangent, *inputs)`` returns an exact gradient. There are none if no law needs a gradient.
    """

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            ctx.inputs = inputs
            return correctly_rounded(value, inputs, format_of(inputs))

        @staticmethod
        def backward(ctx: Any, cotangent: Tensor) -> Any:
            assert pullbacks
            inputs, format_ = (cotangent, *ctx.inputs), format_of(ctx.inputs)
            gradients = [
                correctly_rounded(pullback, inputs, format_) if needed else None
                for pullback, needed in zip(pullbacks, ctx.needs_input_grad, strict=False)
            ]
            return *gradients, *(None for _ in ctx.inputs[len(gradients) :])

    return lambda *inputs: Rounded.apply(*inputs)


def format_of(inputs: tuple[Any, ...]) -> Format:
    """The format of the first floating-point tensor."""
    first = next(x for x in inputs if isinstance(x, Tensor) and x.is_floating_point())
    return FORMATS[str(first.dtype).removeprefix("torch.")]


def correctly_rounded(exact: Exact, inputs: tuple[Any, ...], format_: Format) -> Tensor:
    """Round an exact result to nearest. The result is cached, because the laws of a contract draw the same examples."""
    question = Question(exact, format_, tuple(map(_content, inputs)), inputs)
    small = sum(x.numel() for x in inputs if isinstance(x, Tensor)) <= SMALL
    return _rounded(question).clone() if small else _rounded.__wrapped__(question)


SMALL = 2**12
"""Largest number of input entries for which the result is cached."""


@dataclass(frozen=True)
class Question:
    """An exact function, its inputs and a format; questions with equal contents are equal."""

    exact: Exact
    format: Format
    content: tuple[Any, ...]
    inputs: tuple[Any, ...] = field(compare=False)


def _content(value: Any) -> Any:
    """Return all that a result depends on: for a tensor its dtype, shape and bits."""
    if not isinstance(value, Tensor):
        return type(value), value
    dense = value.detach().clone(memory_format=torch.contiguous_format)
    return value.dtype, value.shape, dense.view(-1).view(torch.uint8).numpy().tobytes()


@lru_cache(maxsize=2**15)
def _rounded(question: Question) -> Tensor:
    """Round by ball arithmetic if the screen is too near to a tie (Ziv's strategy)."""
    screen = question.exact(*question.inputs)
    if not undecided(screen, question.format).any():
        return round_to(screen, question.format)
    with confirming():
        return round_to(question.exact(*question.inputs), question.format)


def undecided(screen: DoubleDouble, format_: Format) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return where the value is within the error of the screen from a midpoint between two floats."""
    with np.errstate(invalid="ignore", over="ignore"):
        scaled = screen.hi / ulp(screen, format_)
        distance = np.abs(scaled - np.floor(scaled) - 0.5 + screen.lo / ulp(screen, format_))
        return np.asarray(distance < 2.0**-20)


def scaled(cotangent: Tensor, gradient: DoubleDouble) -> DoubleDouble:
    """Multiply a gradient by a scalar cotangent, or by the cotangent of each row."""
    weight = cotangent.double().numpy()
    return gradient * (weight[..., None] if weight.ndim and weight.ndim < gradient.hi.ndim else weight)
