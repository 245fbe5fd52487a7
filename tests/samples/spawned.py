"""Facts that a spawned worker reports about itself."""

import atexit
import os
import random
from multiprocessing.connection import Connection

import numpy as np
import torch

STATE = ["as it is imported"]
"""A worker that was forked after a change of this list would see the change."""


def tell(answers: Connection) -> None:
    """Send facts about the worker, exit with code 7, and run the interpreter's exit handlers."""
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
