"""Predictions in a column, targets in a row: a loss that broadcasts to a matrix."""

from harness.course.exercise import Answer, Command, Exercise


def _compute_shape() -> list[int]:
    import torch

    return list((torch.zeros(5, 1) - torch.zeros(5)).shape)


EXERCISE = Exercise(
    number="3.2",
    title="Subtract a column from a row",
    question="The linear model returns a column of predictions, of shape (n, 1). The targets have the shape (n,). What "
    "is the shape of their difference?",
    start='''\
SHAPE = ...  # the shape of y_hat - y, if y_hat has the shape (5, 1) and y the shape (5,)


def squared_loss(y_hat, y):
    """Return half the squared error of each row."""
    return (y_hat - y) ** 2 / 2
''',
    solution='''\
SHAPE = (5, 5)


def squared_loss(y_hat, y):
    """Return half the squared error of each row."""
    return (y_hat - y.reshape(y_hat.shape)) ** 2 / 2
''',
    hints=(
        "Print (torch.zeros(5, 1) - torch.zeros(5)).shape.",
        "Broadcasting repeats the column along the row and the row along the column: every prediction is compared with "
        "every target. The mean of that matrix is a number, so nothing fails.",
        "The mistake is the missing reshape. Use y.reshape(y_hat.shape) before the subtraction.",
    ),
    learned="(n, 1) minus (n,) is (n, n). The mean of it is a wrong loss that raises no error; reshape the targets to "
    "the shape of the predictions first.",
    commands=(
        Command(
            "check {file}:squared_loss --contract squared_error --declare factor=0.5 --dtypes float32 "
            "--call 'lambda f, prediction, target: f(prediction.reshape(-1, 1), target).mean()' "
            "--law value --law gradient"
        ),
    ),
    answers=(Answer("SHAPE", _compute_shape),),
)
