"""Squared error is the likelihood of Gaussian noise, and not of Laplace noise."""

from harness.course.exercise import Answer, Command, Exercise

TARGETS = (1.0, 2.0, 3.0, 4.0, 40.0)


def _compute_best() -> dict[str, float]:
    import statistics

    return {"gaussian": statistics.mean(TARGETS), "laplace": statistics.median(TARGETS)}


EXERCISE = Exercise(
    number="2.1",
    title="Derive the loss from the noise",
    question="Why squared error? The negative log-likelihood of a target depends on the noise. Which loss belongs to "
    "Gaussian noise, and which one to Laplace noise?",
    start=f'''\
import math

# Predict one number for all of the targets {TARGETS}. Which number has the least loss?
BEST = {{
    "gaussian": ...,
    "laplace": ...,
}}


def gaussian_nll(y_hat, y):
    """Return -ln p(y), where y is y_hat plus Gaussian noise of variance 1."""
    return (y_hat - y) ** 2 / 2 + math.log(2 * math.pi) / 2


def laplace_nll(y_hat, y):
    """Return -ln p(y), where y is y_hat plus Laplace noise with the density exp(-|noise|) / 2."""
    return (y_hat - y) ** 2 / 2 + math.log(2 * math.pi) / 2
''',
    solution='''\
import math

BEST = {"gaussian": 10.0, "laplace": 3.0}


def gaussian_nll(y_hat, y):
    """Return -ln p(y), where y is y_hat plus Gaussian noise of variance 1."""
    return (y_hat - y) ** 2 / 2 + math.log(2 * math.pi) / 2


def laplace_nll(y_hat, y):
    """Return -ln p(y), where y is y_hat plus Laplace noise with the density exp(-|noise|) / 2."""
    return (y_hat - y).abs() + math.log(2)
''',
    hints=(
        "Take -ln of the density: the exponential disappears, and the factor in front of it becomes a constant.",
        "-ln(exp(-|y_hat - y|) / 2) = |y_hat - y| + ln(2).",
        "The sum of squares is least at the mean, the sum of absolute values at the median. laplace_nll must use "
        "(y_hat - y).abs() and not the square.",
    ),
    learned="Least squares is maximum likelihood if the noise is Gaussian. Laplace noise leads to the absolute error, "
    "whose best constant is the median: one outlier of 40 moves the mean to 10, and the median stays at 3.",
    commands=(
        Command(
            "check {file}:gaussian_nll --formula '(y_hat - y) ** 2 / 2 + log(2 * pi) / 2' --dtypes float32 "
            "--law value --law gradient"
        ),
        Command(
            "check {file}:laplace_nll --formula 'abs(y_hat - y) + log(2)' --dtypes float32 --law value --law gradient"
        ),
    ),
    answers=(Answer("BEST", _compute_best),),
)
