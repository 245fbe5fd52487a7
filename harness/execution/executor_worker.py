"""The part of an executor's worker: it does pieces of a plan in a separate process.

An executor has tasks without memory. The process with the loaded code outlives its task, so the next task finds it
ready. It ends if no task follows.
"""

import json
import os
import platform
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.error import UsageError
from harness.execution.plan import Plan
from harness.execution.result import Answer
from harness.execution.worker_pool import IsolatedPool
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


def carried_out(order: Order, index: int) -> Reply:
    """Do a piece on the executor; it raises nothing, because some executors lose exceptions."""
    try:
        _reject_another_kind(order.kind)
        _reject_another_place(order.folder)
        return Reply(_process().answer(order, index))
    except UsageError as error:
        return Reply(usage=error.parts)
    except Exception:  # noqa: BLE001 - it is raised again on the other side
        return Reply(bug=traceback.format_exc())


_TELLS = """
import sys
from harness.execution.executor_worker import capabilities
sys.stdout.write(capabilities())
"""


@cache
def worker_kind() -> WorkerKind:
    """Return the kind of this process; a fork of the server finds it out if this process has not imported torch."""
    capabilities_ = json.loads((None if "torch" in sys.modules else forked_capabilities()) or capabilities())
    return WorkerKind(Origin.model_validate(capabilities_["origin"]), tuple(sorted(capabilities_["versions"].items())))


def capabilities() -> str:
    """Return what makes the kind of this process, as JSON."""
    from harness.execution.environment import environment

    here = environment()
    return json.dumps({"origin": Origin.of(here).model_dump(), "versions": here.versions})


def forked_capabilities() -> str:
    """Return the capabilities that a fork of the server reports; empty where there is no server."""
    with tempfile.TemporaryFile() as printed:
        process = SERVER.forked(_TELLS, printed)
        if process is None:
            return ""
        output = process.stdout.read()
        complete = process.wait() == 0
        process.close()
        return output.decode() if complete else ""


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
        self._pool: IsolatedPool | None = None
        self._busy = threading.Lock()
        self._idle = threading.Timer(IDLE_S, self._end)

    def answer(self, order: Order, index: int) -> Answer:
        """Do a piece."""
        with self._busy, self._awake():
            if self._pool is None or self._order != order:
                self._close()
                pool = IsolatedPool(order.plan, order.limits, 1, folder=order.folder)
                self._pool, self._order = pool.__enter__(), order
            (answer,) = self._pool.answers([index])
            return answer

    @contextmanager
    def _awake(self) -> Iterator[None]:
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


_threads = threading.local()


def _process() -> PersistentProcess:
    """The process of this thread: a worker of Dask may have several."""
    if getattr(_threads, "owner", None) != os.getpid():
        _threads.owner, _threads.process = os.getpid(), PersistentProcess()
    process: PersistentProcess = _threads.process
    return process
