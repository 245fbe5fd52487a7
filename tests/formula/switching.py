"""Gradients, wrong and right, where a condition of the formula changes."""

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from formula.judging import decided
from formula.spelled import Spelled
from torch import Tensor

from harness.record import Status
from harness.verdict.job import list_jobs


@dataclass(frozen=True)
class Sample:
    """Code, its formula, and the domains of its inputs."""

    name: str
    formula: str
    function: Callable[..., Tensor]
    inputs: Mapping[str, str] = field(default_factory=dict)


_XY = {"x": "", "y": ""}

LAW, LOSSY = "gradient_at_switching_points", "gradient_beside_infinite_slopes"

SINC = "where(x == 0, 1, sin(x) / x)"
ENTROPY = "where(p > 0, -p * log(p), 0)"
QUOTIENT = "where(y == 0, 0, x / y)"
HUBER = "where(abs(x) <= 1, x * x / 2, abs(x) - 0.5)"
UNIT = "where(norm(x) == 0, 0, x / norm(x))"
GROWTH = "where(x == 0, 1, expm1(x) / x)"
ROOT = "where(x > 0, sqrt(x), 0)"
LOGARITHM = "where(x > 0, log1p(x) / x, 1)"


def _where(condition: Tensor, yes: Tensor | float, no: Tensor | float) -> Tensor:
    return torch.where(condition, yes, no)


def _safe(x: Tensor, unsafe: Tensor, instead: float) -> Tensor:
    return torch.where(unsafe, torch.full_like(x, instead), x)


def _root_of_squares(x: Tensor) -> Tensor:
    return (x * x).sum(-1, keepdim=True).sqrt()


def _unit_of_safe_rows(x: Tensor) -> Tensor:
    empty = (x == 0).all(-1, keepdim=True)
    safe = _safe(x, empty.expand_as(x), 1.0)
    return _where(empty, 0.0, safe / torch.linalg.vector_norm(safe, dim=-1, keepdim=True))


def _sinc_twice(x: Tensor) -> Tensor:
    safe = _safe(x, x == 0, 1.0)
    return _where(x == 0, 1.0, safe.sin() / safe)


def _quotient_twice(x: Tensor, y: Tensor) -> Tensor:
    return _where(y == 0, 0.0, x / _safe(y, y == 0, 1.0))


def _growth_twice(x: Tensor) -> Tensor:
    safe = _safe(x, x == 0, 1.0)
    return _where(x == 0, 1.0, safe.expm1() / safe)


def _growth_with_its_slope(x: Tensor) -> Tensor:
    safe = _safe(x, x == 0, 1.0)
    return _where(x == 0, 1 + x / 2, safe.expm1() / safe)


def _root_twice(x: Tensor) -> Tensor:
    return _where(x > 0, _safe(x, x <= 0, 1.0).sqrt(), 0.0)


def _log_cosh(x: Tensor) -> Tensor:
    size = (x * x).sqrt()
    return size + torch.log1p((-2 * size).exp()) - math.log(2)


WRONG = (
    Sample("sinc by where", SINC, lambda x: _where(x == 0, 1.0, x.sin() / x)),
    Sample("entropy by where", ENTROPY, lambda p: _where(p > 0, -p * p.log(), 0.0), {"p": "0..1"}),
    Sample("quotient by where", QUOTIENT, lambda x, y: _where(y == 0, 0.0, x / y), _XY),
    Sample(
        "huber by a root",
        "where(x * x <= 1, x * x / 2, abs(x) - 0.5)",
        lambda x: _where(x * x <= 1, x * x / 2, (x * x).sqrt() - 0.5),
    ),
    Sample("direction by where", UNIT, lambda x: _where(_root_of_squares(x) == 0, 0.0, x / _root_of_squares(x))),
    Sample("absolute value by a root", "abs(x)", lambda x: (x * x).sqrt()),
    Sample("absolute value by a quotient", "abs(x)", lambda x: _where(x == 0, 0.0, x * x / x.abs())),
    Sample("root by where", ROOT, lambda x: _where(x > 0, x.sqrt(), 0.0)),
    Sample("relative growth by where", GROWTH, lambda x: _where(x == 0, 1.0, x.expm1() / x)),
    Sample("relative growth with a constant at zero", GROWTH, _growth_twice),
    Sample("logarithm by where", LOGARITHM, lambda x: _where(x > 0, x.log1p() / x, 1.0)),
    Sample("distance by a root", "abs(x - y)", lambda x, y: ((x - y) ** 2).sqrt()),
    Sample("power by a logarithm", "x ** 2.5", lambda x: (2.5 * x.log()).exp(), {"x": "0..4"}),
    Sample("largest by a root", "max(x, y)", lambda x, y: (x + y + ((x - y) ** 2).sqrt()) / 2),
    Sample("log of a cosh by a root", "abs(x) + log1p(exp(-2 * abs(x))) - log(2)", _log_cosh),
)
"""Code whose gradient is NaN or wrong where a condition changes."""

