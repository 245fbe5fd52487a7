"""Binary classification: the sigmoid, its logarithm, the softplus, and the cross-entropy of one logit."""

from cases.binary import concise, scratch
from harness.case import Break, Case

CASES = [
    Case(scratch.sigmoid, "sigmoid"),
    Case(scratch.stable_sigmoid, "sigmoid"),
    Case(concise.sigmoid, "sigmoid"),
    Case(scratch.softplus, "softplus"),
    Case(scratch.stable_softplus, "softplus"),
    Case(concise.softplus, "softplus"),
    Case(scratch.logsigmoid, "logsigmoid"),
    Case(scratch.stable_logsigmoid, "logsigmoid"),
    Case(concise.logsigmoid, "logsigmoid"),
    Case(scratch.binary_cross_entropy, "binary_cross_entropy_with_logits"),
    Case(scratch.cross_entropy_of_max, "binary_cross_entropy_with_logits"),
    Case(scratch.accurate_binary_cross_entropy, "binary_cross_entropy_with_logits"),
    Case(concise.binary_cross_entropy_with_logits, "binary_cross_entropy_with_logits"),
]
