"""Private names of Hypothesis."""

from hypothesis.internal.conjecture import providers  # no setting to draw no constants of local modules
