"""Processes that compute beside this one, and end when it does. It imports no torch itself."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")


def workers(processes: int, prepare: Callable[[ArgumentT], None], argument: ArgumentT) -> ProcessPoolExecutor:
    """Return a pool of processes with one thread each, every one prepared before its first task.

    Parameters
    ----------
    processes
        How many.
    prepare, argument
        ``prepare(argument)`` is called once in each.

    Notes
    -----
    They start afresh: a fork of a process that has used torch's threads may hang. A process that is killed cannot say
    goodbye to its workers, which would wait for work for ever; so each of them waits for its end.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(prepare, argument))


def _begin(prepare: Callable[[ArgumentT], None], argument: ArgumentT) -> None:
    import torch

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    prepare(argument)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)
