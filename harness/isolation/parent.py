"""End of a process after its command: with all descendants and temporary files."""

import contextlib
import os
import shutil
import signal
import time
from typing import NoReturn

import psutil

PARENT_S = 1.0
"""Seconds after which it is noticed that the other side is gone."""


def watch_parent(parent: int, scratch: str | None) -> None:
    """Wait for the end of the parent, then end this process and its descendants.

    Parameters
    ----------
    parent
        Its number.
    scratch
        A folder to be removed then.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_S)
    end(1, scratch)


def end_group(pid: int) -> None:
    """Kill a process, and its group if it leads one."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def end(code: int, scratch: str | None) -> NoReturn:
    """End at once, also with running threads, and with all child processes and temporary files.

    The parent may be gone and cannot do this.
    """
    # A child that has not yet asked the system to end it with its parent would survive.
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(code)
