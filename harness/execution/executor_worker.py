"""The part of an executor's worker: it does pieces of a plan in a separate process.

An executor has tasks without memory. The process with the loaded code outlives its task, so the next task finds it
ready. It ends if no task follows.
"""

import os
import platform
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.error import UsageError
from harness.execution.plan import Answer, Plan
from harness.execution.worker_pool import WorkerPool
from harness.isolation.delegate import Delegate
from harness.isolation.fork_server import SERVER
from harness.isolation.limits import Limits
from harness.record import Origin

IDLE_S = 60.0
"""Time in seconds that an idle process waits for the next piece."""


@dataclass(frozen=True)
class WorkerKind:
    """The facts about a worker that affect its results.

    Parameters
    ----------
    origin
        Processor and torch version.
    versions
        Versions of the harness and of the packages for computation and example generation.
    """

    origin: Origin
    versions: tuple[tuple[str, str], ...]

    def difference_from(self, other: "WorkerKind") -> str:
        """Return the differences from another kind."""
        if self.origin != other.origin:
            return f"it has {self.origin}, this machine has {other.origin}"
        versions, other_versions = dict(self.versions), dict(other.versions)
        return ", ".join(
            f"it has {name} {versions.get(name, 'missing')}, this machine has {other_versions.get(name, 'none')}"
            for name in sorted(versions | other_versions)
            if versions.get(name) != other_versions.get(name)
        )


@dataclass(frozen=True)
class Order:
    """The common part of all pieces.

    Parameters
    ----------
    plan
        The plan.
    limits
        Limits of the code.
    folder
        Working directory for relative file names.
    kind
        Kind of worker that may do the pieces.
    """

    plan: Plan
    limits: Limits
    folder: str
    kind: WorkerKind


@dataclass(frozen=True)
class Reply:
    """The reply for a piece: the result, or the reason for its absence.

    Parameters
    ----------
    answer
        The result.
    usage
        The parts of a usage error.
    bug
        The traceback of an internal error.
    """

    answer: Answer | None = None
    usage: dict[str, str | None] | None = None
    bug: str | None = None


def do_piece(order: Order, index: int) -> Reply:
    """Do a piece on the executor; it raises nothing, because some executors lose exceptions."""
    try:
        _reject_another_kind(order.kind)
        _reject_another_place(order.folder)
        return Reply(_process(os.getpid(), threading.get_ident()).answer(order, index))
    except UsageError as error:
        return Reply(usage=error.parts)
    except Exception:  # noqa: BLE001 - it is raised again on the other side
        return Reply(bug=traceback.format_exc())


@cache
def worker_kind() -> WorkerKind:
    """Return the kind of this process; another process finds it out if this process has not imported torch."""
    if "torch" in sys.modules:
        return find_kind()
    with Delegate(f"{__name__}:find_kind", limits=Limits(), server=SERVER) as delegate:
        return delegate.ask(None, {}, WorkerKind)


def find_kind() -> WorkerKind:
    """Describe this process."""
    from harness.execution.environment import environment

    here = environment()
    return WorkerKind(Origin.of(here), tuple(sorted(here.versions.items())))


def _reject_another_kind(wanted: WorkerKind) -> None:
    if worker_kind() != wanted:
        remedy = "run the command on a machine of the same kind as the workers, with the same packages"
        problem = f"the worker on {platform.node()} differs from this machine"
        raise UsageError(problem, rule=worker_kind().difference_from(wanted), remedy=remedy)


def _reject_another_place(folder: str) -> None:
    if not Path(folder).is_dir():
        problem = f"the worker on {platform.node()} cannot see the folder `{folder}`"
        raise UsageError(problem, remedy="run the command in a folder that all machines share")


class PersistentProcess:
    """The process of one worker thread, which outlives the task and has one order at a time."""

    def __init__(self) -> None:
        self._order: Order | None = None
        self._pool: WorkerPool | None = None
        self._busy = threading.Lock()
        self._idle = threading.Timer(IDLE_S, self._end)

    def answer(self, order: Order, index: int) -> Answer:
        """Do a piece."""
        with self._busy, self._keep_awake():
            if self._pool is None or self._order != order:
                self._close()
                pool = WorkerPool(order.plan, order.limits, 1, folder=order.folder)
                self._pool, self._order = pool.__enter__(), order
            (answer,) = self._pool.answers([index])
            return answer

    @contextmanager
    def _keep_awake(self) -> Iterator[None]:
        self._idle.cancel()
        try:
            yield
        finally:
            self._idle = threading.Timer(IDLE_S, self._end)
            self._idle.daemon = True
            self._idle.start()

    def _end(self) -> None:
        with self._busy:
            self._close()

    def _close(self) -> None:
        if self._pool is not None:
            self._pool.__exit__()
            self._pool = None


@cache
def _process(pid: int, thread: int) -> PersistentProcess:  # noqa: ARG001 - keys of the cache
    """Return the process of a thread of this process: a worker of Dask may have several."""
    return PersistentProcess()
