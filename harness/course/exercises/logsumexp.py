"""The logarithm of a sum of exponentials, without overflow and without underflow."""

from harness.course.exercise import Answer, Command, Exercise


def _compute_lost_from() -> float:
    import math

    from harness.floats import FORMATS

    return -math.log(FORMATS["float32"].u)


EXERCISE = Exercise(
    number="7.1",
    title="Derive and measure LogSumExp",
    question="ln(sum(exp(x))) overflows for large x and is -inf for very negative x. Which identity avoids both?",
    start='''\
import torch

# From which t on is 1 + exp(-t) equal to 1 in float32? Three digits are enough.
TERM_IS_LOST_FROM = ...


def logsumexp(x):
    """Return ln(sum(exp(x))) along the last axis."""
    return torch.log(torch.exp(x).sum(-1))
''',
    solution='''\
import torch

TERM_IS_LOST_FROM = 16.6


def logsumexp(x):
    """Return ln(sum(exp(x))) along the last axis."""
    largest = x.max(-1, keepdim=True).values
    return torch.log(torch.exp(x - largest).sum(-1)) + largest.squeeze(-1)
''',
    hints=(
        "Print logsumexp(torch.tensor([100.0, 100.0])) and of [-200.0, -200.0]. The exact results are 100.69 and "
        "-199.31.",
        "ln(sum(exp(x))) = c + ln(sum(exp(x - c))) for every c. With c = max(x), one term of the sum is exactly 1.",
        "Half a unit in the last place of 1 is 2**-24 in float32: solve exp(-t) = 2**-24. In the function, subtract "
        "x.max(-1, keepdim=True).values before exp, and add it after log.",
    ),
    learned="ln(sum(exp(x))) = max(x) + ln(sum(exp(x - max(x)))). The sum is between 1 and the number of terms, so it "
    "neither overflows nor vanishes. Terms more than 16.6 below the maximum do not change a float32 sum.",
    commands=(
        Command(
            "check {file}:logsumexp --contract logsumexp --dtypes float32 --law value --law finite_on_extreme_logits "
            "--law at_least_the_maximum --law gradient"
        ),
    ),
    answers=(Answer("TERM_IS_LOST_FROM", _compute_lost_from),),
)
