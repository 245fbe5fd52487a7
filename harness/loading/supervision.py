"""Supervision of loaders: a time limit, the deaths of workers, and the processes that are left.

:func:`supervise` and :func:`supervise_and_count` run a loader, turn its exceptions into a :class:`LoadingError`, and
leave no process behind.

When a worker dies, torch's signal handler raises an error wherever the main thread is at that moment. In a destructor,
Python drops the error; at the end of a block, it takes the place of the one that is being handled. Here, the error is
kept, and is raised only in functions that the block calls.
"""

import gc
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from torch.multiprocessing import get_sharing_strategy

from harness.compat.torch import set_sigchld_handler
from harness.loading.accounting import cpu_s
from harness.loading.fault import SHARED_MEMORY, FaultKind, LoadingError, LoadingFault, find_fault, timeout_fault
from harness.timing.clock import alarm

LIMIT_S = 60.0
"""Default time limit for a loader, in seconds."""

GOODBYE_S = 6.0
"""Seconds for workers to exit; ``DataLoader`` itself waits for five seconds."""

SOON_S = 0.5
"""Shorter wait where no verdict depends on it."""

_AGAIN_S = 5.0
"""Seconds until the alarm repeats, in case hanging code caught the first one."""


class _TimeLimitReached(BaseException):
    """The time limit is reached; an ``except Exception`` of the hanging code does not catch it."""


Overdue = Callable[[], BaseException | None]


@contextmanager
def supervise(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Run a loader within a time limit, name its fault, and end every process that it started.

    Raises
    ------
    LoadingError
        If the loader raised, hung or lost a worker, or left a process behind.

    Notes
    -----
    The limit is an alarm in the main thread, on systems that have one. It does not interrupt an operation that never
    returns to the interpreter.
    """
    with supervise_and_count(limit_s, wait_s=GOODBYE_S, overdue=_TimeLimitReached) as outcome:
        yield
    if outcome.left:
        sentence = f"processes still running after it was closed: {outcome.left}"
        raise LoadingError(LoadingFault(FaultKind.LEFT, sentence, "join every process that the loader starts"))


@dataclass
class RunOutcome:
    """Result of a bounded run.

    Parameters
    ----------
    left
        Number of processes that it left running, and that were ended.
    """

    left: int = 0


class _BusyLimit:
    """Extends the time limit of a loader that is using the CPU, as on a busy machine.

    Parameters
    ----------
    limit_s
        Seconds; :data:`MAX_TIMES` as many at most.
    """

    def __init__(self, limit_s: float) -> None:
        self.until, self.used_s = time.monotonic() + MAX_TIMES * limit_s, cpu_s()

    def overdue(self) -> BaseException | None:
        """Return the exception to raise; ``None`` if the loader has used the CPU since the last call."""
        before, self.used_s = self.used_s, cpu_s()
        busy = self.used_s - before > _BUSY_S
        return None if busy and time.monotonic() < self.until else _TimeLimitReached()


MAX_TIMES = 4
"""Factor on the time limit for a loader that is using the CPU."""

_BUSY_S = 0.2
"""CPU seconds between two calls that count as work."""


@contextmanager
def supervise_and_count(
    limit_s: float, *, keeps: bool = False, wait_s: float = SOON_S, overdue: Overdue | None = None
) -> Iterator[RunOutcome]:
    """Run loaders like :func:`supervise`, but count processes that are left, instead of reporting a fault.

    ``overdue`` makes the exception at the limit; by default, a loader that uses the CPU has more time.

    Raises
    ------
    LoadingError
        If a loader raised, hung or lost a worker.
    """
    outcome = RunOutcome()
    with _report_faults(limit_s, overdue or _BusyLimit(limit_s).overdue) as before:
        yield outcome
    if keeps:
        return
    with ignore_deaths():
        remaining = _await_exits(before, wait_s)
    if remaining:
        outcome.left = len(remaining)
        end_processes(remaining)


@contextmanager
def _report_faults(limit_s: float, overdue: Overdue) -> Iterator[set[psutil.Process]]:
    """Yield the existing processes; name any exception, and end all processes that were started since."""
    before, segments = _children(), _segments()
    with note_deaths() as deaths:
        try:
            with alarm(limit_s, overdue, again_s=_AGAIN_S):
                yield before
        except _TimeLimitReached:
            fault = timeout_fault(limit_s)
            _end_since(before)
            _remove_segments(segments)
            raise LoadingError(fault) from None
        except LoadingError:
            _end_since(before)
            raise
        except Exception as error:  # noqa: BLE001 - foreign code; it becomes a fault, which is raised
            cause = deaths.cause(error)
            _end_since(before)
            _remove_segments(segments)
            raise LoadingError(find_fault(cause)) from cause
        except BaseException:
            _end_since(before)
            raise


# Shared memory


def _segments() -> set[Path]:
    """Return torch's named segments of shared memory; they are short-lived, unless filling them failed."""
    return set(SHARED_MEMORY.glob("torch_*"))


def _remove_segments(before: set[Path]) -> None:
    """Remove new segments of processes that are gone, unless a process of torch does so."""
    if get_sharing_strategy() == "file_system":
        return
    for segment in _segments() - before:
        owner = segment.name.split("_")[1]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            segment.unlink(missing_ok=True)


# Processes


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _await_exits(before: set[psutil.Process], wait_s: float) -> set[psutil.Process]:
    """Return the processes that were started since and do not exit in time."""
    if not _children() - before:
        return set()
    gc.collect()  # a discarded loader may be part of a cycle
    until, pause_s = time.monotonic() + wait_s, 0.01
    while remaining := {process for process in _children() - before if is_running(process)}:
        if time.monotonic() >= until:
            return remaining
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, 0.1)  # to look for processes takes milliseconds
    return set()


