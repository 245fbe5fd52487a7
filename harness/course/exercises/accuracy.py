"""Accuracy as a share of all rows, over batches of different sizes."""

from harness.course.exercise import Command, Exercise

EXERCISE = Exercise(
    number="6.5",
    title="Compute accuracy as a share of all rows",
    question="Accuracy is the share of rows that are classified correctly. A data set comes in batches, and the last "
    "one is smaller. Is the mean of the batches' accuracies the accuracy?",
    start='''\
import torch


def accuracy(batches):
    """Return the share of correctly classified rows; each batch is a pair of scores and labels."""
    shares = [(y_hat.argmax(dim=1) == y).float().mean() for y_hat, y in batches]
    return torch.stack(shares).mean()
''',
    solution='''\
def accuracy(batches):
    """Return the share of correctly classified rows; each batch is a pair of scores and labels."""
    hits = sum((y_hat.argmax(dim=1) == y).float().sum() for y_hat, y in batches)
    return hits / sum(len(y) for _, y in batches)
''',
    hints=(
        "Take two batches: 3 rows with 3 hits, and 1 row with no hit. The accuracy is 3/4.",
        "A mean of means weighs each batch alike, although the last batch has fewer rows.",
        "The mistake is the mean over batches. Add up the hits and the rows, and divide once at the end.",
    ),
    learned="Accuracy is hits divided by rows. Add up both over the batches: a mean of the batches' accuracies counts "
    "the rows of a small last batch too much.",
    commands=(
        Command(
            "check {file}:accuracy --contract accuracy --dtypes float32 --law share_of_hits "
            "--call 'lambda f, scores, labels: f(list(zip(scores.split(3), labels.split(3))))'"
        ),
    ),
)
