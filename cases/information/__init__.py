"""Entropy and divergence: the definitions, where they fail, and what torch does."""

from cases.information import concise, scratch
from harness.case import Break, Case

CASES = [
    Case(scratch.entropy, "entropy"),
    Case(concise.entropy, "entropy"),
    Case(concise.entropy_of_log_softmax, "entropy"),
    Case(scratch.accurate_entropy, "entropy"),
    Case(scratch.kl_divergence, "kl_divergence"),
    Case(concise.kl_divergence_of_categoricals, "kl_divergence"),
    Case(concise.kl_divergence, "kl_divergence"),
    Case(scratch.accurate_kl_divergence, "kl_divergence"),
]
