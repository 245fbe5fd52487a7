"""Variance, layer normalisation and normalisation by the root mean square."""

from cases.normalization import concise, scratch
from harness.case import Break, Case

CASES = [
    Case(scratch.variance_of_squares, "variance"),
    Case(scratch.variance, "variance"),
    Case(scratch.unbiased_variance, "variance", declares={"correction": 1}),
    Case(concise.variance, "variance"),
    Case(concise.variance_with_mean, "variance"),
    Case(scratch.textbook_layer_norm, "layer_norm"),
    Case(scratch.layer_norm, "layer_norm"),
    Case(concise.layer_norm, "layer_norm"),
    Case(scratch.textbook_rms_norm, "rms_norm"),
    Case(scratch.rms_norm, "rms_norm"),
    Case(concise.rms_norm, "rms_norm"),
]
