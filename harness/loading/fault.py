"""Faults of loaders: a plain sentence, the index of the sample if there is one, and a remedy.

:func:`within` runs a loader, stops it at a time limit, turns its exceptions into a :class:`LoadingError`, and leaves no
process behind. :mod:`harness.loading.watched` finds the sample that caused a fault.
"""

import gc
import multiprocessing
import os
import pickle
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil
from torch.multiprocessing import get_sharing_strategy

from ..timing.alarm import alarm
from .accounting import cpu_s
from .deaths import heard, ignored
from .spawning import servers

LIMIT_S = 60.0
"""Default time limit for a loader, in seconds."""

GOODBYE_S = 6.0
"""Seconds for workers to exit; ``DataLoader`` itself waits for five seconds."""

SOON_S = 0.5
"""Shorter wait where no verdict depends on it."""

_REPEAT_S = 5.0
"""Seconds until the alarm repeats, in case hanging code caught the first one."""


class FaultKind(StrEnum):
    """Kinds of faults."""

    DIED = "died"
    RAISED = "raised"
    LENGTH = "length"
    SHARED_MEMORY = "shared memory"
    HUNG = "hung"
    UNPICKLABLE = "unpicklable"
    EMPTY = "empty"
    LEFT = "left workers"


@dataclass(frozen=True)
class LoadingFault:
    """A fault of a loader.

    Parameters
    ----------
    kind
        What happened.
    sentence
        Description.
    remedy
        Remedy.
    index
        Index of the sample that caused it; ``None`` if unknown.
    worker
        Number of the worker; ``None`` for the main process, or if unknown.
    """

    kind: FaultKind
    sentence: str
    remedy: str
    index: int | None = None
    worker: int | None = None

    def __str__(self) -> str:
        """Return the sentence and the remedy on one line."""
        return f"{self.sentence}; {self.remedy}"


