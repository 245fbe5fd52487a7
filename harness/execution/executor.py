"""Executors, which do pieces of work on other machines."""

import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from harness.calling.discovery import attribute
from harness.error import UsageError, require
from harness.execution.executor_worker import Order, Reply, do_piece, worker_kind
from harness.execution.plan import Answer, Document, Plan
from harness.execution.worker_pool import WorkerPool
from harness.isolation.limits import Limits

DASK = "dask://"
"""Prefix of the address of a Dask scheduler."""

PATIENCE_S = 10.0
"""Time limit for connecting to a scheduler, in seconds."""


@contextmanager
def open_executor(text: str, jobs: int | None = None) -> Iterator[Executor]:
    """Open an executor, and shut it down at the end.

    Parameters
    ----------
    text
        ``dask://host:port``, the address of a Dask scheduler; or ``file.py:function`` or ``module:function``, a
        function that returns an executor.
    jobs
        Number of local processes that the user requested.

    Raises
    ------
    UsageError
        If it does not exist, or if local processes are requested as well.
    """
    if jobs is not None:
        problem = "cannot use `--jobs` together with `--executor`"
        raise UsageError(problem, rule="an executor has its own workers", remedy="leave one out")
    with _open_dask(text) if text.startswith(DASK) else _open_own(text) as executor:
        yield executor


@contextmanager
def _open_dask(text: str) -> Iterator[Executor]:
    require("dask", f"the executor `{text}`")
    distributed: Any = import_module("distributed")
    address = text.removeprefix(DASK)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError("cannot read `--executor`", rule="it must be dask://HOST:PORT", value=f"`{text}`")
    try:
        client = distributed.Client(f"tcp://{address}", timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot reach the Dask scheduler `{text}`", rule=f"{error}") from error
    with client:
        # Two pieces with the same arguments are two pieces, in one command and in the next.
        yield client.get_executor(pure=False)


@contextmanager
def _open_own(text: str) -> Iterator[Executor]:
    path, _, name = text.partition(":")
    if not name:
        rule = "it must be dask://HOST:PORT, or FILE.py:FUNCTION or MODULE:FUNCTION that returns an executor"
        raise UsageError("cannot read `--executor`", rule=rule, value=f"`{text}`")
    factory = attribute(path, name)
    try:
        factory = factory()
    except Exception as error:
        raise UsageError(f"cannot create the executor `{text}`", rule=f"{type(error).__name__}: {error}") from error
    if not isinstance(factory, Executor):
        rule = "the function must return a `concurrent.futures.Executor`"
        value = f"an object of type {type(factory).__name__}"
        raise UsageError(f"cannot use the executor `{text}`", rule=rule, value=value)
    try:
        yield factory
    finally:
        # All results have arrived, so there is nothing to wait for.
        factory.shutdown(wait=False)


# The pool


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
