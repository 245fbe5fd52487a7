"""Likelihoods: minimising the squared error is maximising the Gaussian one, and not the two controls."""

from cases.likelihood import concise, scratch
from harness.case import Break, Case

_LAPLACE = "negative control: Laplace noise is fitted by least absolute deviations"
_HETEROSCEDASTIC = "negative control: the variance depends on the mean, so that rows are weighted"
_EQUIVALENCE = ("value", "gradient_is_scaled_squared_error", "gradients_agree_exactly", "least_squares_minimises")

CASES = [
    Case(scratch.gaussian_nll, "gaussian_nll"),
    Case(scratch.laplace_nll, "gaussian_nll", breaks=dict.fromkeys(_EQUIVALENCE, _LAPLACE)),
    Case(scratch.heteroscedastic_nll, "gaussian_nll", breaks=dict.fromkeys(_EQUIVALENCE, _HETEROSCEDASTIC)),
    Case(concise.gaussian_nll, "gaussian_nll"),
    Case(
        concise.normal_nll,
        "gaussian_nll",
        breaks={
            "value": "the constant ln(2 pi) / 2 is added and taken off again: digits below it are lost",
            "gradients_agree_exactly": Break(
                "the variance is rooted and squared again: sqrt(2)^2 is not 2 in these formats", ("float64", "float32")
            ),
        },
    ),
]
