"""Loops against vectorized code: the same values at different cost."""

from cases.vectorization import concise, scratch
from harness.case import Case

CASES = [
    Case(scratch.add, "add"),
    Case(scratch.linear, "linear"),
    Case(concise.add, "add"),
    Case(concise.linear, "linear"),
]
