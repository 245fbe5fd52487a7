"""The definitions of the operations, in the grammar of formulas, for the page.

A subscript such as ``[j]`` only shows over which entries a sum runs. A test compares each definition with the oracle of
its contract.
"""

from collections.abc import Sequence

from harness.record import Verdict

DEFINITIONS = {
    "add": "a + b",
    "binary_cross_entropy_with_logits": "mean(log(1 + exp(x)) - x * y)",
    "cross_entropy": "log(sum(exp(x[j]))) - x[t]",
    "entropy": "p = softmax(x); -sum(p[j] * log(p[j]))",
    "gaussian_nll": "mean(log(v) + (y - m) ** 2 / v) / 2",
    "kl_divergence": "sum(p[j] * (log(p[j]) - log_q[j]))",
    "kl_divergence_of_probabilities": "sum(p[j] * log(p[j] / q[j]))",
    "layer_norm": "(x[i] - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + eps)",
    "linear": "sum(x[j] * w[j]) + b",
    "log_softmax": "x[i] - log(sum(exp(x[j])))",
    "logaddexp": "log(exp(a) + exp(b))",
    "logsigmoid": "-log(1 + exp(-x))",
    "logsumexp": "log(sum(exp(x[j])))",
    "masked_softmax": "e = where(keep, exp(x), 0); e[i] / sum(e[j])",
    "nll_of_probabilities": "-log(p[t])",
    "rms_norm": "x[i] / sqrt(mean(x ** 2) + eps)",
    "sgd": "p - lr * g",
    "sigmoid": "1 / (1 + exp(-x))",
    "softmax": "exp(x[i]) / sum(exp(x[j]))",
    "softplus": "log(1 + exp(x))",
    "squared_error": "mean((a - b) ** 2)",
    "variance": "sum((x[i] - mean(x)) ** 2) / (count(x) - correction)",
}
"""Definitions by contract."""

_OF_A_FORMULA = "The output equals "
"""Beginning of the law of the value of a formula."""


def definition_of(verdicts: Sequence[Verdict]) -> str:
    """Return the definition of the operation that verdicts are about; empty if it has no formula."""
    if not verdicts:
        return ""
    statement = next((verdict.statement for verdict in verdicts if verdict.law == "value"), "")
    if statement.startswith(_OF_A_FORMULA):
        return statement.removeprefix(_OF_A_FORMULA).rstrip(".")
    return DEFINITIONS.get(verdicts[0].contract, "")