RIGHT = (
    Sample("torch.sinc", "where(x == 0, 1, sin(pi * x) / (pi * x))", torch.sinc, {"x": "-8..8"}),
    Sample("sinc with a safe quotient", SINC, _sinc_twice, {"x": "-8..8"}),
    Sample("entr", ENTROPY, torch.special.entr, {"p": "0..1"}),
    Sample("quotient with a safe divisor", QUOTIENT, _quotient_twice, _XY),
    Sample("huber", HUBER, lambda x: F.huber_loss(x, torch.zeros_like(x), reduction="none")),
    Sample(
        "smooth_l1",
        "where(abs(x - y) < 1, (x - y) ** 2 / 2, abs(x - y) - 0.5)",
        lambda x, y: F.smooth_l1_loss(x, y, reduction="none"),
    ),
    Sample("relu", "max(x, 0)", torch.relu),
    Sample("relu by where", "max(x, 0)", lambda x: _where(x > 0, x, 0.0)),
    Sample("relu by maximum", "max(x, 0)", lambda x: torch.maximum(x, torch.zeros_like(x))),
    Sample("leaky relu as a sum", "where(x < 0, 0.01 * x, x)", lambda x: x.clamp(min=0) + 0.01 * x.clamp(max=0)),
    Sample("abs", "abs(x)", torch.abs),
    Sample("abs by maximum", "abs(x)", lambda x: torch.maximum(x, -x)),
    Sample("hardtanh", "min(max(x, -1), 1)", F.hardtanh),
    Sample("clamp", "min(max(x, -1), 1)", lambda x: x.clamp(-1, 1)),
    Sample("hardshrink", "where(abs(x) > 0.5, x, 0)", F.hardshrink),
    Sample("hardshrink of a tenth", "where(abs(x) > 0.1, x, 0)", lambda x: F.hardshrink(x, 0.1)),
    Sample("softshrink", "sign(x) * max(abs(x) - 0.5, 0)", F.softshrink),
    Sample("threshold", "where(x > 0.1, x, 20)", lambda x: F.threshold(x, 0.1, 20.0)),
    Sample(
        "selu",
        "1.0507009873554804934193349852946 * where(x < 0, 1.6732632423543772848170429916717 * expm1(x), x)",
        F.selu,
    ),
    Sample("largest entry", "max(x)", lambda x: x.amax(-1)),
    Sample("largest of two", "max(x, y)", torch.maximum),
    Sample("logaddexp", "max(x, y) + log1p(exp(-abs(x - y)))", torch.logaddexp),
    Sample("direction with a safe norm", UNIT, _unit_of_safe_rows),
    Sample("norm", "norm(x)", lambda x: torch.linalg.vector_norm(x, dim=-1)),
    Sample("sqrt", "sqrt(x)", torch.sqrt, {"x": "0..4"}),
    Sample("power with an infinite slope", "x ** (1 / 3)", lambda x: x ** (1 / 3), {"x": "0..4"}),
    Sample("power", "x ** 2.5", lambda x: x**2.5, {"x": "0..4"}),
    Sample("relative growth with its slope at zero", GROWTH, _growth_with_its_slope, {"x": "-8..8"}),
    Sample("root with a safe argument", ROOT, _root_twice),
    Sample("sign", "sign(x)", torch.sign),
    Sample("relu squared", "max(x, 0) ** 2", lambda x: torch.relu(x) ** 2),
    Sample("hinge", "max(0, 1 - x * y)", lambda x, y: (1 - x * y).clamp(min=0)),
)
"""Code whose gradient is right there, or whose true gradient is infinite."""


def broken(sample: Sample, dtype: str, law: str = "", *, lossy: bool = False) -> list[str]:
    """Return the laws about gradients that the code breaks; ``law`` selects those whose name begins so.

    With ``lossy``, laws of lost digits count, except the one that the backward pass of most libraries breaks.
    """
    statuses = {Status.BROKEN, Status.ERROR, *([Status.LOST] if lossy else [])}
    case = Spelled(sample.formula, inputs=sample.inputs).case(sample.function, sample.name)
    listed = [job for job in list_jobs([case], dtypes=[dtype]) if job.law.group == "gradient"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch warns about the deviation of one number
        verdicts = decided([job for job in listed if job.law.name.startswith(law)], examples=None)
    return [one.law for one in verdicts if one.status in statuses and "digits_not_lost" not in one.law]
