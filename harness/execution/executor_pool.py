"""A backend that sends the work items of a plan to an executor."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from pathlib import Path
from typing import Self

from harness.error import UsageError
from harness.execution.executor_worker import Order, Reply, do_piece, worker_kind
from harness.execution.plan import Document, Plan
from harness.execution.result import Answer
from harness.execution.worker_pool import WorkerPool
from harness.isolation.limits import Limits


class ExecutorPool:
    """The workers of an executor, as :class:`harness.execution.runner.Backend`.

    Parameters
    ----------
    plan
        The plan.
    limits
        Limits of the code.
    executor
        The executor.

    Notes
    -----
    On entry, the code is loaded once here, to list its pieces. A worker does each piece in a separate process, with a
    seed
    that depends on its content only. So results do not depend on the executor, its workers or the order.
    """

    def __init__(self, plan: Plan, limits: Limits, executor: Executor) -> None:
        self._executor = executor
        self._order = Order(plan, limits, str(Path.cwd()), worker_kind())
        self.pieces: list[Document] = []

    def __enter__(self) -> Self:
        """Load the code, and list the pieces.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        with WorkerPool(self._order.plan, self._order.limits, 1) as pool:
            self.pieces = pool.pieces
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: the executor belongs to the caller."""

    def answers(self, indices: Sequence[int], *, seconds: float | None = None) -> Iterator[Answer]:
        """Yield the results of some pieces, in their order.

        Raises
        ------
        UsageError
            If a worker has another kind or cannot see the folder, or if the executor lost its workers.
        """
        pending: list[Future[Reply]] = []
        try:
            pending += (self._submit(index) for index in indices)
            until = math.inf if seconds is None else time.monotonic() + seconds
            for index, future in zip(indices, pending, strict=True):
                wait([future], timeout=None if seconds is None else max(0.0, until - time.monotonic()))
                if time.monotonic() >= until:
                    for later in pending:
                        later.cancel()
                yield Answer(index) if future.cancelled() else _read_answer(future)
        finally:
            for future in pending:
                future.cancel()

    def _submit(self, index: int) -> "Future[Reply]":
        try:
            return self._executor.submit(do_piece, self._order, index)
        except RuntimeError as error:  # also what the standard library's executors raise when they are broken
            raise _describe_loss(error) from error


def _read_answer(future: "Future[Reply]") -> Answer:
    try:
        reply = future.result()
    except (Exception, CancelledError) as error:  # the piece raises nothing, so that this is the executor's
        raise _describe_loss(error) from error
    if reply.usage is not None:
        raise UsageError(**reply.usage)  # type: ignore[arg-type]
    if reply.answer is None:
        raise RuntimeError(f"in a worker of the executor:\n{reply.bug}")
    return reply.answer


def _describe_loss(error: BaseException) -> UsageError:
    rule = ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
    remedy = "check the logs of its workers, then run the command again"
    return UsageError("the executor failed", rule=rule, remedy=remedy)
