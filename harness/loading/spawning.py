"""Fast spawned workers: forks of processes that have imported torch but no user code.

A fresh interpreter needs CPU seconds to import torch, and a check of a loader starts dozens of workers. The fork keeps
the promises of a spawned worker. It inherits no state, its arguments are pickled, and the system seeds its global
generators. Its string hashes differ from those in other workers, so sets have another order. Workers are spawned if
such processes are not available.
"""

import atexit
import ctypes
import os
import pickle
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import util
from typing import Any

from harness.compat.python import popen_spawn_posix
from harness.loading.spawn_server import LENGTH_BYTES

_SERVERS = 2
"""Number of processes that take turns, with different hash seeds."""

_BEGINS_S = 120.0
"""Seconds within which such a process begins, on a busy machine."""

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
_STREAMS = (0, 1, 2)
_STARTER = "from harness.loading.spawn_server import serve; serve({})"


class _Server:
    """A server process, and the line to it."""

    def __init__(self, interpreter: Sequence[Any]) -> None:
        self._line, child_end = socket.socketpair()
        with child_end:
            self._process = subprocess.Popen(
                [*interpreter, "-P", "-c", _STARTER.format(child_end.fileno())],
                pass_fds=[child_end.fileno()],
                env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            )
        self._may: bool | None = None

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def started(self, text: str, arguments: Sequence[str], files: Sequence[int]) -> int:
        """Start a worker, and return its number.

        Raises
        ------
        OSError
            If that is impossible.
        """
        if self._may is None:
            with _no_alarm():
                self._line.settimeout(_BEGINS_S)
                self._may = self._line.recv(1) == b"\x01"
                self._line.settimeout(None)
        if not self._may:
            raise OSError("the fork server runs several threads and cannot be forked")
        descriptors = [*_STREAMS, *files]
        request = pickle.dumps(
            {
                "text": text,
                "arguments": arguments,
                "files": descriptors,
                "folder": os.getcwd(),  # noqa: PTH109 - as a process has it
                "environment": dict(os.environ),
            }
        )
        with _adopting():
            socket.send_fds(self._line, [len(request).to_bytes(LENGTH_BYTES, "little")], descriptors)
            self._line.sendall(request)
            pid = int.from_bytes(self._line.recv(LENGTH_BYTES), "little")
        if not pid:
            raise OSError("the fork server has exited")
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises where it is no child of this process
        return pid

    def end(self) -> None:
        """End it; its forks continue."""
        self._line.close()
        self._process.kill()
        self._process.wait()


@contextmanager
def _no_alarm() -> Iterator[None]:
    """Suspend the interval timer, so that importing torch does not count against the caller's limit."""
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s, interval_s)


@contextmanager
def _adopting() -> Iterator[None]:
    """Adopt processes whose parent ends in the body."""
    control, before = ctypes.CDLL(None).prctl, ctypes.c_int()
    control(_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    control(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        control(_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


@dataclass
class _Spawning:
    """Stands in for ``multiprocessing.util`` where a process is spawned."""

    owner: int = 0
    servers: list[_Server] = field(default_factory=list)
    turns: Iterator[_Server] = field(default_factory=lambda: iter(()))

    def __getattr__(self, name: str) -> Any:
        return getattr(util, name)

    def spawnv_passfds(self, path: Any, arguments: Sequence[Any], files: Sequence[int]) -> int:
        """Start a process that has some of our files, and return its number."""
        try:
            at = arguments.index("-c")
            if self.owner != os.getpid():  # those of a process that has forked are not its child's
                self.owner, self.servers = os.getpid(), [_Server(arguments[:at]) for _ in range(_SERVERS)]
                self.turns = cycle(self.servers)
                atexit.register(_end, self.servers, self.owner)
            text, *rest = arguments[at + 1 :]
            return next(self.turns).started(text, ["-c", *rest], sorted(map(int, files)))
        except (OSError, ValueError):
            return util.spawnv_passfds(path, arguments, files)


def _end(servers: Sequence[_Server], owner: int) -> None:
    if owner == os.getpid():
        for server in servers:
            server.end()


_spawning = _Spawning()


@contextmanager
def spawned_quickly() -> Iterator[None]:
    """Have workers that are spawned in the body forked of a process that has imported torch, on Linux."""
    if sys.platform != "linux":
        yield
        return
    before = popen_spawn_posix.util  # type: ignore[attr-defined]
    popen_spawn_posix.util = _spawning  # type: ignore[attr-defined]
    try:
        yield
    finally:
        popen_spawn_posix.util = before  # type: ignore[attr-defined]


def servers() -> set[int]:
    """Return the server processes of this process."""
    return {server.pid for server in _spawning.servers} if _spawning.owner == os.getpid() else set()
