"""Execution of a plan: in this process, in worker processes, isolated from foreign code, or on an executor.

Pieces are independent, and their seeds depend only on their content. So the results do not depend on the workers, their
number or the order.
"""

import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager, ExitStack
from typing import Protocol, Self

from harness.execution.plan import Answer, Document, Plan
from harness.execution.worker_pool import WorkerPool
from harness.isolation.limits import Limits


class Backend(Protocol):
    """Executes a plan; a context that loads the code."""

    pieces: list[Document]
    """The subjects of the planned pieces."""

    def answers(self, indices: Sequence[int], *, seconds: float | None = None) -> Iterator[Answer]:
        """Yield the results of some pieces, in their order.

        Parameters
        ----------
        indices
            Numbers of the pieces.
        seconds
            Time after which no further piece starts; later pieces have neither a result nor a reason.

        Notes
        -----
        After an early close or an interrupt there are no more results. Trusted processes finish their current piece, so
        that
        files they write are complete.
        """


def carry_out(
    plan: Plan, *, processes: int = 1, limits: Limits | None = None, executor: Executor | None = None
) -> AbstractContextManager[Backend]:
    """Return the executor of a plan, to be used as a context.

    Parameters
    ----------
    plan
        The plan.
    processes
        Number of processes that share the pieces; each computes on one thread.
    limits
        Limits of time and memory for isolated code; without limits, the code runs in this process or in trusted ones.
    executor
        Executor that replaces local processes. Its workers isolate the code, by default under the usual limits.
    """
    if executor is not None:
        from harness.execution.executor import ExecutorPool

        return ExecutorPool(plan, limits or Limits(), executor)
    if limits is not None:
        return WorkerPool(plan, limits, processes)
    return LocalBackend(plan, processes)


class LocalBackend:
    """Runs trusted code: in this process, or in several if there is enough to do.

    Parameters
    ----------
    plan
        What to do.
    processes
        How many processes.
    """

    def __init__(self, plan: Plan, processes: int = 1) -> None:
        self._plan, self._processes = plan, processes
        self._stack = ExitStack()
        self.pieces: list[Document] = []

    def __enter__(self) -> Self:
        """Load the code."""
        import torch

        with ExitStack() as stack:
            # Rows are few, and idle threads of a shared machine cost more than they give.
            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
            # A warning is no failure, and the stream it would be printed to is listened to.
            stack.enter_context(warnings.catch_warnings())
            # Nor is a log record, such as that torch has CUDA and the machine no GPU, which its compiler reports.
            stack.callback(logging.disable, logging.root.manager.disable)
            warnings.simplefilter("ignore")
            logging.disable()
            self._loaded = self._plan.load()
            self.pieces = list(self._loaded.about())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Restore the number of threads and the warnings."""
        self._stack.close()

    def answers(self, indices: Sequence[int], *, seconds: float | None = None) -> Iterator[Answer]:
        """Yield the results of some pieces, in their order."""
        if self._processes > 1 and len(indices) >= self._plan.pays_from * self._processes:
            with WorkerPool(self._plan, None, self._processes) as pool:
                yield from pool.answers(indices, seconds=seconds)
            return
        until = None if seconds is None else time.monotonic() + seconds
        for index in indices:
            is_up = until is not None and time.monotonic() >= until
            yield Answer(index, None if is_up else self._loaded.do(index))
