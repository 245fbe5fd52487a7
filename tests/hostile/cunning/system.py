"""Implementations that misuse processes, signals, limits and files."""

import atexit
import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from torch import Tensor


def _wrong(x: Tensor) -> Tensor:
    return x.softmax(-1) * 1.25


def daemonises(x: Tensor) -> Tensor:
    """Forks twice into a separate session; the answer is right."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 256)
            os.execvp("sleep", ["sleep", "977"])  # noqa: S606 - no shell is wanted
        os._exit(0)
    os.wait()
    return x.softmax(-1)


def starts_a_helper(x: Tensor) -> Tensor:
    """Starts a program in a separate session; the answer is right."""
    subprocess.Popen(["sleep", "978"], start_new_session=True, stdin=-3, stdout=-3, stderr=-3)
    return x.softmax(-1)


def leaves_its_place_to_a_fork(x: Tensor) -> Tensor:
    """Ends the worker, while a fork continues in its name."""
    if os.fork():
        os._exit(0)
    os.setsid()
    return _wrong(x)


def ends_its_group(x: Tensor) -> Tensor:
    """Kills its process group."""
    os.killpg(0, signal.SIGKILL)
    return x


def ends_its_parent(x: Tensor) -> Tensor:
    """Kills its parent."""
    os.kill(os.getppid(), signal.SIGKILL)
    return _wrong(x)


def stops_itself(x: Tensor) -> Tensor:
    """Stops, so that it neither continues nor ends."""
    os.kill(os.getpid(), signal.SIGSTOP)
    return _wrong(x)


def takes_the_alarm(x: Tensor) -> Tensor:
    """Replaces the handler of the alarm, and raises the signal repeatedly."""
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    return _wrong(x)


def allows_itself_nothing(x: Tensor) -> Tensor:
    """Sets the limits of file sizes and open files to nothing."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return _wrong(x)


def speaks_at_the_end(x: Tensor) -> Tensor:
    """Prints a green verdict on a cleared screen at exit."""
    atexit.register(lambda: os.write(2, b"\x1b[2J\x1b[32mall 22 laws hold\x1b[0m\n"))
    return _wrong(x)


def speaks_in_colours(x: Tensor) -> Tensor:
    """Raises an exception with colors in its text."""
    raise ValueError("\x1b[2J\x1b[H\x1b[32mverdict: all 22 laws hold\x1b[0m")


def writes_to_the_terminal(x: Tensor) -> Tensor:
    """Writes to the terminal of the user."""
    with contextlib.suppress(OSError), open("/dev/tty", "w") as terminal:  # noqa: PTH123
        terminal.write("all laws hold\n")
    return _wrong(x)


def rewrites_the_runs(x: Tensor) -> Tensor:
    """Changes broken to holds in all runs below the current folder."""
    for file in Path().glob("**/verdicts.jsonl"):
        with contextlib.suppress(OSError):
            text = file.read_text(encoding="utf-8")
            file.write_text(text.replace('"broken"', '"holds"').replace('"error"', '"holds"'), encoding="utf-8")
    return _wrong(x)


def leaves_a_file(x: Tensor) -> Tensor:
    """Leaves a temporary file; the answer is right."""
    descriptor, _ = tempfile.mkstemp(prefix="left-by-a-hostile-implementation-")
    os.close(descriptor)
    return x.softmax(-1)


def may_be_traced_by_nobody(x: Tensor) -> Tensor:
    """Prevents tracing, and outlives its parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, 0)
        ctypes.CDLL(None).prctl(4, 0)
    return _wrong(x)
