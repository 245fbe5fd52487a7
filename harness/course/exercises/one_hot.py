"""One-hot labels, and the probability of the label by indexing."""

from harness.course.exercise import Answer, Command, Exercise

PROBABILITIES, LABELS = ((0.1, 0.3, 0.6), (0.3, 0.2, 0.5)), (0, 2)


def _pick_probabilities() -> list[float]:
    import torch

    picked = torch.tensor(PROBABILITIES, dtype=torch.float64)[[0, 1], LABELS]
    return [float(value) for value in picked]


EXERCISE = Exercise(
    number="5.1",
    title="Pick one entry of each row",
    question="A label is a row with a single 1. How do you set that entry, and how do you read the label's "
    "probability, with one index for each row?",
    start='''\
import torch

# y_hat = torch.tensor([[0.1, 0.3, 0.6], [0.3, 0.2, 0.5]]) and y = torch.tensor([0, 2])
PICKED = [..., ...]  # y_hat[[0, 1], y]


def one_hot(y, k):
    """Return a row for each label: 1 at the label, 0 elsewhere."""
    rows = torch.zeros(len(y), k, dtype=torch.int64)
    rows[:, y] = 1
    return rows


def nll(y_hat, y):
    """Return -ln of the label's probability, for each row."""
    return -torch.log(y_hat[:, y])
''',
    solution='''\
import torch

PICKED = [0.1, 0.5]


def one_hot(y, k):
    """Return a row for each label: 1 at the label, 0 elsewhere."""
    rows = torch.zeros(len(y), k, dtype=torch.int64)
    rows[range(len(y)), y] = 1
    return rows


def nll(y_hat, y):
    """Return -ln of the label's probability, for each row."""
    return -torch.log(y_hat[range(len(y)), y])
''',
    hints=(
        "Print y_hat[:, y].shape and y_hat[[0, 1], y].shape for the two rows in the file.",
        "Two lists of indices are read in pairs: y_hat[[0, 1], [0, 2]] has the entries (0, 0) and (1, 2). A colon "
        "takes all rows for each label.",
        "Both functions use [:, y]. Use [range(len(y)), y], which pairs each row with its own label.",
    ),
    learned="y_hat[range(n), y] reads one entry of each row. A label becomes a row with a single 1, because the "
    "numbers 1, 2, 3 would claim an order and distances that classes do not have.",
    commands=(
        Command("check {file}:one_hot --contract one_hot --law ones_at_the_labels"),
        Command("check {file}:nll --contract nll_of_probabilities --dtypes float32 --law value --law gradient"),
    ),
    answers=(Answer("PICKED", _pick_probabilities),),
)
