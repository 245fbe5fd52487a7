"""Cross-entropy by index, which takes the logarithm of zero."""

from harness.course.exercise import Command, Exercise

EXERCISE = Exercise(
    number="6.3",
    title="Keep the logarithm of zero out of the cross-entropy",
    question="Cross-entropy by index is -log(y_hat[range(n), y]). What does it return if the model is very sure and "
    "wrong, so that the label's probability is rounded to 0?",
    start='''\
import torch


def softmax(X):
    X_exp = torch.exp(X - X.max(1, keepdim=True).values)
    return X_exp / X_exp.sum(1, keepdim=True)


def cross_entropy(logits, y):
    """Return the mean of -log(probability of the label) over the rows."""
    y_hat = softmax(logits)
    return -torch.log(y_hat[range(len(y_hat)), y]).mean()
''',
    solution='''\
import torch


def log_softmax(X):
    X = X - X.max(1, keepdim=True).values
    return X - torch.log(torch.exp(X).sum(1, keepdim=True))


def cross_entropy(logits, y):
    """Return the mean of -log(probability of the label) over the rows."""
    return -log_softmax(logits)[range(len(y)), y].mean()
''',
    hints=(
        "Print cross_entropy(torch.tensor([[0.0, 200.0]]), torch.tensor([0])). The exact loss is 200.",
        "log(exp(x) / s) = x - log(s). Written like this, no probability is computed, so none can be rounded to 0.",
        "Write log_softmax: shift by the maximum, then subtract the logarithm of the sum of exp. Take its entry at the "
        "label. An added constant such as log(p + 1e-8) only hides the problem.",
    ),
    learned="A probability below 1e-45 is 0 in float32, and its logarithm is -inf: one such row makes the mean "
    "infinite. Compute log(p) from the logits, not from p.",
    commands=(
        Command(
            "check {file}:cross_entropy --contract cross_entropy --dtypes float32 --law value "
            "--law finite_on_extreme_logits --law gradient"
        ),
    ),
)
