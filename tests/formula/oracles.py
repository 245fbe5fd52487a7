"""Hand-written oracles beside oracles derived from formulas, for every contract that the grammar can express.

``docs/hand-written-oracles.md`` has a row for each pair.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.contracts import (
    binary_cross_entropy,
    contract_named,
    entropy,
    layer_norm,
    log_softmax,
    logaddexp,
    rms_norm,
    variance,
)
from harness.contracts.building_blocks import exponential_sums, logistic_function
from harness.floats import FORMATS, DoubleDouble, Oracle
from harness.floats.oracle import confirming
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.quantity import Quantity
from harness.formula.spelling import spelling
from harness.verdict.draw import draw_examples

FORMULAS = {
    "softmax": "formula(logits): exp(logits) / sum(exp(logits)) | softmax(logits)",
    "log_softmax": "formula(logits): logits - log(sum(exp(logits))) | log_softmax(logits)",
    "logsumexp": "formula(logits): log(sum(exp(logits))) | logsumexp(logits)",
    "softplus": "formula(x): log(1 + exp(x)) | softplus(x)",
    "logsigmoid": "formula(x): -log(1 + exp(-x)) | -softplus(-x)",
    "sigmoid": "formula(x): 1 / (1 + exp(-x))",
    "logaddexp": "formula(a, b): log(exp(a) + exp(b)) | max(a, b) + log1p(exp(-abs(a - b)))",
    "rms_norm": "formula(x): x / sqrt(mean(x * x) + 0.00001)",
    "layer_norm": "formula(x): (x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + 0.00001)",
    "variance": "formula(x): mean((x - mean(x)) ** 2)",
    "entropy": "formula(logits): l = log_softmax(logits); -sum(exp(l) * l)",
}
"""Hand-written contracts as formulas, with the forms of their derivations."""

WITH_LOGITS = "binary_cross_entropy_with_logits"

FURTHER = {
    WITH_LOGITS: "formula(x, y: unit): log(1 + exp(x)) - x * y | (1 - y) * x + softplus(-x)",
}


@dataclass(frozen=True, eq=False)
class Beside:
    """A hand-written oracle and the formula of the same quantity.

    ``reads`` has the inputs of the contract in the order of the formula; for a gradient, the cotangent is last. ``of``
    is the input of the gradient, and absent for the value. ``declared`` has further arguments of the hand-written
    oracle.
    """

    contract: str
    by_hand: Oracle
    reads: tuple[str, ...]
    of: str | None = None
    declared: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """Name in the table."""
        return self.contract + (f", gradient in `{self.of}`" if self.of else "")

    @cached_property
    def quantity(self) -> Quantity:
        """The quantity of the formula."""
        text = {**FORMULAS, **FURTHER}[self.contract]
        model = Model(parse(spelling(text)))
        return model.value if self.of is None else model.gradients[self.of]


def _beside() -> list[Beside]:
    x, rows = ("x", "cotangent"), ("logits", "cotangent")
    logistic = logistic_function
    pairs = Oracle(
        lambda e, a, b, v: _first(logaddexp.gradient_oracle._screen(e, a, b)) * v,
        lambda a, b, v: logaddexp.gradient_oracle._exact(a, b)[..., 0] * v,
    )
    return [
        Beside("softmax", exponential_sums.softmax_oracle, rows[:1]),
        Beside("softmax", exponential_sums.softmax_pullback, rows, "logits"),
        Beside("log_softmax", exponential_sums.log_softmax_oracle, rows[:1]),
        Beside("log_softmax", log_softmax.log_softmax_pullback, rows, "logits"),
        Beside("logsumexp", exponential_sums.logsumexp_oracle, rows[:1]),
        Beside("sigmoid", logistic.sigmoid_oracle, x[:1]),
        Beside("sigmoid", logistic.sigmoid_pullback, x, "x"),
        Beside("softplus", logistic.softplus_oracle, x[:1]),
        Beside("softplus", logistic.softplus_pullback, x, "x"),
        Beside("logsigmoid", logistic.logsigmoid_oracle, x[:1]),
        Beside("logsigmoid", logistic.logsigmoid_pullback, x, "x"),
        Beside("logaddexp", logaddexp.logaddexp_oracle, ("a", "b")),
        Beside("logaddexp", pairs, ("a", "b", "cotangent"), "a"),
        Beside("entropy", entropy.entropy_oracle, rows[:1]),
        Beside("entropy", entropy.entropy_pullback, rows, "logits"),
        Beside(WITH_LOGITS, binary_cross_entropy.loss_oracle, ("logits", "targets"), None, ("none",)),
        Beside("variance", variance.variance_oracle, x[:1], None, (0,)),
        Beside("variance", variance.variance_pullback, x, "x", (0,)),
        Beside("rms_norm", rms_norm.rms_norm_oracle, x[:1], None, (1e-5, 0.0, 0.0)),
        Beside("rms_norm", rms_norm.rms_norm_pullback, x, "x", (1e-5, 0.0, 0.0)),
        Beside("layer_norm", layer_norm.layer_norm_oracle, x[:1], None, (1e-5,)),
        Beside("layer_norm", layer_norm.layer_norm_pullback, x, "x", (1e-5,)),
    ]


def _first(pair: DoubleDouble) -> DoubleDouble:
    return DoubleDouble(pair.hi[..., 0], pair.lo[..., 0])


BESIDE = _beside()
"""The quantities that have both oracles."""

INFINITIES = {True: "same", False: "different"}
"""How the table names whether both oracles agree at infinities."""


def error(beside: Beside) -> float:
    """Return the largest relative error of the formula's screen in float32, where the exact value is a number."""
    format_ = FORMATS["float32"]
    ((example, _),) = draw_examples(contract_named(beside.contract).inputs, format_, examples=1, seed=3)
    rows = [example[name][:4] for name in beside.reads]
    with confirming():
        exact = beside.by_hand(*rows, *beside.declared)
    answer = beside.quantity.oracle(*rows)
    seen = np.isfinite(exact.hi) & (np.abs(exact.hi) > format_.smallest)
    with np.errstate(all="ignore"):
        off = np.abs((answer.hi - exact.hi) + (answer.lo - exact.lo)) / np.abs(exact.hi)
    return float(np.nan_to_num(off[seen], nan=np.inf).max(initial=0.0))


