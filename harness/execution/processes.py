"""Worker processes that end with this one. The module does not import torch."""

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

from harness.isolation.fork_server import ONE_THREAD

ArgumentT = TypeVar("ArgumentT")
AnsweredT = TypeVar("AnsweredT")


def workers(processes: int, prepare: Callable[[ArgumentT], None], argument: ArgumentT) -> ProcessPoolExecutor:
    """Return a pool of processes with one thread each, every one prepared before its first task.

    Parameters
    ----------
    processes
        Number of processes.
    prepare, argument
        ``prepare(argument)`` is called once in each.

    Notes
    -----
    They are forks of a process that has imported torch and computed nothing, or fresh processes. A fork of a process
    that
    has used torch's threads may hang. The starting process handles interrupts; the workers finish their current task.
    Each
    worker waits for the end of its parent, because a killed parent cannot end its workers.
    """
    initargs = dict(os.environ), prepare, argument
    return ProcessPoolExecutor(processes, mp_context=_context(), initializer=_begin, initargs=initargs)


_starting = threading.Lock()


def _context() -> Any:
    """Return the start method; on Linux, start its fork server."""
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    with _starting, _inherited({**ONE_THREAD, "PYTHONSAFEPATH": "1"}):
        # No file in the working directory can replace an imported module. A server of the gate serves as well.
        multiprocessing.set_forkserver_preload(["harness.isolation.preload"])
        forkserver.ensure_running()
    return multiprocessing.get_context("forkserver")


@contextmanager
def _inherited(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for the body, which processes started there inherit."""
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
    # The server has the environment of its start.
    os.environ.clear()
    os.environ.update(environment)
    # Imported modules are never garbage, and searching them takes a fifth of the time.
    gc.disable()
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    prepare(argument)
    gc.freeze()
    gc.enable()


def end_with_parent() -> None:
    """Wait for the end of the parent, and end this process then."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "a worker has a parent"
    parent.join()
    os._exit(1)


def in_order(
    indices: Sequence[int], futures: Sequence[Future[AnsweredT]], seconds: float | None
) -> Iterator[tuple[int, Future[AnsweredT]]]:
    """Wait for each future in order; at the deadline, cancel the ones that have not started."""
    until = None if seconds is None else time.monotonic() + seconds
    for index, future in zip(indices, futures, strict=True):
        if until is not None:
            wait([future], timeout=max(0.0, until - time.monotonic()))
            if time.monotonic() >= until:
                for later in futures:
                    later.cancel()
                until = None
        yield index, future
