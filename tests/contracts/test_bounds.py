"""Sums in the worst order come near every bound that allows any order of addition, and stay below it.

A 1 followed by thousands of terms of just under half its ulp swallows each term: the error of the sum is nearly
``(n - 1) u``, the largest possible (Higham 2002, section 4.2). Torch adds in many lanes and never comes near.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor

from harness.case import Case
from harness.contracts.layer_norm import _GRADIENT, layer_norm_pullback
from harness.contracts.rms_norm import _typical_gradient_bound
from harness.floats import format_of
from harness.record import Status
from harness.verdict.decide import decide
from harness.verdict.job import list_jobs

N = 4_097
"""Number of terms, whose rounding errors exceed all other terms of a bound."""


def in_order(terms: Tensor) -> Tensor:
    """Add along the last axis in order, rounding each sum to the format."""
    return torch.from_numpy(np.add.accumulate(terms.numpy(), axis=-1)[..., -1])


def stalling(dtype: torch.dtype, share: float = 0.49) -> Tensor:
    """Return 1 and then terms that it swallows, each a little less than half its ulp: ``[1, n]``."""
    terms = torch.full((1, N), share * torch.finfo(dtype).eps, dtype=dtype)
    terms[0, 0] = 1.0
    return terms


def softmax(x: Tensor) -> Tensor:
    """Shift, exponentiate, divide."""
    e = (x - x.amax(-1, keepdim=True)).exp()
    return e / in_order(e)[..., None]


def logsumexp(x: Tensor) -> Tensor:
    """Shift, sum, shift back."""
    m = x.amax(-1, keepdim=True)
    return m[..., 0] + in_order((x - m).exp()).log()


def log_softmax(x: Tensor) -> Tensor:
    """The gap minus the logarithm of the sum."""
    gap = x - x.amax(-1, keepdim=True)
    return gap - in_order(gap.exp()).log()[..., None]


def cross_entropy(x: Tensor, labels: Tensor) -> Tensor:
    """The mean of minus the log-softmax at the label."""
    return -log_softmax(x).gather(-1, labels[:, None]).mean()


def entropy(x: Tensor) -> Tensor:
    """ln(1 + R) plus the mean gap, for rows whose first entry is the maximum."""
    gap = x[:, :1] - x[:, 1:]
    e = (-gap).exp()
    others = in_order(e)
    return torch.log1p(others) + in_order(e * gap) / (1 + others)


def kl_divergence(log_q: Tensor, p: Tensor) -> Tensor:
    """The sum of p (ln p - log_q)."""
    return in_order(p * (p.log() - log_q))


def linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Products, then their sum."""
    return in_order(X[:, None, :] * weight) + bias


def binary_cross_entropy(x: Tensor, y: Tensor) -> Tensor:
    """The mean of softplus(x) - x y."""
    return in_order(x.clamp_min(0) - x * y + torch.log1p(torch.exp(-x.abs()))) / x.shape[-1]


def squared_error(prediction: Tensor, target: Tensor) -> Tensor:
    """The mean of squares."""
    return in_order((prediction - target) ** 2) / prediction.shape[-1]


def gaussian_nll(mean: Tensor, target: Tensor, variance: Tensor) -> Tensor:
    """The mean of half of ln v + r."""
    return in_order(0.5 * (variance.log() + (target - mean) ** 2 / variance)) / mean.shape[-1]


def rms_norm(x: Tensor) -> Tensor:
    """Divide by the root of the mean square."""
    return x / torch.sqrt(in_order(x * x)[..., None] / x.shape[-1] + 1e-12)


class Worst(NamedTuple):
    """A sum in order, and inputs on which it stalls."""

    contract: str
    function: Callable[..., Any]
    inputs: Callable[[torch.dtype], dict[str, Any]]
    declares: dict[str, Any] = {}  # noqa: RUF012 - never changed
    law: str = "value"
    """The law with the sharper bound, if the bound of the value also admits another form."""


def _logits(dtype: torch.dtype) -> Tensor:
    return stalling(dtype).log()


def _two_ahead(dtype: torch.dtype) -> Tensor:
    """The other terms also stall among themselves, so that the errors of both sums do not cancel."""
    return torch.cat([torch.zeros((1, 1), dtype=dtype), stalling(dtype, 0.4).log() - 0.5], -1)


def _losses(dtype: torch.dtype) -> dict[str, Tensor]:
    """Inputs with a loss so large that the swallowed losses have small logits with a small error."""
    largest = 2.0**14
    x = torch.full((1, N), math.log(0.49 * torch.finfo(dtype).eps * largest), dtype=dtype)
    x[0, 0] = largest
    return {"logits": x, "targets": torch.zeros_like(x)}


def _divergence(dtype: torch.dtype) -> dict[str, Tensor]:
    """Return one term p ln(p / q), then many that it swallows."""
    p = stalling(dtype)
    return {"log_q": p.log() - 1.0, "p": p}


