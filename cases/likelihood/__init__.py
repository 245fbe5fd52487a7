"""Likelihoods: minimizing the squared error maximizes the Gaussian likelihood, but not the three controls."""

from cases.likelihood import concise, scratch
from harness.case import Break, Case

_WIDE = ("float64", "float32", "bfloat16")
_LAPLACE = "negative control: Laplace noise is fitted by least absolute deviations"
_HETEROSCEDASTIC = "negative control: the variance depends on the mean, so rows are weighted"
_STUDENT = "negative control: Student's t noise has heavy tails, so large errors weigh less"
_FLOOR = Break("torch clamps the variance to at least 1e-6, which is below the normal numbers of float16", _WIDE)
_CONSTANT = "the constant ln(2 pi) / 2 is added and subtracted again: digits below it are lost"
_ANOTHER_LIKELIHOOD = (
    "value",
    "gradient",
    "gradient_in_variance",
    "second_derivative",
    "gradient_is_scaled_squared_error",
    "gradients_agree_exactly",
    "least_squares_minimises",
    "value_at_extreme_variances",
    "gradient_at_extreme_variances",
    "infinite_errors",
    "value_on_long_rows",
)

CASES = [
    Case(scratch.gaussian_nll, "gaussian_nll"),
    Case(scratch.laplace_nll, "gaussian_nll", breaks=dict.fromkeys(_ANOTHER_LIKELIHOOD, _LAPLACE)),
    Case(scratch.student_nll, "gaussian_nll", breaks=dict.fromkeys(_ANOTHER_LIKELIHOOD, _STUDENT)),
    Case(scratch.heteroscedastic_nll, "gaussian_nll", breaks=dict.fromkeys(_ANOTHER_LIKELIHOOD, _HETEROSCEDASTIC)),
    Case(
        concise.gaussian_nll,
        "gaussian_nll",
        breaks={"value_at_extreme_variances": _FLOOR, "gradient_at_extreme_variances": _FLOOR},
    ),
    Case(
        concise.normal_nll,
        "gaussian_nll",
        breaks={
            "value": _CONSTANT,
            "value_at_extreme_variances": Break(_CONSTANT, ("float16",)),
        },
    ),
]
