"""Limits of exp in each format; exp(50) overflows in one of them only."""

from harness.course.exercise import Answer, Exercise


def _overflows_from() -> dict[str, float]:
    from harness.floats import FORMATS

    return {name: FORMATS[name].log_max for name in ("float16", "bfloat16", "float32", "float64")}


def _underflows_below() -> dict[str, float]:
    from harness.floats import FORMATS

    return {name: FORMATS[name].log_smallest for name in ("float16", "float32", "float64")}


EXERCISE = Exercise(
    number="6.1",
    title="Find where exp overflows and underflows",
    question="Is exp(50) too large for a float32? In each format, at which input does exp become infinite, "
    "and below which input does it become zero?",
    start="""\
# Replace each ... by your answer. Three digits are enough.
# To try a number: python -c "import torch; print(torch.tensor(50.0, dtype=torch.float16).exp())"

# Is exp(50) finite? Answer True or False.
EXP_50_IS_FINITE = {
    "float16": ...,
    "bfloat16": ...,
    "float32": ...,
    "float64": ...,
}

# The input from which exp is inf.
OVERFLOWS_FROM = {
    "float16": ...,
    "bfloat16": ...,
    "float32": ...,
    "float64": ...,
}

# The input below which exp is 0; it is negative.
UNDERFLOWS_BELOW = {
    "float16": ...,
    "float32": ...,
    "float64": ...,
}
""",
    solution="""\
EXP_50_IS_FINITE = {"float16": False, "bfloat16": True, "float32": True, "float64": True}
OVERFLOWS_FROM = {"float16": 11.1, "bfloat16": 88.7, "float32": 88.7, "float64": 709.8}
UNDERFLOWS_BELOW = {"float16": -17.3, "float32": -104.0, "float64": -745.0}
""",
    hints=(
        "Try numbers: torch.tensor(20.0, dtype=torch.float16).exp() is inf, and of 10.0 it is not. Halve the interval.",
        "The largest number of a format is torch.finfo(torch.float32).max. exp(x) overflows once x exceeds its "
        "logarithm.",
        "The smallest positive number is 2**-24 in float16, 2**-149 in float32 and 2**-1074 in float64. exp(x) rounds "
        "to zero if it is below half of it: take the logarithm of 2**-25, 2**-150 and 2**-1075.",
    ),
    learned="exp(50) is 5.2e21: finite in float32, and infinite only in float16. exp overflows above ln(max), and "
    "becomes zero below ln(smallest / 2). bfloat16 has the range of float32, but fewer digits.",
    answers=(
        Answer("EXP_50_IS_FINITE", lambda: {name: limit > 50.0 for name, limit in _overflows_from().items()}),
        Answer("OVERFLOWS_FROM", _overflows_from),
        Answer("UNDERFLOWS_BELOW", _underflows_below),
    ),
)
