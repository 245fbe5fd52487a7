"""``python -m formula.oracles`` in tests/: compare oracles derived from formulas with hand-written oracles.

For each contract that the grammar can express, it measures five things. The first is the speed of both screens, in
float32 and float64, on ordinary rows of eight columns and on rows that the contract draws. The second is the largest
error of each oracle relative to balls. The others are the number of elements that the formula leaves to balls, and the
agreement at infinite inputs. It prints the table of ``docs/hand-written-oracles.md``, in seconds of CPU time.
"""

import sys
import time
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
import typer
from torch import Tensor

from harness.contracts import (
    binary_cross_entropy,
    contract_named,
    entropy,
    kl_divergence,
    kl_divergence_of_probabilities,
    layer_norm,
    log_softmax,
    logaddexp,
    rms_norm,
    variance,
)
from harness.contracts.building_blocks import exponential_sums, logistic_function
from harness.floats import FORMATS, DoubleDouble, Oracle, to_array
from harness.floats.oracle import confirming
from harness.formula.grammar import parse
from harness.formula.model import Model
from harness.formula.quantity import ENOUGH_NARROW, ENOUGH_WIDE, Quantity
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
    "squared_error": "formula(a, b): mean((a - b) ** 2)",
    "kl_divergence": "formula(log_q, p: distribution): sum(where(p > 0, p * (log(p) - log_q), 0))",
    "kl_divergence_of_probabilities": (
        "formula(p: distribution, q: distribution): sum(where(p > 0, p * log(p / q), 0))"
    ),
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
        Beside("kl_divergence", kl_divergence.value_oracle, ("log_q", "p")),
        Beside("kl_divergence_of_probabilities", kl_divergence_of_probabilities.value_oracle, ("p", "q")),
        Beside(WITH_LOGITS, binary_cross_entropy.loss_oracle, ("logits", "targets"), None, ("none",)),
        Beside("variance", variance.variance_oracle, x[:1], None, (0,)),
        Beside("variance", variance.variance_pullback, x, "x", (0,)),
        Beside("rms_norm", rms_norm.rms_norm_oracle, x[:1], None, (1e-5,)),
        Beside("rms_norm", rms_norm.rms_norm_pullback, x, "x", (1e-5,)),
        Beside("layer_norm", layer_norm.layer_norm_oracle, x[:1], None, (1e-5,)),
        Beside("layer_norm", layer_norm.layer_norm_pullback, x, "x", (1e-5,)),
    ]


def _first(pair: DoubleDouble) -> DoubleDouble:
    return DoubleDouble(pair.hi[..., 0], pair.lo[..., 0])


BESIDE = _beside()
"""The quantities that have both oracles."""

DTYPES = ("float32", "float64")

ENOUGH_S = 0.2


class Row(NamedTuple):
    """Speed ratios, largest relative errors, share left to balls, and whether infinities agree."""

    in_float32: float
    in_float64: float
    drawn: float
    error_by_hand: float
    error_by_formula: float
    undecided: float
    at_infinities: bool


def measured(beside: Beside) -> Row:
    """Measure a pair of oracles."""
    contract, of = contract_named(beside.contract), beside.quantity
    ordinary, seconds = [], np.zeros(2)
    for dtype in DTYPES:
        drawn_once = _ordinary(contract, beside.reads, FORMATS[dtype].dtype)
        ordinary.append(float(np.divide(*_seconds(beside, of, [drawn_once]))))
        seconds += _seconds(beside, of, _drawn(beside, dtype))
    errors = [error(beside, dtype) for dtype in DTYPES]
    shares = [undecided(beside, dtype) for dtype in DTYPES]
    (wide, narrow), (by_hand, by_formula) = ordinary, np.max(errors, axis=0)
    drawn = seconds[0] / seconds[1]
    return Row(wide, narrow, drawn, by_hand, by_formula, max(shares), at_infinities(beside))


