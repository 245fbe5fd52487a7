"""The fork server from inside: it has imported torch, and nothing of the harness.

A fresh interpreter receives its text, which imports nothing of the package. It forks a process for each request. That
process forks a second one before it receives its program, so the second has only torch and waits for another program.
The server reports exit codes.
"""

import atexit
import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import socket
import tempfile
from typing import Any

_IDLE_S = 300.0
_PR_SET_PDEATHSIG = 1
_MANY = 2**30


def serve(descriptor: int, modules: tuple[str, ...] = ()) -> str:
    """Fork for each request on a line; in a fork, return the program to execute.

    Missing modules are left to the program.
    """
    line = socket.socket(fileno=os.dup(descriptor))
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, descriptor)
    os.close(nothing)
    # While it does not listen, it ends with the thread that waits for it.
    _end_with_parent(signal.SIGKILL)
    import torch

    for name in modules:
        with contextlib.suppress(ImportError):
            __import__(name)

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    # Otherwise Triton reports the frozen objects as leaks at the end of a program, on its standard error.
    atexit.register(gc.unfreeze)
    may = len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - nothing is imported for it
    _end_with_parent(0)
    line.sendall(bytes([may]))
    living: dict[int, tuple[int, int]] = {}
    exits: dict[int, int] = {}
    while may:
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
            # The number stays reserved until the process has been waited for.
            os.waitpid(exits.pop(status), 0)
            os.close(status)
        if line in ready:
            mode, descriptors, *_ = socket.recv_fds(line, 1, 5)
            if len(descriptors) < 4:
                break
            *streams, status = descriptors[:4]
            lines = descriptors[4:]
            pid = os.fork()
            if not pid:
                line.detach()
                return _start_session(streams, lines, in_pairs=mode == b"2")
            living[os.pidfd_open(pid)] = pid, status
            for stream in (*streams, *lines):
                os.close(stream)
            line.sendall(pid.to_bytes(8, "little"))
    os._exit(0)


def _end_with_parent(number: int) -> None:
    """Have a signal come where whoever started this process ends; zero for none."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)


def _report(pid: int, status: int) -> None:
    """Write the exit code, and leave the process to whoever asks no more."""
    result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert result is not None
    code = result.si_status if result.si_code == os.CLD_EXITED else -result.si_status
    with contextlib.suppress(OSError):
        os.write(status, code.to_bytes(8, "little", signed=True))


def _start_session(streams: list[int], line: list[int], *, in_pairs: bool) -> str:
    """Start a session, receive the program, and use a given line as standard input."""
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    second = "None"
    kept = 2
    if in_pairs:
        parent_end, child_end = socket.socketpair()
        pid = os.fork()
        if not pid:
            parent_end.detach()
            return _waiting(child_end.detach())
        child_end.close()
        kept = parent_end.detach()
        second = f"({pid}, {kept})"
    message = json.loads(_read(0, int.from_bytes(_read(0, 8), "little")))
    for number, stream in zip((0, 1), (*line, 2) if line else (), strict=False):
        os.dup2(stream, number)
    os.closerange(3, max(3, kept))
    os.closerange(kept + 1, _MANY)
    os.chdir(message["folder"])
    os.environ.clear()
    _set_environment(message["environment"])
    text: str = message["text"]
    return text.replace("SECOND", second)


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.update(variables)
    # An import of this process may have looked up the folder for temporary files, which Python remembers.
    tempfile.tempdir = variables.get("TMPDIR")


def _read(descriptor: int, count: int) -> bytes:
    read = b""
    while len(read) < count:
        more = os.read(descriptor, count - len(read))
        if not more:
            os._exit(0)
        read += more
    return read


def _waiting(descriptor: int) -> str:
    """Wait for the streams and the environment in a process without a program."""
    _end_with_parent(signal.SIGKILL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.dup2(descriptor, 3)
    os.closerange(4, _MANY)
    line = socket.socket(fileno=3)
    header, descriptors, *_ = socket.recv_fds(line, 8, 2)
    if len(descriptors) < 2:
        os._exit(0)
    message = json.loads(_read(line.fileno(), int.from_bytes(header, "little")))
    for own_stream, stream in zip((0, 1, 2), (descriptors[0], descriptors[1], descriptors[1]), strict=True):
        os.dup2(stream, own_stream)
    line.detach()
    os.closerange(3, _MANY)
    os.setsid()
    os.chdir(message["folder"])
    _set_environment(message["environment"])
    text: str = message["text"]
    return text