def at_infinities(beside: Beside) -> bool:
    """Return whether both oracles agree at infinities, where the hand-written oracle has a value.

    One input is infinite, or all are.
    """
    given = _ordinary(contract_named(beside.contract), beside.reads, rows=8)
    numbers = [at for at, name in enumerate(beside.reads) if name not in {"cotangent", "p", "q", "targets"}]
    for infinity in (-np.inf, np.inf):
        for infinite in [*([at] for at in numbers), numbers]:
            some = [one.clone() for one in given]
            for at in infinite:
                some[at][(slice(None, None, 2), 0) if some[at].ndim > 1 else slice(None, None, 2)] = infinity
            with np.errstate(all="ignore"):
                by_hand, by_formula = beside.by_hand(*some, *beside.declared).hi, beside.quantity.oracle(*some).hi
            if not (np.isclose(by_hand, by_formula, rtol=2.0**-40, atol=0.0) | np.isnan(by_hand)).all():
                return False
    return True


def _ordinary(contract: Any, reads: tuple[str, ...], rows: int) -> list[Tensor]:
    """Return ordinary rows in float32."""
    generator = torch.Generator().manual_seed(8)
    made = []
    for name in reads:
        two = len(contract.axes[name].names) > 1
        x = torch.randn((rows, 8) if two else (rows,), generator=generator, dtype=torch.float64)
        if name in {"p", "q"}:
            x = torch.softmax(x, -1)
        made.append((x.sigmoid() if name == "targets" else x).float())
    return made
