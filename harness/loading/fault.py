"""What a loader does instead of delivering: one plain sentence, the index where there is one, and the way out.

A loader is run within :func:`within`, which ends it when its time is up, turns what it raises into a
:class:`LoadingError`, and leaves no process behind. Whether it was a sample that did it, and which, is looked into by
:mod:`harness.loading.watched`.
"""

import gc
import multiprocessing
import os
import pickle
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from ..timing.alarm import alarm
from .accounting import cpu_s
from .spawning import servers

LIMIT_S = 60.0
"""Default time limit for a loader, in seconds."""

GOODBYE_S = 6.0
"""Seconds that workers have for ending by themselves; ``DataLoader`` itself gives them five before it ends them."""

SOON_S = 0.5
"""The same where nothing depends on it."""

_DEATH_S = 1.0
"""Seconds between the connection that breaks and the process that has ended, at most."""

_AGAIN_S = 5.0
"""Seconds until the alarm repeats, in case hanging code caught the first one."""


class FaultKind(StrEnum):
    """What happened."""

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
    """What a loader did instead of delivering.

    Parameters
    ----------
    kind
        What happened.
    sentence
        In words.
    remedy
        The way out.
    index
        The sample at which it happened; ``None`` where none is to blame, or it is not known.
    worker
        Number of the worker; ``None`` for the process that asks, or where it is not known.
    """

    kind: FaultKind
    sentence: str
    remedy: str
    index: int | None = None
    worker: int | None = None

    def __str__(self) -> str:
        """Return sentence and way out on one line."""
        return f"{self.sentence}; {self.remedy}"


class LoadingError(Exception):
    """A loader that does not deliver.

    Parameters
    ----------
    fault
        What it did.
    """

    def __init__(self, fault: LoadingFault) -> None:
        super().__init__(fault)
        self.fault = fault

    def __str__(self) -> str:
        """Return the sentence and the way out."""
        return str(self.fault)


class _Overdue(BaseException):
    """Time is up; no ``except Exception`` of the code that hangs catches it."""


@contextmanager
def within(limit_s: float = LIMIT_S) -> Iterator[None]:
    """Run a loader within a limit of time; name what it does instead, and end every process it started.

    Raises
    ------
    LoadingError
        If the loader raised, hung or lost a worker, or left a process behind.

    Notes
    -----
    Time is kept by an alarm, in the main thread, on systems that have one. An operation that never returns to the
    interpreter is not interrupted.
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
    """How what was done within bounds ended.

    Parameters
    ----------
    left
        How many processes it left running, which were ended.
    """

    left: int = 0


class _Patience:
    """What works is given more time, as on a machine that does much else; what sleeps hangs.

    Parameters
    ----------
    limit_s
        Seconds without a doubt; :data:`MOST_TIMES` as many at most.
    """

    def __init__(self, limit_s: float) -> None:
        self.until, self.used_s = time.monotonic() + MOST_TIMES * limit_s, cpu_s()

    def overdue(self) -> BaseException | None:
        """Return what is raised; ``None`` while the loader has used the processor since it was asked last."""
        before, self.used_s = self.used_s, cpu_s()
        busy = self.used_s - before > _BUSY_S
        return None if busy and time.monotonic() < self.until else _Overdue()


MOST_TIMES = 4
"""Factor on the time limit for a loader that is using the CPU."""

_BUSY_S = 0.5
"""CPU seconds between two looks from which a loader is at work."""


@contextmanager
def bounded(limit_s: float, *, keeps: bool = False, wait_s: float = SOON_S) -> Iterator[Ended]:
    """Do something with loaders as :func:`within` does, where a process that is left is counted, and is no fault.

    Raises
    ------
    LoadingError
        If a loader raised, hung or lost a worker.
    """
    ended = Ended()
    with _named(limit_s, _Patience(limit_s).overdue) as before:
        yield ended
    if keeps:
        return
    with _deaf():
        left = _left(before, wait_s)
    if left:
        ended.left = len(left)
        end(left)


@contextmanager
def _named(limit_s: float, overdue: Callable[[], BaseException | None]) -> Iterator[set[psutil.Process]]:
    """Yield the processes there are before; whatever is raised is named, and what was started ends with it."""
    before, segments = _children(), _segments()
    try:
        with alarm(limit_s, overdue, again_s=_AGAIN_S):
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
        cause = _death(error)
        _end_since(before)
        _sweep(segments)
        raise LoadingError(named(cause)) from cause
    except BaseException:
        _end_since(before)
        raise


def _death(error: Exception) -> Exception:
    """Return torch's own word on a worker that died, where a broken connection to it came first."""
    try:
        until = time.monotonic() + _DEATH_S
        while isinstance(error, OSError | EOFError) and time.monotonic() < until:
            if (said := _said_of_workers(wait_s=0.01)) is not None:
                return said
    except RuntimeError as heard:  # the worker ends between two looks, and torch's handler raises at once
        return heard
    return error