def error(beside: Beside, dtype: str, examples: int = 6, rows: int = 24) -> tuple[float, float]:
    """Return the largest relative errors of both screens, where the exact value is a number."""
    format_, of, worst = FORMATS[dtype], beside.quantity, [0.0, 0.0]
    for given in _drawn(beside, dtype, examples=examples):
        some = [one[:rows] for one in given]
        with confirming():
            exact = beside.by_hand(*some, *beside.declared)
        seen = np.isfinite(exact.hi) & (np.abs(exact.hi) > format_.smallest)
        for at, answer in enumerate((beside.by_hand(*some, *beside.declared), of.oracle(*some))):
            with np.errstate(all="ignore"):
                off = np.abs((answer.hi - exact.hi) + (answer.lo - exact.lo)) / np.abs(exact.hi)
            worst[at] = max(worst[at], float(np.nan_to_num(off[seen], nan=np.inf).max(initial=0.0)))
    return worst[0], worst[1]


def undecided(beside: Beside, dtype: str) -> float:
    """Return the share of elements that neither float64 nor double-double arithmetic decides."""
    wide, of = dtype == "float64", beside.quantity
    left = total = 0
    for given in _drawn(beside, dtype):
        environment = of.environment([to_array(one) for one in given])
        value, off = of.enclose(environment, of._shape(environment), in_pairs=True)
        enough = (ENOUGH_WIDE if wide else ENOUGH_NARROW) * np.abs(value.hi)
        left += int((~(off <= np.maximum(enough, 2.0**-1073 if wide else 2.0**-190))).sum())
        total += off.size
    return left / total


def at_infinities(beside: Beside) -> bool:
    """Return whether both oracles agree at infinities, where the hand-written oracle has a value.

    One input is infinite, or all are.
    """
    given = _ordinary(contract_named(beside.contract), beside.reads, torch.float32, rows=8)
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


def _drawn(beside: Beside, dtype: str, examples: int = 6) -> list[list[Tensor]]:
    inputs = contract_named(beside.contract).inputs
    several = draw_examples(inputs, FORMATS[dtype], examples=examples, seed=3)
    return [[example[name] for name in beside.reads] for example, _ in several]


def _ordinary(contract: Any, reads: tuple[str, ...], dtype: torch.dtype, rows: int = 4096) -> list[Tensor]:
    generator = torch.Generator().manual_seed(8)
    made = []
    for name in reads:
        two = len(contract.axes[name].names) > 1
        x = torch.randn((rows, 8) if two else (rows,), generator=generator, dtype=torch.float64)
        if name in {"p", "q"}:
            x = torch.softmax(x, -1)
        made.append((x.sigmoid() if name == "targets" else x).to(dtype))
    return made


def _seconds(beside: Beside, of: Quantity, given: list[list[Tensor]]) -> tuple[float, float]:
    """Return the CPU seconds of both for the same rows, in turns."""
    spent = [0.0, 0.0]
    while min(spent) < ENOUGH_S:
        for at in range(2):
            started = time.process_time()
            for one in given:
                beside.by_hand(*one, *beside.declared) if at == 0 else of.oracle(*one)
            spent[at] += time.process_time() - started
    return spent[0], spent[1]


HEADER = (
    "| oracle | float32 | float64 | contract inputs | error, hand-written | error, formula | to balls | infinities |",
    "|---|--:|--:|--:|--:|--:|--:|---|",
)


INFINITIES = {True: "same", False: "different"}


def line(beside: Beside, row: Row) -> str:
    """Return a line of the table."""
    hand, formula = (f"2^{np.ceil(np.log2(x)):.0f}" if x else "0" for x in (row.error_by_hand, row.error_by_formula))
    speeds = " | ".join(f"{x:.2f}" for x in row[:3])
    return f"| {beside.name} | {speeds} | {hand} | {formula} | {row.undecided:.0%} | {INFINITIES[row.at_infinities]} |"


def main(*names: str) -> None:
    """Print the table, or the lines of the named oracles."""
    for text in HEADER:
        typer.echo(text)
    for beside in BESIDE:
        if not names or beside.contract in names:
            typer.echo(line(beside, measured(beside)))


if __name__ == "__main__":
    main(*sys.argv[1:])