def is_running(process: psutil.Process) -> bool:
    """Whether a process is running, and is no helper of ``multiprocessing``."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and not _is_helper(process)
    except psutil.NoSuchProcess:
        return False


spared: set[int] = set()
"""Numbers of processes that outlive a block because they fork later workers."""

_HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", "torch_shm_manager")


def _is_helper(process: psutil.Process) -> bool:
    """Whether it is a helper of ``multiprocessing`` that stays alive for later workers.

    A worker that was forked from a helper has the same command line, but is no helper.
    """
    if process.pid in spared:
        return True
    parent = process.parent()
    return _has_helper_command(process) and not (parent is not None and _has_helper_command(parent))


def _has_helper_command(process: psutil.Process) -> bool:
    return any(servant in argument for argument in process.cmdline() for servant in _HELPERS)


def _end_since(before: set[psutil.Process]) -> None:
    """End the processes that were started since."""
    with ignore_deaths():
        end_processes(_children() - before)


def end_processes(processes: set[psutil.Process]) -> None:
    """Terminate processes, then kill the remaining ones; helpers of ``multiprocessing`` stay."""
    with ignore_deaths():
        mine = [process for process in processes if is_running(process)]
        for process in mine:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(mine, timeout=1.0)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=1.0)
        # Wait for dead workers that torch does not wait for.
        multiprocessing.active_children()


# Deaths of workers

_LATEST_S = 1.0
"""Maximum seconds between a broken connection and the end of its process."""

_OUTSIDE = {"contextlib", alarm.__module__, __name__}
"""Modules with the functions that begin and end a block."""

_LOADER = "torch.utils.data.dataloader"
_WAITING = {"multiprocessing.queues", "queue"}
"""Modules in which a loader waits. Elsewhere, it opens files to explain an error, and an interrupt leaves them open."""

_READING = "psutil"
"""Package that reads files of the system; an interrupt leaves them open, too."""


class Deaths:
    """The deaths of workers during a block.

    Parameters
    ----------
    block
        Frame of the block; without it, no error is raised.

    Attributes
    ----------
    first
        What torch says about the first one; ``None`` if there is none.
    """

    def __init__(self, block: FrameType | None) -> None:
        self.first: RuntimeError | None = None
        before: Any = signal.getsignal(signal.SIGCHLD)
        self._check: Any = before._check if isinstance(before, Deaths) else before
        self._block = block

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Let torch check its workers; this is the signal handler."""
        if not callable(self._check):
            return
        try:
            self._check(number, frame)
        except RuntimeError as said:
            self.first = self.first or said
            if self._is_called_by_block(frame):
                raise

    def look(self) -> RuntimeError | None:
        """Let torch check its workers now: it may have looked before the process could be waited for."""
        self(signal.SIGCHLD, None)
        return self.first

    def cause(self, error: Exception) -> Exception:
        """Return what torch says about a dead worker, if the error follows from its death."""
        until = time.monotonic() + _LATEST_S
        broken = isinstance(error, OSError | EOFError) or "ancillary data" in str(error)
        while broken and self.look() is None and time.monotonic() < until:
            time.sleep(0.01)
        follows = broken or (isinstance(error, RuntimeError) and "DataLoader worker" in str(error))
        return self.first if follows and self.first is not None else error

    def _is_called_by_block(self, frame: FrameType | None) -> bool:
        modules = []
        while frame is not None and frame is not self._block:
            modules.append(frame.f_globals.get("__name__"))
            frame = frame.f_back
        if frame is None or not modules or modules[-1] in _OUTSIDE:
            return False
        if any(str(module).partition(".")[0] == _READING for module in modules):
            return False
        in_loader = modules[: modules.index(_LOADER)] if _LOADER in modules else None
        return in_loader is None or not _WAITING.isdisjoint(in_loader)


@contextmanager
def note_deaths() -> Iterator[Deaths]:
    """Note the deaths of workers during a block."""
    block: FrameType | None = sys._getframe()
    while block is not None and block.f_globals.get("__name__") in _OUTSIDE:
        block = block.f_back
    with _handle_deaths(block) as deaths:
        yield deaths


@contextmanager
def ignore_deaths() -> Iterator[None]:
    """Ignore the deaths of workers that are ended on purpose."""
    with _handle_deaths(None) as deaths:
        try:
            yield
        finally:
            while deaths.look() is not None:  # torch names one loader at a time
                deaths.first = None


@contextmanager
def _handle_deaths(block: FrameType | None) -> Iterator[Deaths]:
    """Take the place of torch's handler, in the main thread; torch reports no deaths to others."""
    set_sigchld_handler()
    deaths, before = Deaths(block), signal.getsignal(signal.SIGCHLD)
    if threading.current_thread() is not threading.main_thread():
        yield deaths
        return
    signal.signal(signal.SIGCHLD, deaths)
    try:
        yield deaths
    finally:
        signal.signal(signal.SIGCHLD, before)
