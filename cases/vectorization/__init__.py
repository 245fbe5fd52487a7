"""Loops against vectorised code: the same values, at another price."""

from cases.vectorization import concise, scratch
from harness.case import Case

CASES = [
    Case(scratch.add, "add"),
    Case(scratch.linear, "linear", breaks={"any_rank": "the loop over the rows is one over the first axis"}),
    Case(concise.add, "add"),
    Case(concise.linear, "linear"),
]
