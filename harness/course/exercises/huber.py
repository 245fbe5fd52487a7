"""Huber's loss: squared error near zero, absolute error far away."""

from harness.course.exercise import Command, Exercise

EXERCISE = Exercise(
    number="4.1",
    title="Join squared and absolute error",
    question="Huber's loss is the squared error for small deviations and the absolute error for large ones. Which "
    "constant must be subtracted, so that both parts meet at a deviation of 1?",
    start='''\
import torch


def huber(y_hat, y):
    """Return (y_hat - y)^2 / 2 up to a deviation of 1, and beyond it a line with the same value and slope."""
    error = (y_hat - y).abs()
    return torch.where(error > 1, error, error**2 / 2)
''',
    solution='''\
import torch


def huber(y_hat, y):
    """Return (y_hat - y)^2 / 2 up to a deviation of 1, and beyond it a line with the same value and slope."""
    error = (y_hat - y).abs()
    return torch.where(error > 1, error - 0.5, error**2 / 2)
''',
    hints=(
        "Evaluate both parts at a deviation of 1.",
        "The parabola is 1/2 there, the line is 1. Their slopes agree: both are 1.",
        "The line is too high by 1/2: use error - 0.5.",
    ),
    learned="A loss in two parts needs equal values and slopes where they meet. torch.nn.HuberLoss is this function; "
    "outliers pull it with a force of at most 1.",
    commands=(
        Command(
            "check {file}:huber --formula 'where(abs(y_hat - y) > 1, abs(y_hat - y) - 0.5, (y_hat - y) ** 2 / 2)' "
            "--dtypes float32 --law value --law gradient"
        ),
    ),
)
