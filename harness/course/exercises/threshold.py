"""The threshold trap: a clamp keeps the loss finite, and stops learning."""

from harness.course.exercise import Answer, Command, Exercise

THRESHOLD = 1e-12


def _compute_largest_loss() -> float:
    import math

    return -math.log(THRESHOLD)


def _compute_gradient() -> float:
    """Return the slope of the clamped loss in float64, where the logits are 0 and 100."""
    import torch

    logits = torch.tensor([[0.0, 100.0]], dtype=torch.float64, requires_grad=True)
    (-logits.softmax(1).clamp(min=THRESHOLD).log()[0, 0]).backward()
    assert logits.grad is not None
    return float(logits.grad[0, 0])


EXERCISE = Exercise(
    number="6.4",
    title="Get out of the threshold trap",
    question="Many programs clamp the probability to at least 1e-12 before the logarithm. The loss is then finite. "
    "How large can it become, and how large is the gradient there?",
    start='''\
import torch

# Replace each ... by your answer. Three digits are enough.
LARGEST_LOSS = ...  # the largest loss that the function below can return
GRADIENT = ...  # its derivative in the first logit, if the logits are (0, 100) and the label is 0


def cross_entropy(logits, y):
    """Return the mean cross-entropy."""
    y_hat = torch.softmax(logits, dim=1).clamp(min=1e-12)
    return -torch.log(y_hat[range(len(y_hat)), y]).mean()
''',
    solution='''\
import torch

LARGEST_LOSS = 27.6
GRADIENT = 0.0


def cross_entropy(logits, y):
    """Return the mean cross-entropy."""
    return -torch.log_softmax(logits, dim=1)[range(len(y)), y].mean()
''',
    hints=(
        "The largest loss belongs to the smallest probability that clamp lets pass.",
        "Call backward() on the loss for logits = torch.tensor([[0.0, 100.0]], requires_grad=True) and y = "
        "torch.tensor([0]). What is logits.grad? The exact derivative is -1.",
        "The derivative of clamp is zero below the threshold, so such a row no longer changes the weights. Leave the "
        "clamp out and use torch.log_softmax.",
    ),
    learned="With a clamp at 1e-12 the loss stops at -ln(1e-12) = 27.63, and its gradient is zero: the rows that the "
    "model gets most wrong teach it nothing. log_softmax needs no threshold.",
    commands=(
        Command(
            "check {file}:cross_entropy --contract cross_entropy --dtypes float32 --law value "
            "--law finite_on_extreme_logits --law gradient"
        ),
    ),
    answers=(Answer("LARGEST_LOSS", _compute_largest_loss), Answer("GRADIENT", _compute_gradient)),
)
