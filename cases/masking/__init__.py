"""The softmax under a mask."""

from cases.masking import concise, scratch
from harness.case import Case

CASES = [
    Case(scratch.masked_afterwards, "masked_softmax"),
    Case(scratch.renormalised, "masked_softmax"),
    Case(scratch.additive, "masked_softmax"),
    Case(concise.filled_with_the_lowest, "masked_softmax", declares={"fully_masked": "uniform"}),
    Case(scratch.masked_softmax, "masked_softmax", declares={"fully_masked": "zeros"}),
    Case(concise.torch_masked, "masked_softmax"),
    Case(concise.masked_softmax, "masked_softmax"),
]
