"""Too many epochs: the loss on held-out data falls, then rises."""

from harness.course.exercise import Answer, Command, Exercise

DATA = """\
generator = torch.Generator().manual_seed(0)
X = torch.randn(60, 20, generator=generator, dtype=torch.float64)
noise = torch.randn(60, generator=generator, dtype=torch.float64)
y = (X[:, 0] - X[:, 1] + noise > 0).long()
data = (X[:30], y[:30], X[30:], y[30:])
"""

LOOP = '''\
def mean_loss(X, y, W, b):
    return -torch.log_softmax(X @ W + b, dim=1)[range(len(y)), y].mean()


def learning_curves(X, y, X_held_out, y_held_out, k, epochs, lr):
    """Return both losses before the first step and after each step."""
    W, b = X.new_zeros(X.shape[1], k), X.new_zeros(k)
    train, held_out = [], []
    for epoch in range(epochs + 1):
        train.append(mean_loss(X, y, W, b))
        held_out.append(mean_loss({held_out}, W, b))
        error = torch.softmax(X @ W + b, dim=1) - torch.eye(k, dtype=X.dtype)[y]
        W = W - lr * X.T @ error / len(X)
        b = b - lr * error.mean(0)
    return torch.stack(train), torch.stack(held_out)
'''

MAIN = """

if __name__ == "__main__":
    train, held_out = learning_curves(*data, 2, 200, 0.1)
    for epoch in range(0, 201, 10):
        print(f"epoch {epoch:3}: training {train[epoch]:.4f}, held out {held_out[epoch]:.4f}")
"""


def _best_epoch() -> int:
    """Return the epoch with the lowest held-out loss, from the solution."""
    names: dict[str, object] = {"__name__": "solution"}
    exec(EXERCISE.solution, names)  # noqa: S102 - our own text
    _, held_out = names["learning_curves"](*names["data"], 2, 200, 0.1)  # type: ignore[operator,misc]
    return int(held_out.argmin())


EXERCISE = Exercise(
    number="7.2",
    title="Stop after the right number of epochs",
    question="The training loss falls in every epoch. Does the loss on data that the model has not seen, and after how "
    "many epochs is it lowest?",
    start=f"""\
# To print both losses: python exercises/epochs.py
import torch

BEST_EPOCH = ...  # the epoch, up to 200, with the lowest held-out loss

{DATA}

{LOOP.format(held_out="X, y")}{MAIN}""",
    solution=f"""\
import torch

BEST_EPOCH = 24

{DATA}

{LOOP.format(held_out="X_held_out, y_held_out")}""",
    hints=(
        "Print the curves. If both are equal, one of them is computed from the wrong data.",
        "The held-out loss must use X_held_out and y_held_out. The model must not be trained on them.",
        "The mistake is in held_out.append: it uses X and y. Once it is repaired, the epoch is held_out.argmin().",
    ),
    learned="The training loss falls in every epoch, the held-out loss only up to a point: then the model learns the "
    "noise of its 30 rows. Stop at the lowest held-out loss.",
    commands=(Command("check {file}:learning_curves --contract learning_curves --dtypes float64"),),
    answers=(Answer("BEST_EPOCH", _best_epoch),),
)
