"""The end of a process whose command is gone: with what it has started, and what was written for it."""

import contextlib
import os
import select
import shutil
import time
from typing import NoReturn

import psutil

PARENT_S = 1.0
"""Seconds after which it is noticed that the other side is gone."""


def end_with_parent(parent: int, scratch: str | None) -> None:
    """End where the parent has, however long this process would go on.

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


def end_with_reader(descriptor: int, scratch: str | None) -> None:
    """End where nobody reads any longer what is written to a pipe; until then nothing is done that takes time.

    Parameters
    ----------
    descriptor
        The end of the pipe that is written to.
    scratch
        A folder to be removed then.
    """
    gone = select.poll()
    gone.register(descriptor, 0)
    gone.poll()
    end(1, scratch)


def end(code: int, scratch: str | None) -> NoReturn:
    """End at once, whatever threads still run, with what was started and written here.

    The other side may be gone, so that nobody else would.
    """
    # One that has not come to say whom it ends with would outlive this process.
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)
    os._exit(code)
