"""Processes that compute beside this one, and end when it does. It imports no torch itself."""

import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing import forkserver
from typing import Any, TypeVar

from harness.work.fork_server import ONE_THREAD

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
    They are forked of a process that has imported torch and computed nothing, and start afresh where there is no such
    process: a fork of one that has used torch's threads may hang. An interrupt is the business of the process that
    started them: they end what they are at. A process that is killed cannot say goodbye to its workers, which would
    wait for work for ever; so each of them waits for its end.
    """
    begun = dict(os.environ), prepare, argument
    return ProcessPoolExecutor(processes, mp_context=_context(), initializer=_begin, initargs=begun)


_starting = threading.Lock()


def _context() -> Any:
    """How workers begin; on Linux the process of which they are forked is there afterwards."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    with _starting, _inherited({**ONE_THREAD, "PYTHONSAFEPATH": "1"}):
        # No file of the working directory stands in for what it imports. One that the gate has started does as well.
        multiprocessing.set_forkserver_preload(["harness.work.warm"])
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """Have some more variables in the body, which whoever is started there inherits."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _begin(environment: Mapping[str, str], prepare: Callable[[ArgumentT], None], argument: ArgumentT) -> None:
    # That of the process which forked is of the moment in which it began.
    os.environ.clear()
    os.environ.update(environment)
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
