"""A softmax that survives large logits."""

from harness.course.exercise import Command, Exercise

EXERCISE = Exercise(
    number="6.2",
    title="Write a softmax that survives large logits",
    question="The definition divides exp(x) by its row sum. What does it return for a logit of 100, and how can the "
    "result stay finite without a change of the function?",
    start='''\
import torch


def softmax(X):
    """Return exp(x) divided by its sum, for each row."""
    X_exp = torch.exp(X)
    partition = X_exp.sum(1, keepdim=True)
    return X_exp / partition
''',
    solution='''\
import torch


def softmax(X):
    """Return exp(x) divided by its sum, for each row."""
    X_exp = torch.exp(X - X.max(1, keepdim=True).values)
    partition = X_exp.sum(1, keepdim=True)
    return X_exp / partition
''',
    hints=(
        "Print softmax(torch.tensor([[100.0, 0.0]])). Which of the three lines makes the first inf?",
        "softmax(x) and softmax(x - c) are equal for every number c: exp(-c) cancels. Choose a c for each row such "
        "that no exponent is positive.",
        "Subtract X.max(1, keepdim=True).values from X before exp. Clamping X to 50 instead would also be finite, but "
        "it changes the result.",
    ),
    learned="softmax(x) = softmax(x - max(x)). After the shift, the largest exponent is 0, so exp cannot overflow and "
    "the sum is at least 1.",
    commands=(
        Command(
            "check {file}:softmax --contract softmax --dtypes float32 --law value --law rows_sum_to_one "
            "--law finite_on_extreme_logits --law gradient"
        ),
    ),
)
