"""Formulas of hand-written contracts, so that each wrong implementation can be judged by its formula alone.

Some contracts have no formula: counting hits, training, loading, and steps with a state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from harness.api import formula_contract
from harness.case import Case

Implementation = Callable[..., Any]


@dataclass(frozen=True)
class Spelled:
    """One formula, with the arguments of ``harness.check``.

    A convention such as ``eps`` is named in braces, and ``conventions`` has its default. ``call`` adapts an
    implementation that takes other arguments, or that returns one value for all rows.
    """

    formula: str
    form: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    over: str = "rows"
    call: Callable[..., Any] = lambda f, *inputs: f(*inputs)
    conventions: Mapping[str, Any] = field(default_factory=dict)

    def case(self, function: Implementation, name: str, declares: Mapping[str, Any] | None = None) -> Case:
        """Return a case that claims this formula."""
        chosen = {**self.conventions, **(declares or {})}
        formula, form = (text and text.format_map(chosen) for text in (self.formula, self.form))
        contract = formula_contract(None, formula, form, self.inputs, self.over) or ""
        return Case(function, contract, name=name, call=self.call)


def row_by_row(f: Implementation, *rows: Tensor) -> Tensor:
    """Apply a function that reduces all rows to one number to each row."""
    return torch.stack([f(*(x[at : at + 1] for x in rows)).reshape(()) for at in range(len(rows[0]))])


KEPT = "m = stop(max(where(keep, x, min(x)))); z = where(keep, x, m)"

SPELLED = {
    "add": Spelled("a + b"),
    "binary_cross_entropy_with_logits": Spelled(
        "mean(log(1 + exp(x)) - x * y)",
        "mean((1 - y) * x + softplus(-x))",
        {"x": "", "y": "unit constant"},
        over="all",
    ),
    "cross_entropy": Spelled("-log_softmax(x)[t]", inputs={"x": "", "t": "index"}, call=row_by_row),
    "entropy": Spelled("y = log_softmax(x); -sum(where(exp(y) > 0, exp(y) * y, 0))"),
    "gaussian_nll": Spelled(
        "mean((log(v) + (y - m) ** 2 / v) / 2)", inputs={"m": "", "y": "", "v": "positive"}, over="all"
    ),
    "kl_divergence": Spelled("sum(where(p > 0, p * (log(p) - log_q), 0))", inputs={"log_q": "", "p": "distribution"}),
    "kl_divergence_of_probabilities": Spelled(
        "sum(where(p > 0, p * log(p / q), 0))", inputs={"p": "distribution", "q": "distribution"}
    ),
    "layer_norm": Spelled("d = x - mean(x); d / sqrt(mean(d ** 2) + {eps})", conventions={"eps": 1e-5}),
    "linear": Spelled("dot(x, w) + b", inputs={"x": "", "w": "", "b": "per_row"}, call=row_by_row),
    "log_softmax": Spelled("log_softmax(x)"),
    "logaddexp": Spelled("log(exp(a) + exp(b))", "max(a, b) + log(1 + exp(-abs(a - b)))"),
    "logsigmoid": Spelled("-log(1 + exp(-x))", "-softplus(-x)"),
    "logsumexp": Spelled("logsumexp(x)"),
    "masked_softmax": Spelled(
        "e = where(keep, exp(x), 0); e / sum(e)",
        f"{KEPT}; e = where(keep, exp(z - m), 0); e / sum(e)",
        {"x": "", "keep": "mask"},
    ),
    "nll_of_probabilities": Spelled("-log(p)[t]", inputs={"p": "distribution", "t": "index"}, call=row_by_row),
    "rms_norm": Spelled("x / sqrt(mean(x * x) + {eps})", conventions={"eps": 1e-5}),
    "sgd": Spelled("p - 0.125 * g", call=lambda f, p, g: f(p, g, 0.125)),
    "sigmoid": Spelled("1 / (1 + exp(-x))"),
    "softmax": Spelled("softmax(x)"),
    "softplus": Spelled("log(1 + exp(x))", "softplus(x)"),
    "squared_error": Spelled("mean((a - b) ** 2)", over="all"),
    "variance": Spelled("sum((x - mean(x)) ** 2) / (count(x) - {correction})", conventions={"correction": 0}),
}
"""Formulas by the name of their contract."""


APART = {
    ("kl_divergence_of_probabilities", "normalised"): Spelled(
        "s = p / sum(p); r = q / sum(q); sum(where(p > 0, s * log(s / r), 0))",
        inputs={"p": "distribution", "q": "distribution"},
    ),
    ("rms_norm", "floor"): Spelled("x / max(sqrt(mean(x * x)), {floor})"),
    ("rms_norm", "norm_floor"): Spelled("x / max(sqrt(mean(x * x)), {norm_floor} / sqrt(count(x)))"),
}
"""Formulas by contract and declared convention, if the convention changes the formula."""


def formula_of(contract: str, declares: Mapping[str, Any]) -> Spelled | None:
    """Return the formula of a contract with some declared conventions; ``None`` if it has no formula."""
    return next((APART[contract, name] for name in declares if (contract, name) in APART), SPELLED.get(contract))
