"""The instrument does not cry wolf: a correctly rounded implementation passes every law, in every dtype.

Its values and gradients are the oracle's, rounded once; nothing can be more accurate in the format.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts import arithmetic, cross_entropy, likelihood, log_softmax, nll_of_probabilities, optimizer
from harness.contracts import softmax as softmax_contract
from harness.contracts import squared_error as squared_error_contract
from harness.double_double import DoubleDouble
from harness.record import Status
from harness.verdict import Job, decide, jobs


def rounded(
    value: Callable[..., DoubleDouble], pullback: Callable[..., DoubleDouble] | None = None
) -> Callable[..., Tensor]:
    """Make an implementation of an oracle's value and of the gradient in its first argument.

    ``pullback`` is given the output's cotangent and the inputs.
    """

    class Rounded(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *inputs: Any) -> Tensor:
            ctx.inputs = inputs
            return to_format(value(*inputs), inputs[0])

        @staticmethod
        def backward(ctx: Any, cotangent: Tensor) -> Any:
            assert pullback is not None
            gradient = to_format(pullback(cotangent, *ctx.inputs), ctx.inputs[0])
            return gradient, *(None for _ in ctx.inputs[1:])

    return lambda *inputs: Rounded.apply(*inputs)  # type: ignore[no-untyped-call]


def to_format(exact: DoubleDouble, like: Tensor) -> Tensor:
    """Round to the dtype of a tensor."""
    return torch.from_numpy(np.array(exact.hi)).to(like.dtype)


def scaled(cotangent: Tensor, gradient: DoubleDouble) -> DoubleDouble:
    """Multiply a gradient by the cotangent of a scalar, or of each row."""
    weight = cotangent.double().numpy()
    return gradient * (weight[..., None] if weight.ndim and weight.ndim < gradient.hi.ndim else weight)


CONTROLS = {
    "softmax": rounded(softmax_contract.softmax_oracle, lambda v, x: softmax_contract.softmax_pullback(x, v)),
    "log_softmax": rounded(log_softmax.log_softmax_oracle, lambda v, x: log_softmax.log_softmax_pullback(x, v)),
    "cross_entropy": rounded(
        lambda x, t: cross_entropy.loss_oracle(x, t, "mean"),
        lambda v, x, t: scaled(v, cross_entropy.gradient_oracle(x, t, "mean")),
    ),
    "nll_of_probabilities": rounded(
        nll_of_probabilities.value_oracle, lambda v, p, t: scaled(v, nll_of_probabilities.gradient_oracle(p, t))
    ),
    "squared_error": rounded(
        lambda a, b: squared_error_contract.value_oracle(a, b, 1.0, "mean"),
        lambda v, a, b: scaled(v, squared_error_contract.gradient_oracle(a, b, 1.0, "mean")),
    ),
    "gaussian_nll": rounded(
        lambda m, y, s: likelihood.value_oracle(m, y, s, "mean"),
        lambda v, m, y, s: scaled(v, likelihood.gradient_oracle(m, y, s, "mean")),
    ),
    "add": rounded(arithmetic.sum_oracle),
    "linear": rounded(arithmetic.linear_oracle),
    "sgd": rounded(optimizer.sgd_oracle),
}
JOBS = [job for name, control in CONTROLS.items() for job in jobs([Case(control, name, name=f"rounded.{name}")])]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.contract.name}-{job.law.name}-{job.format.name}")
def test_a_correctly_rounded_implementation_keeps_the_law(job: Job) -> None:
    """Value, algebra, gradient and equivalence alike."""
    verdict = decide(job, examples=12)
    assert verdict.status is Status.HOLDS, verdict.reason or verdict.violation
    assert verdict.rows > 0
