"""Drawn examples find bugs of real projects, with at most two rows and the mechanism named.

The failures of torch are found too, without a hint.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import harness
from harness.contracts import contract_named
from harness.record import Status, TensorText, Verdict

pytestmark = pytest.mark.judged


class Pattern(NamedTuple):
    """A bug, the law for its mechanism, and a word of the message."""

    name: str
    contract: str
    function: Callable[..., Any]
    law: str
    says: str
    dtype: str = "float32"


def picked(log_p: Tensor, labels: Tensor) -> Tensor:
    """Return the entries at the labels."""
    return -log_p[torch.arange(len(labels)), labels]


def narrow_linear(X: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Accumulates in the format itself."""
    Y = X.new_zeros(len(X), len(weight))
    for j in range(X.shape[1]):
        Y += X[:, j : j + 1] * weight[:, j]
    return Y + bias


def unshifted_logsumexp(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp().sum(-1).log()


def shifted_logsumexp(x: Tensor) -> Tensor:
    """A shift by -inf gives NaN."""
    m = x.amax(-1, keepdim=True)
    return m.squeeze(-1) + (x - m).exp().sum(-1).log()


def plain_entropy(x: Tensor) -> Tensor:
    """0 * -inf."""
    p = x.softmax(-1)
    return -(p * p.log()).sum(-1)


def plain_bce(x: Tensor, y: Tensor) -> Tensor:
    """0 * inf; before that, 1 - p loses its digits."""
    p = x.sigmoid()
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def momentum_steps(
    parameter: Tensor, gradients: Tensor, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> Tensor:
    """Steps one by one in the format itself."""
    optimiser = torch.optim.SGD(
        [parameter := parameter.clone()], lr, momentum, weight_decay=weight_decay, nesterov=nesterov
    )
    for gradient in gradients:
        parameter.grad = gradient
        optimiser.step()
    return parameter


def nominal_tail(X: Tensor, y: Tensor, batches: list[Tensor], lr: float, start: tuple[Tensor, Tensor]) -> Any:
    """Divides the last batch by the size of the first."""
    weight, bias = (part.clone() for part in start)
    for batch in batches:
        s = 2 * (X[batch] @ weight.T + bias - y[batch].unsqueeze(1)) / len(batches[0])
        weight, bias = weight - lr * s.T @ X[batch], bias - lr * s.sum(0)
    return weight, bias


PATTERNS = [
    Pattern("no shift", "softmax", lambda x: x.exp() / x.exp().sum(-1, keepdim=True), "value", "row maximum"),
    Pattern("no shift", "softmax", lambda x: x.exp() / x.exp().sum(-1, keepdim=True), "value", "exp", "float16"),
    Pattern("division-free", "softmax", lambda x: (x - x.logsumexp(-1, keepdim=True)).exp(), "value", "cancels"),
    Pattern("clipped exponent", "softmax", lambda x: x.clamp(-50, 50).softmax(-1), "shift_invariant", "offset"),
    Pattern("wrong axis", "softmax", lambda x: x.softmax(0), "rows_sum_to_one", "wrong axis"),
    Pattern("log of softmax", "log_softmax", lambda x: x.softmax(-1).log(), "finite_on_extreme_logits", "underflows"),
    Pattern("log of p + eps", "log_softmax", lambda x: (x.softmax(-1) + 1e-8).log(), "value", "epsilon"),
    Pattern("no shift", "logsumexp", unshifted_logsumexp, "value", "exp overflows"),
    Pattern("all masked", "logsumexp", shifted_logsumexp, "fully_masked_row", "infinity minus infinity"),
    Pattern(
        "log of p",
        "cross_entropy",
        lambda x, t: picked(x.softmax(-1).log(), t).mean(),
        "finite_on_extreme_logits",
        "underflows",
    ),
    Pattern(
        "clamped p",
        "cross_entropy",
        lambda x, t: picked(x.softmax(-1).clamp(1e-7, 1).log(), t).mean(),
        "gradient",
        "clamped probability",
    ),
    Pattern(
        "softmax twice",
        "cross_entropy",
        lambda x, t: F.cross_entropy(x.softmax(-1), t),
        "value",
        "softmax is applied twice",
    ),
    Pattern("log(1 - sigmoid)", "binary_cross_entropy_with_logits", plain_bce, "value", "log of a number near one"),
    Pattern("log(1 + exp)", "softplus", lambda x: (1 + x.exp()).log(), "value", "exp overflows"),
    Pattern("1 + exp is 1", "softplus", lambda x: (1 + x.exp()).log(), "tail_not_lost", "log1p"),
    Pattern("expanded square", "squared_error", lambda a, b: (a * a - 2 * a * b + b * b).mean(), "value", "cancels"),
    Pattern("broadcast", "squared_error", lambda a, b: ((a[:, None] - b) ** 2).mean(), "value", "broadcasts"),
    Pattern("p log p", "entropy", plain_entropy, "impossible_classes_are_ignored", "zero times infinity"),
    Pattern(
        "sigma for its square",
        "gaussian_nll",
        lambda m, y, v: (0.5 * (v.log() + (y - m) ** 2 / v.sqrt())).mean(),
        "value",
        "sigma",
    ),
    Pattern("narrow accumulator", "linear", narrow_linear, "value_on_long_rows", "long sum in bfloat16", "bfloat16"),
    Pattern(
        "lost update", "sgd_with_momentum", momentum_steps, "updates_accumulate", "long sum in bfloat16", "bfloat16"
    ),
    Pattern("nominal tail", "linear_regression", nominal_tail, "follows_gradient_descent", "nominal batch size"),
    Pattern("difference of squares", "variance", lambda x: (x * x).mean(-1) - x.mean(-1) ** 2, "value", "cancels"),
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda it: f"{it.contract}-{it.name}-{it.dtype}".replace(" ", "-"))
def test_a_known_bug_is_found_with_its_mechanism(pattern: Pattern) -> None:
    """The dtype is that of the bug report."""
    verdict = found(pattern.function, pattern.contract, pattern.law, pattern.dtype)
    assert verdict.violation is not None
    assert pattern.says in verdict.violation.cause
    assert most_rows(verdict) <= 2


def found(function: Callable[..., Any], contract: str, law: str, dtype: str) -> Verdict:
    """Return the verdict on a law that breaks or loses digits, from drawn examples only."""
    (verdict,) = harness.check(function, contract, laws=[law], dtypes=[dtype], corpora=())
    assert verdict.status in {Status.BROKEN, Status.LOST}
    return verdict


def most_rows(verdict: Verdict) -> int:
    """Return the number of rows in the largest input of the counterexample; a group counts as its rows."""
    assert verdict.violation is not None
    axes = contract_named(verdict.contract).axes
    rows = [1]
    for name, value in verdict.violation.example.items():
        if isinstance(value, TensorText) and name in axes:
            lengths = dict(zip(axes[name].names[-len(value.shape) :], value.shape, strict=True))
            rows.append(lengths.get("g", 1) * lengths.get("n", 1))
    return max(rows)


def values(verdict: Verdict, name: str) -> list[float]:
    """Return the elements of an input in the counterexample."""
    assert verdict.violation is not None
    tensor = verdict.violation.example[name]
    assert isinstance(tensor, TensorText)
    return [float.fromhex(value) for value in tensor.values]


def test_torchs_softplus_is_wrong_just_above_its_threshold() -> None:
    """Above 20 it returns x, which is half a million ulp off in float64."""
    verdict = found(F.softplus, "softplus", "value", "float64")
    (x,) = values(verdict, "x")
    assert verdict.violation is not None
    assert 20.0 < x < 36.8
    assert verdict.violation.deviation > 1e4 or x > 20.5


def test_torchs_log_softmax_overflows_over_many_classes_in_float16() -> None:
    """The exponentials of 65,520 nearly equal classes sum to infinity."""
    verdict = found(lambda x: F.log_softmax(x, -1), "log_softmax", "value_on_long_rows", "float16")
    assert verdict.violation is not None
    logits = verdict.violation.example["logits"]
    assert isinstance(logits, TensorText)
    assert logits.shape == (1, 65_520)
    assert verdict.violation.actual == -torch.inf


@pytest.mark.parametrize(("dtype", "gap"), [("float32", 16.63553), ("float64", 36.7368)])
def test_torchs_cross_entropy_loses_the_loss_from_the_closed_form_on(dtype: str, gap: float) -> None:
    """1 + exp(-gap) rounds to one from p ln 2."""
    verdict = found(F.cross_entropy, "cross_entropy", "loss_not_lost", dtype)
    logits = values(verdict, "logits")
    assert max(logits) - min(logits) == pytest.approx(gap, abs=0.7)
