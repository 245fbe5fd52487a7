"""Faults of loaders: a plain sentence, the index of the sample if there is one, and a remedy.

Exceptions of a loader become faults in :mod:`harness.loading.supervision`, and :mod:`harness.loading.faulty_sample`
finds the sample that caused one.
"""

import os
import pickle
import re
import signal
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


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
    SHARED_FILE = "shared file"


WITHOUT_SAMPLE = set(FaultKind) - {FaultKind.DIED, FaultKind.RAISED, FaultKind.LENGTH, FaultKind.HUNG}
"""Kinds that no single sample causes."""


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


# Meaning of exceptions

_PIDS = re.compile(r"\(pid(?:\(s\))? ([\d, ]+)\)")
_WORKER = re.compile(r"in DataLoader worker process (\d+)")
_HOW = re.compile(r"killed by (signal: [^.]+)|exited unexpectedly with (exit code \d+)")
_NO_SHARED_MEMORY = ("unable to allocate shared memory", "unable to resize file", "unable to mmap", "Bus error")


def find_fault(error: Exception) -> LoadingFault:
    """Return the fault that an error means."""
    text = get_message(error)
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
        return worker_death(text)
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


def worker_death(text: str, exit_code: int | None = None) -> LoadingFault:
    """Return the fault of a dead worker, with the cause from torch or from the exit code."""
    match = _HOW.search(text)
    if match is not None:
        end = f"is killed by {match[1]}" if match[1] else f"exits with {match[2]}"
    elif exit_code is None:
        end = "exits"
    else:
        killed = exit_code < 0
        end = f"is killed by signal: {signal.strsignal(-exit_code)}" if killed else f"exits with exit code {exit_code}"
    remedy = "load without workers to see where the process ends"
    if "Killed" in end:
        remedy = "memory may have run out: use fewer workers or smaller batches"
    return LoadingFault(FaultKind.DIED, f"a worker process {end} instead of delivering", remedy)


def named_processes(error: BaseException) -> set[int]:
    """Return the processes that an error of ``DataLoader`` names."""
    return {int(pid) for match in _PIDS.finditer(get_message(error)) for pid in match[1].split(",")}


def get_message(error: BaseException) -> str:
    """Return the text of an error and its cause, which names the signal that killed a worker."""
    return f"{error}\n{error.__cause__ or ''}"


_SHARED_MEMORY_REMEDY = (
    "use fewer workers, a smaller prefetch factor or smaller batches, or enlarge /dev/shm (`docker run --shm-size`)"
)
_HUNG_REMEDY = "set a time limit for each wait of the data set; locks and threads do not survive a `fork`"


def timeout_fault(limit_s: float) -> LoadingFault:
    """Return the fault of a timeout; scarce shared memory may have lost a batch silently."""
    text, free_bytes = f"loading hangs: no batch arrived within {limit_s:g} s", shared_memory_left()
    if free_bytes is not None and free_bytes < _SCARCE:
        scarce = f"{text}, and only {free_bytes / 2**20:.3g} MB of shared memory are left"
        return LoadingFault(FaultKind.SHARED_MEMORY, scarce, _SHARED_MEMORY_REMEDY)
    return LoadingFault(FaultKind.HUNG, text, _HUNG_REMEDY)


_SCARCE = 2**23
"""Bytes of shared memory below which queues between processes may lose data."""

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it, by no choice of ours


def shared_memory_left() -> int | None:
    """Return the free bytes of shared memory; ``None`` if unknown."""
    if not hasattr(os, "statvfs") or not SHARED_MEMORY.is_dir():
        return None
    status = os.statvfs(SHARED_MEMORY)
    return status.f_bavail * status.f_frsize


def _unpicklable(error: Exception, text: str) -> bool:
    if isinstance(error, pickle.PicklingError):
        return True
    return isinstance(error, AttributeError | TypeError) and ("pickle" in text or "local object" in text)