class LoadingError(Exception):
    """A loader has a fault.

    Parameters
    ----------
    fault
        The fault.
    """

    def __init__(self, fault: LoadingFault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        """Return the sentence and the remedy."""
        return str(self.fault)


class _Overdue(BaseException):
    """The time limit is reached; an ``except Exception`` of the hanging code does not catch it."""


@contextmanager
def within(limit_s: float = LIMIT_S) -> Iterator[None]:
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
    with _named(limit_s, _Overdue) as before:
        yield
    if left := _left(before, GOODBYE_S):
        end(left)
        raise LoadingError(
            LoadingFault(
                FaultKind.LEFT,
                f"processes still running after it was closed: {len(left)}",
                "join every process that the loader starts",
            )
        )


@dataclass
class Ended:
    """Result of a bounded run.

    Parameters
    ----------
    left
        Number of processes that it left running, and that were ended.
    """

    left: int = 0


class _Patience:
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
        return None if busy and time.monotonic() < self.until else _Overdue()


MAX_TIMES = 4
"""Factor on the time limit for a loader that is using the CPU."""

_BUSY_S = 0.2
"""CPU seconds between two calls that count as work."""


@contextmanager
def bounded(limit_s: float, *, keeps: bool = False, wait_s: float = SOON_S) -> Iterator[Ended]:
    """Run loaders like :func:`within`, but count processes that are left, instead of reporting a fault.

    Raises
    ------
    LoadingError
        If a loader raised, hung or lost a worker.
    """
    outcome = Ended()
    with _named(limit_s, _Patience(limit_s).overdue) as before:
        yield outcome
    if keeps:
        return
    with ignored():
        left = _left(before, wait_s)
    if left:
        outcome.left = len(left)
        end(left)


@contextmanager
def _named(limit_s: float, overdue: Callable[[], BaseException | None]) -> Iterator[set[psutil.Process]]:
    """Yield the existing processes; name any exception, and end all processes that were started since."""
    before, segments = _children(), _segments()
    with heard() as deaths:
        try:
            with alarm(limit_s, overdue, interval_s=_REPEAT_S):
                yield before
        except _Overdue:
            fault = hung(limit_s)
            _end_since(before)
            _sweep(segments)
            raise LoadingError(fault) from None
        except LoadingError:
            _end_since(before)
            raise
        except Exception as error:  # noqa: BLE001 - foreign code; it becomes a fault, which is raised
            cause = deaths.cause(error)
            _end_since(before)
            _sweep(segments)
            raise LoadingError(named(cause)) from cause
        except BaseException:
            _end_since(before)
            raise


# Meaning of exceptions

_PIDS = re.compile(r"\(pid(?:\(s\))? ([\d, ]+)\)")
_WORKER = re.compile(r"in DataLoader worker process (\d+)")
_HOW = re.compile(r"killed by (signal: [^.]+)|exited unexpectedly with (exit code \d+)")
_NO_SHARED_MEMORY = ("unable to allocate shared memory", "unable to resize file", "unable to mmap", "Bus error")


def named(error: Exception) -> LoadingFault:
    """Return the fault that an error means."""
    text = words_of(error)
    worker = int(match[1]) if (match := _WORKER.search(text)) else None
    last = str(error).strip().splitlines()[-1] if str(error).strip() else ""
    if any(words in text for words in _NO_SHARED_MEMORY):
        return LoadingFault(
            FaultKind.SHARED_MEMORY,
            "shared memory is exhausted: the batches in transit between processes do not fit",
            _SHARED_MEMORY_REMEDY,
            worker=worker,
        )
    if "DataLoader worker" in text and ("exited unexpectedly" in text or "is killed by signal" in text):
        return died(text)
    if "DataLoader timed out" in text:
        return LoadingFault(FaultKind.HUNG, f"a worker is hanging: {last}", _HUNG_REMEDY)
    if _unpicklable(error, text):
        return LoadingFault(
            FaultKind.UNPICKLABLE,
            f"the data set or its collate function cannot be sent to a worker: {last}",
            "define classes and functions at the top level of a module and open files in the worker, or start workers "
            "with `fork`",
        )
    where = "" if worker is None else f" in worker {worker}"
    raised = last if worker is not None else f"{type(error).__name__}: {last}".removesuffix(": ")
    return LoadingFault(
        FaultKind.RAISED,
        f"loading raises{where}: {raised}",
        "fix the data set, or skip the sample",
        worker=worker,
    )


def died(text: str, exit_code: int | None = None) -> LoadingFault:
    """Return the fault of a dead worker, with the cause from torch or from the exit code."""
    match = _HOW.search(text)
    if match is not None:
        how = f"is killed by {match[1]}" if match[1] else f"exits with {match[2]}"
    elif exit_code is None:
        how = "exits"
    else:
        killed = exit_code < 0
        how = f"is killed by signal: {signal.strsignal(-exit_code)}" if killed else f"exits with exit code {exit_code}"
    remedy = "load without workers to see where the process ends"
    if "Killed" in how:
        remedy = "memory may have run out: use fewer workers or smaller batches"
    return LoadingFault(FaultKind.DIED, f"a worker process {how} instead of delivering", remedy)


def pids(error: BaseException) -> set[int]:
    """Return the processes that an error of ``DataLoader`` names."""
    return {int(pid) for match in _PIDS.finditer(words_of(error)) for pid in match[1].split(",")}


def words_of(error: BaseException) -> str:
    """Return the text of an error and its cause, which names the signal that killed a worker."""
    return f"{error}\n{error.__cause__ or ''}"


_SHARED_MEMORY_REMEDY = (
    "use fewer workers, a smaller prefetch factor or smaller batches, or enlarge /dev/shm (`docker run --shm-size`)"
)
_HUNG_REMEDY = "set a time limit for each wait of the data set; locks and threads do not survive a `fork`"


def hung(limit_s: float) -> LoadingFault:
    """Return the fault of a timeout; scarce shared memory may have lost a batch silently."""
    text, left = f"loading hangs: no batch arrived within {limit_s:g} s", shared_memory_left()
    if left is not None and left < _SCARCE:
        scarce = f"{text}, and only {left / 2**20:.3g} MB of shared memory are left"
        return LoadingFault(FaultKind.SHARED_MEMORY, scarce, _SHARED_MEMORY_REMEDY)
    return LoadingFault(FaultKind.HUNG, text, _HUNG_REMEDY)


_SCARCE = 2**23
"""Bytes of shared memory below which queues between processes may lose data."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it, by no choice of ours


def shared_memory_left() -> int | None:
    """Return the free bytes of shared memory; ``None`` if unknown."""
    if not hasattr(os, "statvfs") or not _SHARED_MEMORY.is_dir():
        return None
    status = os.statvfs(_SHARED_MEMORY)
    return status.f_bavail * status.f_frsize


def _segments() -> set[Path]:
    """Return torch's named segments of shared memory; they are short-lived, unless filling them failed."""
    return set(_SHARED_MEMORY.glob("torch_*"))


def _sweep(before: set[Path]) -> None:
    """Remove new segments of processes that are gone, unless a process of torch does so."""
    if get_sharing_strategy() == "file_system":
        return
    for segment in _segments() - before:
        owner = segment.name.split("_")[1]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            segment.unlink(missing_ok=True)


def _unpicklable(error: Exception, text: str) -> bool:
    if isinstance(error, pickle.PicklingError):
        return True
    return isinstance(error, AttributeError | TypeError) and ("pickle" in text or "local object" in text)


# Processes


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _left(before: set[psutil.Process], wait_s: float) -> set[psutil.Process]:
    """Return the processes that were started since and do not exit in time."""
    if not _children() - before:
        return set()
    gc.collect()  # a discarded loader may be part of a cycle
    until, pause_s = time.monotonic() + wait_s, 0.01
    while left := {process for process in _children() - before if runs(process)}:
        if time.monotonic() >= until:
            return left
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, 0.1)  # to look for processes takes milliseconds
    return set()


def runs(process: psutil.Process) -> bool:
    """Whether a process is running, and is no helper of ``multiprocessing``."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and not _serves_all(process)
    except psutil.NoSuchProcess:
        return False


_SERVANTS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver", "torch_shm_manager")


def _serves_all(process: psutil.Process) -> bool:
    """Whether it is a helper of ``multiprocessing`` that stays alive for later workers.

    A worker that was forked from a helper has the same command line, but is no helper.
    """
    if process.pid in servers():
        return True
    parent = process.parent()
    return _is_servant(process) and not (parent is not None and _is_servant(parent))


def _is_servant(process: psutil.Process) -> bool:
    return any(servant in argument for argument in process.cmdline() for servant in _SERVANTS)


def _end_since(before: set[psutil.Process]) -> None:
    """End the processes that were started since."""
    with ignored():
        end(_children() - before)


def end(processes: set[psutil.Process]) -> None:
    """Terminate processes, then kill the remaining ones; helpers of ``multiprocessing`` stay."""
    with ignored():
        mine = [process for process in processes if runs(process)]
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