def _said_of_workers(*, wait_s: float = 0.0) -> RuntimeError | None:
    """Have torch look after its workers, as it does whenever a process has ended; it names one loader at a time."""
    try:
        signal.raise_signal(signal.SIGCHLD)
        time.sleep(wait_s)
    except RuntimeError as said:
        return said
    return None


# What is meant by what is raised

_PIDS = re.compile(r"\(pid(?:\(s\))? ([\d, ]+)\)")
_WORKER = re.compile(r"in DataLoader worker process (\d+)")
_HOW = re.compile(r"killed by (signal: [^.]+)|exited unexpectedly with (exit code \d+)")
_NO_SHARED_MEMORY = ("unable to allocate shared memory", "unable to resize file", "unable to mmap", "Bus error")


def named(error: Exception) -> LoadingFault:
    """Say what an error of a loader means."""
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
    """Say that a worker is gone, and by what: as torch says, else by its exit code where that is known."""
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
    """The processes that an error of ``DataLoader`` names."""
    return {int(pid) for match in _PIDS.finditer(words_of(error)) for pid in match[1].split(",")}


def words_of(error: BaseException) -> str:
    """What an error says, and the one it was raised from: torch says there by which signal a worker was ended."""
    return f"{error}\n{error.__cause__ or ''}"


_SHARED_MEMORY_REMEDY = (
    "use fewer workers, a smaller prefetch factor or smaller batches, or enlarge /dev/shm (`docker run --shm-size`)"
)
_HUNG_REMEDY = "set a time limit for each wait of the data set; locks and threads do not survive a `fork`"


def hung(limit_s: float) -> LoadingFault:
    """Say that time is up; a batch that does not fit into shared memory may have been lost without a word."""
    said, left = f"loading hangs: no batch arrived within {limit_s:g} s", shared_memory_left()
    if left is not None and left < _SCARCE:
        scarce = f"{said}, and only {left / 2**20:.3g} MB of shared memory are left"
        return LoadingFault(FaultKind.SHARED_MEMORY, scarce, _SHARED_MEMORY_REMEDY)
    return LoadingFault(FaultKind.HUNG, said, _HUNG_REMEDY)


_SCARCE = 2**23
"""Bytes of shared memory below which queues between processes may lose data."""

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it, by no choice of ours


def shared_memory_left() -> int | None:
    """Return the bytes of shared memory that are left; ``None`` where that cannot be known."""
    if not hasattr(os, "statvfs") or not _SHARED_MEMORY.is_dir():
        return None
    there = os.statvfs(_SHARED_MEMORY)
    return there.f_bavail * there.f_frsize


def _segments() -> set[Path]:
    """What torch's processes have in shared memory under a name: for a moment, unless they failed to fill it."""
    return set(_SHARED_MEMORY.glob("torch_*"))


def _sweep(before: set[Path]) -> None:
    """Remove what processes that are gone have left there since."""
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
    """The processes started since that do not end by themselves in time."""
    if not _children() - before:
        return set()
    gc.collect()  # what is let go of may be part of a cycle
    until, pause_s = time.monotonic() + wait_s, 0.01
    while left := {process for process in _children() - before if runs(process)}:
        if time.monotonic() >= until:
            return left
        time.sleep(pause_s)
        pause_s = min(1.2 * pause_s, 0.1)  # to look for processes takes milliseconds
    return set()


def runs(process: psutil.Process) -> bool:
    """Whether a process is there, and not one of those that ``multiprocessing`` keeps for its own use."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE and not _serves_all(process)
    except psutil.NoSuchProcess:
        return False


_SERVANTS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def _serves_all(process: psutil.Process) -> bool:
    """Whether it is a helper of ``multiprocessing`` that stays for the next worker, as long as this process lives.

    A worker that such a helper has forked has its command line, and is none.
    """
    if process.pid in servers():
        return True
    parent = process.parent()
    return _is_servant(process) and not (parent is not None and _is_servant(parent))


def _is_servant(process: psutil.Process) -> bool:
    return any(servant in argument for argument in process.cmdline() for servant in _SERVANTS)


def _end_since(before: set[psutil.Process]) -> None:
    """End the processes that were started since."""
    with _deaf():
        end(_children() - before)


def end(processes: set[psutil.Process]) -> None:
    """End processes, gently where they let us; ``multiprocessing``'s own helpers stay."""
    with _deaf():
        mine = [process for process in processes if runs(process)]
        for process in mine:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        _, stubborn = psutil.wait_procs(mine, timeout=1.0)
        for process in stubborn:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(stubborn, timeout=1.0)
        # A worker that died by itself is waited for by no one where that broke torch's own goodbye.
        multiprocessing.active_children()


@contextmanager
def _deaf() -> Iterator[None]:
    """Let torch not raise, in the middle of whatever runs next, that the workers ended here have ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)
        while _said_of_workers() is not None:
            pass
