"""Processes that compute beside this one, and end when it does. It imports no torch itself."""

import gc
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from typing import TypeVar

ArgumentT = TypeVar("ArgumentT")
AnsweredT = TypeVar("AnsweredT")


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
    They start afresh: a fork of a process that has used torch's threads may hang. An interrupt is the business of the
    process that started them: they end what they are at. A process that is killed cannot say goodbye to its workers,
    which would wait for work for ever; so each of them waits for its end.
    """
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, initializer=_begin, initargs=(prepare, argument))


def _begin(prepare: Callable[[ArgumentT], None], argument: ArgumentT) -> None:
    # Nothing of what is imported is garbage, and looking for some takes a fifth of the time.
    gc.disable()
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    prepare(argument)
    gc.freeze()
    gc.enable()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


def in_order(
    indices: Sequence[int], futures: Sequence[Future[AnsweredT]], seconds: float | None
) -> Iterator[tuple[int, Future[AnsweredT]]]:
    """Wait for one future after the other; where time is up, those that have not begun are cancelled."""
    until = None if seconds is None else time.monotonic() + seconds
    for index, future in zip(indices, futures, strict=True):
        if until is not None:
            wait([future], timeout=max(0.0, until - time.monotonic()))
            if time.monotonic() >= until:
                for late in futures:
                    late.cancel()
                until = None
        yield index, future
