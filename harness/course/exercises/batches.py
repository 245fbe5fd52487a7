"""Minibatches by shuffled indices, with a smaller last batch."""

from harness.course.exercise import Answer, Command, Exercise

ROWS, BATCH_SIZE = 103, 10


def _count_batches() -> int:
    return -(-ROWS // BATCH_SIZE)


EXERCISE = Exercise(
    number="3.1",
    title="Deliver shuffled minibatches and a smaller last one",
    question=f"A data set of {ROWS} rows is read in minibatches of {BATCH_SIZE}. Does each row arrive once in each "
    "epoch, and in a new order each time?",
    start=f'''\
import torch

X = torch.arange({ROWS}.0).reshape(-1, 1)
y = torch.arange({ROWS})

NUMBER_OF_BATCHES = ...  # in an epoch of {ROWS} rows, with a batch size of {BATCH_SIZE}
ROWS_OF_THE_LAST = ...  # number of rows in the last of them


class Batches:
    """Minibatches of X and y; each iteration is an epoch."""

    def __init__(self, batch_size, shuffle):
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self):
        indices = torch.arange(len(X))
        for start in range(0, len(X) - self.batch_size, self.batch_size):
            batch = indices[start : start + self.batch_size]
            yield X[batch], y[batch]


def make_loader(batch_size={BATCH_SIZE}, shuffle=True):
    return Batches(batch_size, shuffle)
''',
    solution=f'''\
import torch

X = torch.arange({ROWS}.0).reshape(-1, 1)
y = torch.arange({ROWS})

NUMBER_OF_BATCHES = 11
ROWS_OF_THE_LAST = 3


class Batches:
    """Minibatches of X and y; each iteration is an epoch."""

    def __init__(self, batch_size, shuffle):
        self.batch_size = batch_size
        self.shuffle = shuffle

    def __iter__(self):
        indices = torch.randperm(len(X)) if self.shuffle else torch.arange(len(X))
        for start in range(0, len(X), self.batch_size):
            batch = indices[start : start + self.batch_size]
            yield X[batch], y[batch]


def make_loader(batch_size={BATCH_SIZE}, shuffle=True):
    return Batches(batch_size, shuffle)
''',
    hints=(
        "Count the rows that arrive: sum(len(y) for X, y in make_loader()). Then look at the order.",
        "range(0, n, batch_size) has a last start with fewer than batch_size rows after it. A slice that ends beyond "
        "the tensor is no error.",
        "Two mistakes: range stops before the last batch, and the indices are never shuffled. Use range(0, len(X), "
        "batch_size), and torch.randperm(len(X)) if shuffle is true.",
    ),
    learned="An epoch delivers each row once, in ceil(n / batch_size) batches; the last one has the remaining rows. "
    "Shuffle the indices, not the data, again in each epoch.",
    commands=(
        Command(
            "check {file}:make_loader --contract data_loader --law each_sample_once "
            "--law batches_have_the_size_asked_for --law samples_do_not_depend_on_the_batch_size "
            "--law epochs_are_shuffled_anew"
        ),
    ),
    answers=(
        Answer("NUMBER_OF_BATCHES", _count_batches),
        Answer("ROWS_OF_THE_LAST", lambda: ROWS - (_count_batches() - 1) * BATCH_SIZE),
    ),
)
