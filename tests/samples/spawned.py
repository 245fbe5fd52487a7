"""What a worker that is spawned says of itself."""

import atexit
import os
import random
from multiprocessing.connection import Connection

import numpy as np
import torch

STATE = ["as it is imported"]
"""What a worker that is forked of a process which has changed it would find changed."""


def tell(answers: Connection) -> None:
    """Say what a worker is, end with 7, and say goodbye as the interpreter does."""
    drawn = (random.random(), float(np.random.random()), float(torch.rand(())))  # noqa: NPY002
    answers.send(
        {
            "state": STATE[0],
            "hash": hash("a name"),
            "drawn": drawn,
            "parent": os.getppid(),
            "variable": os.environ.get("HARNESS_TEST"),
            "folder": os.getcwd(),  # noqa: PTH109 - as the process has it
        }
    )
    atexit.register(answers.send, "goodbye")
    raise SystemExit(7)
