"""The fork server from inside: it imports torch once, and forks a process for each request.

It imports no user code, no law and no oracle, and has one thread. It reports the exit codes of its forks.
"""

import atexit
import contextlib
import ctypes
import fcntl
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from harness.compat.python import flush_streams, run_exit_functions
from harness.isolation.forked_process import NUMBER_BYTES

_IDLE_S = 300.0
_PR_SET_PDEATHSIG = 1
_BEYOND_ALL = 2**30


def main() -> None:
    """Serve on standard input; the arguments are the modules to import before the first fork."""
    # Garbage collection takes a fifth of the time of the imports.
    gc.disable()
    modules, sys.argv[1:] = sys.argv[1:], []
    text = serve(0, modules)
    exec(text, {"__name__": "__main__"})  # noqa: S102 - of the process that started the server


def serve(descriptor: int, modules: Sequence[str]) -> str:
    """Fork for each request on a line; in a fork, return the program to execute."""
    line = socket.socket(fileno=os.dup(descriptor))
    open_nothing(descriptor)
    # While it imports, it would not notice that the process that waits for it has ended.
    end_with_parent(signal.SIGKILL)
    for name in modules:
        # A program of a fork reports a missing module.
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    # Otherwise Triton reports the frozen objects as leaks at the end of a program, on its standard error.
    atexit.register(gc.unfreeze)
    may_fork = len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - nothing is imported for it
    end_with_parent(0)
    line.sendall(bytes([may_fork]))
    living: dict[int, tuple[int, int]] = {}
    exits: dict[int, int] = {}
    while may_fork:
        watched: list[Any] = [line, *living, *exits]
        ready = select.select(watched, [], [], _IDLE_S)[0]
        if not (ready or living or exits):
            break
        for handle in living.keys() & set(ready):
            pid, status = living.pop(handle)
            os.close(handle)
            _report(pid, status)
            exits[status] = pid
        for status in exits.keys() & set(ready):
            # The number stays reserved until the other side has no use for it.
            os.waitpid(exits.pop(status), 0)
            os.close(status)
        if line in ready:
            _, descriptors, *_ = socket.recv_fds(line, 1, 4)
            if len(descriptors) < 4:
                break
            *streams, status = descriptors
            pid = os.fork()
            if not pid:
                line.detach()
                return _start_session(streams)
            living[os.pidfd_open(pid)] = pid, status
            for stream in streams:
                os.close(stream)
            line.sendall(pid.to_bytes(NUMBER_BYTES, "little"))
    os._exit(0)


def end_with_parent(signal_number: int) -> None:
    """Have the system send a signal to this process when its parent ends; zero for none."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)


def close_files(*kept: int) -> None:
    """Close all files but the standard streams and some others."""
    first = 3
    for number in sorted(kept):
        os.closerange(first, number)
        first = number + 1
    os.closerange(first, _BEYOND_ALL)


def become(folder: str, environment: dict[str, str]) -> None:
    """Use a working directory, and an environment instead of the present one."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # An import may have looked up the folder for temporary files, which Python remembers.
    tempfile.tempdir = environment.get("TMPDIR")


def read_exactly(descriptor: int, count: int) -> bytes:
    """Read some bytes; end this process if the other side is gone."""
    received = b""
    while len(received) < count:
        more = os.read(descriptor, count - len(received))
        if not more:
            os._exit(0)
        received += more
    return received


def open_nothing(*descriptors: int) -> None:
    """Replace open files by the null device."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(nothing, descriptor)
    os.close(nothing)


def _report(pid: int, status: int) -> None:
    """Write the exit code of a fork, which is not yet waited for."""
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert result is not None
    code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
    with contextlib.suppress(OSError):
        os.write(status, code.to_bytes(NUMBER_BYTES, "little", signed=True))


def _start_session(streams: list[int]) -> str:
    """Use the given streams, receive the program, and begin a session if the message asks for one."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    close_files()
    message = json.loads(read_exactly(0, int.from_bytes(read_exactly(0, NUMBER_BYTES), "little")))
    if message["own_session"]:
        os.setsid()
    become(message["folder"], message["environment"])
    text: str = message["text"]
    return text


def run_worker(program: str, arguments: list[str], files: list[int]) -> None:
    """Become a worker that a process has spawned; its files have the same numbers as there.

    The files come over the line that stands in place of the standard error. The worker is a fork of this process, which
    writes its number and ends, so that the requesting process adopts it.
    """
    line = socket.socket(fileno=2)
    _, descriptors, *_ = socket.recv_fds(line, 1, len(files))
    line.detach()
    if pid := os.fork():
        os.write(1, pid.to_bytes(NUMBER_BYTES, "little"))
        os._exit(0)
    first_free = max(*files, *descriptors) + 1
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, first_free) for descriptor in descriptors]
    for descriptor, number in zip(moved, files, strict=True):
        os.dup2(descriptor, number)
    close_files(*files[3:])
    sys.argv[:] = arguments
    # A fresh interpreter draws its seeds from the system.
    random.seed()
    sys.modules["torch"].seed()
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed()
    gc.enable()
    try:
        exec(program, {"__name__": "__main__"})  # noqa: S102 - the command line of that interpreter
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            # Ends like an interpreter, but keeps the imported modules, because freeing them would copy each page.
            run_exit_functions()
            flush_streams()
            os._exit(end.code or 0)
        raise