WORST = [
    Worst("softmax", softmax, lambda dtype: {"logits": _logits(dtype)}),
    Worst("logsumexp", logsumexp, lambda dtype: {"logits": _logits(dtype)}),
    Worst("log_softmax", log_softmax, lambda dtype: {"logits": _logits(dtype)}),
    Worst(
        "cross_entropy",
        cross_entropy,
        lambda dtype: {"logits": _logits(dtype)[None], "labels": torch.tensor([[0]])},
    ),
    Worst("entropy", entropy, lambda dtype: {"logits": _two_ahead(dtype)}, law="digits_not_lost"),
    Worst("kl_divergence", kl_divergence, _divergence),
    Worst(
        "linear",
        linear,
        lambda dtype: {
            "X": stalling(dtype),
            "weight": torch.ones((1, N), dtype=dtype),
            "bias": torch.zeros(1, dtype=dtype),
        },
    ),
    Worst("binary_cross_entropy_with_logits", binary_cross_entropy, _losses),
    Worst(
        "squared_error",
        squared_error,
        lambda dtype: {"prediction": stalling(dtype).sqrt(), "target": torch.zeros((1, N), dtype=dtype)},
    ),
    Worst(
        "gaussian_nll",
        gaussian_nll,
        lambda dtype: {
            "mean": stalling(dtype).sqrt(),
            "target": torch.zeros((1, N), dtype=dtype),
            "variance": torch.ones((1, N), dtype=dtype),
        },
    ),
    Worst("rms_norm", rms_norm, lambda dtype: {"x": stalling(dtype).sqrt()}, {"eps": 1e-12}),
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("worst", WORST, ids=lambda worst: worst.contract)
def test_a_sum_in_the_worst_order_comes_within_ten_of_the_bound(worst: Worst, dtype: str) -> None:
    """The error of the sum is between a tenth of the bound and the bound."""
    case = Case(worst.function, worst.contract, declares=worst.declares, name=f"in_order.{worst.contract}")
    (job,) = list_jobs([case], laws=[worst.law], dtypes=[dtype])
    measurement = job.subject.measure(job.law, worst.inputs(format_of(dtype).dtype))
    assert 0.1 <= measurement.ratio.max() <= 1.0


def decayed_by_a_factor(parameter: Tensor, gradients: Tensor, lr: float, momentum: float, decay: float, *_: Any) -> Any:
    """Applies the decay as one product per step, like optimizers with decoupled decay."""
    moved, buffer = parameter, torch.zeros_like(parameter)
    for gradient in gradients:
        buffer = momentum * buffer + gradient
        moved = moved * (1.0 - lr * decay) - lr * buffer
    return moved


def test_the_factor_of_a_decay_may_be_rounded() -> None:
    """The rounding adds half an ulp per step to the error of the product."""
    case = Case(decayed_by_a_factor, "sgd_with_momentum")
    for job in list_jobs([case], laws=["decay_shrinks_geometrically"]):
        assert decide(job, examples=8, corpora=()).status is Status.HOLDS


def test_a_cube_may_underflow_for_a_small_entry_next_to_a_large_one() -> None:
    """The smallest float64 times the small entry is zero, as in the cube of torch's root."""
    x = torch.tensor([[4e-12, -9.5778e107]], dtype=torch.float64, requires_grad=True)
    cotangent = torch.tensor([[0.0, 1.0]], dtype=torch.float64)
    bound = _typical_gradient_bound(x.detach().numpy(), cotangent.numpy(), 2.0**-52, 0.0, 0.0, format_of("float64"))
    (actual,) = torch.autograd.grad(torch.nn.functional.rms_norm(x, (2,)), x, cotangent)
    with mpmath.workdps(40):
        small, large = map(mpmath.mpf, x.detach()[0].tolist())
        root = mpmath.sqrt((small**2 + large**2) / 2 + mpmath.mpf(2) ** -52)
        off = abs(actual[0, 0].item() + small * large / root**3 / 2)
    assert 1e-228 < off <= bound[0, 0] < 1e-226


def test_a_cube_may_underflow_in_a_layer_norm() -> None:
    """In a row of 1e108, the cube of the reciprocal root underflows, and with it a term of the gradient."""
    x = torch.tensor([[4e107, -9.6e107, 1e108]], dtype=torch.float64, requires_grad=True)
    cotangent = torch.tensor([[0.0, 1.0, 0.5]], dtype=torch.float64)
    centred = x - x.mean(-1, keepdim=True)
    (actual,) = torch.autograd.grad(centred * (centred.square().mean(-1, keepdim=True) + 1e-5).rsqrt(), x, cotangent)
    exact = layer_norm_pullback(x.detach(), cotangent, 1e-5)
    with mpmath.workdps(40):
        row, weights = ([mpmath.mpf(number) for number in numbers[0].tolist()] for numbers in (x.detach(), cotangent))
        mean = sum(row) / 3
        root = mpmath.sqrt(sum((entry - mean) ** 2 for entry in row) / 3 + mpmath.mpf(1e-5))
        y = [(entry - mean) / root for entry in row]
        projected = sum(v * normal for v, normal in zip(weights, y, strict=True)) / 3
        true = [(v - sum(weights) / 3 - normal * projected) / root for v, normal in zip(weights, y, strict=True)]
        off = np.array([float(abs(entry - at)) for entry, at in zip(actual[0].tolist(), true, strict=True)])
    bound = _GRADIENT.error(x.detach(), cotangent, 1e-5, exact, format_of("float64"))[0]
    assert (off > 1e-110).all()
    assert (off <= bound).all()
