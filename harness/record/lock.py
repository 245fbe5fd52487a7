"""One command at a time writes into a run: two would break each other's chains of records."""

import fcntl
import os
from pathlib import Path

from harness.error import UsageError

_held: dict[tuple[int, int], int] = {}
"""Descriptors of the folders that this process has locked; the system frees them with the process, however it ends."""


def lock(folder: Path) -> None:
    """Keep every other process from writing into a run until :func:`unlock`, or until this one ends.

    Raises
    ------
    UsageError
        If another process does.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    key = _key(folder)
    if key in _held:
        os.close(descriptor)
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise UsageError(
            f"another command is already writing to the run `{folder}`", remedy="wait for it or use another `--run`"
        ) from error
    except OSError:  # some file systems of networks have no locks
        os.close(descriptor)
        return
    _held[key] = descriptor


def unlock(folder: Path) -> None:
    """Let others write."""
    descriptor = _held.pop(_key(folder), None)
    if descriptor is not None:
        os.close(descriptor)


def _key(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino
