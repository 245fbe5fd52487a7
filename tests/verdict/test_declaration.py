"""Subnormal numbers are reported as flushed only if they are, not if numbers are rounded or floored."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

import harness

pytestmark = pytest.mark.judged

COSINE = "sum(a * b) / (sqrt(sum(a * a)) * sqrt(sum(b * b)))"
NORMALIZED = "x / sqrt(sum(x * x))"
ARTANH = "(log(1 + x) - log(1 - x)) / 2"
ENTROPY = "-sum(p * log(p))"


@dataclass(frozen=True)
class Form:
    """A function with its contract, or with a formula and inputs."""

    function: Callable[..., Tensor]
    contract: str | None = None
    formula: str | None = None
    inputs: Mapping[str, str] | None = None

    def said(self, dtype: str) -> str | None:
        """Return the reported treatment of subnormal numbers in a dtype."""
        facts: dict[str, Any] = {} if self.formula is None else {"formula": self.formula, "inputs": self.inputs}
        found = harness.check(
            self.function, self.contract, laws=["value"], dtypes=[dtype], examples=2, corpora=(), **facts
        )
        return next((one.value for one in found.properties if one.name == "subnormals"), None)


def flushed(x: Tensor) -> Tensor:
    """Return zero below the smallest normal number, like a processor that flushes."""
    return torch.where(x.abs() < torch.finfo(x.dtype).tiny, torch.zeros_like(x), x)


def _log_of_softmax(x: Tensor) -> Tensor:
    return x.softmax(-1).log()


def _floored_cosine(a: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(a, b, dim=-1, eps=1e-8)


def _floored(x: Tensor) -> Tensor:
    return torch.nn.functional.normalize(x, dim=-1, eps=1e-12)


def _difference_of_logs(x: Tensor) -> Tensor:
    return ((1.0 + x).log() - (1.0 - x).log()) / 2.0


def _clamped_artanh(x: Tensor) -> Tensor:
    x = x.clamp(-1.0 + 1e-7, 1.0 - 1e-7)
    return ((1.0 + x).log() - (1.0 - x).log()) / 2.0


def _added_entropy(p: Tensor) -> Tensor:
    return -(p * (p + 1e-12).log()).sum(-1)


def _moved(x: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt()


ROUNDED = {
    "log of softmax": Form(_log_of_softmax, "log_softmax"),
    "log of sigmoid": Form(lambda x: x.sigmoid().log(), "logsigmoid"),
    "log of one and an exponential": Form(lambda x: (1.0 + x.exp()).log(), "softplus"),
    "log of a sum": Form(lambda a, b: (a.exp() + b.exp()).log(), "logaddexp"),
    "cosine over a floor": Form(_floored_cosine, formula=COSINE, inputs={"a": "", "b": ""}),
    "norm over a floor": Form(_floored, formula=NORMALIZED, inputs={"x": ""}),
    "difference of logs": Form(_difference_of_logs, formula=ARTANH, inputs={"x": "-1..1"}),
    "clamped artanh": Form(_clamped_artanh, formula=ARTANH, inputs={"x": "-1..1"}),
    "entropy of what is added to": Form(_added_entropy, formula=ENTROPY, inputs={"p": "0..1"}),
    "floored square root": Form(lambda x: x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt(), "rms_norm"),
    "added to the variance": Form(_moved, "layer_norm"),
}
"""Functions that round to zero, or that limit numbers by a floor, far above subnormal numbers too."""

FLUSHED = {
    "log of sigmoid": Form(lambda x: flushed(torch.nn.functional.logsigmoid(flushed(x))), "logsigmoid"),
    "softplus": Form(lambda x: flushed(torch.nn.functional.softplus(flushed(x), threshold=1e4)), "softplus"),
    "norm": Form(
        lambda x: flushed(x) / flushed(flushed(flushed(x).square()).sum(-1, keepdim=True)).sqrt(),
        formula=NORMALIZED,
        inputs={"x": ""},
    ),
    "artanh": Form(lambda x: flushed(flushed(x).atanh()), formula=ARTANH, inputs={"x": "-1..1"}),
    "softmax": Form(lambda x: flushed(flushed(x).softmax(-1)), "softmax"),
}
"""Functions that flush."""

DTYPES = ("float64", "float32", "bfloat16", "float16")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ROUNDED)
def test_rounding_and_floors_are_no_flushing(name: str, dtype: str) -> None:
    """Normal numbers are lost too."""
    assert ROUNDED[name].said(dtype) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FLUSHED)
def test_flushing_is_said(name: str, dtype: str) -> None:
    """All dtypes are tested."""
    assert FLUSHED[name].said(dtype) == "flushed"
