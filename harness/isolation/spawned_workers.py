"""Workers that ``multiprocessing`` would spawn, forked instead of processes that have imported torch but no user code.

A fresh interpreter needs CPU seconds to import torch, and a check of a loader starts dozens of workers. The fork keeps
the promises of a spawned worker. It inherits no state, its arguments are pickled, and the system seeds its global
generators. Its string hashes differ from those in other workers, so sets have another order. Workers are spawned if
such processes are not available.
"""

import ctypes
import os
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from multiprocessing import util
from typing import Any

from harness.compat.python import popen_spawn_posix
from harness.isolation.fork_server import ForkServer
from harness.isolation.forked_process import NUMBER_BYTES
from harness.loading.supervision import spared

_SET_CHILD_SUBREAPER, _GET_CHILD_SUBREAPER = 36, 37
_STREAMS = (0, 1, 2)
_PROGRAM = "from harness.isolation.fork_loop import run_worker; run_worker({!r}, {!r}, {!r})"


class _ForkingUtil:
    """Stands in for ``multiprocessing.util`` where a process is spawned; two servers with different hash seeds."""

    def __init__(self) -> None:
        self._servers: list[ForkServer] = []
        self._turns: Iterator[ForkServer] = iter(())

    def __getattr__(self, name: str) -> Any:
        return getattr(util, name)

    def spawnv_passfds(self, path: Any, arguments: Sequence[Any], files: Sequence[int]) -> int:
        """Start a process that has some of our files, and return its number."""
        try:
            position = arguments.index("-c")
            program, *rest = arguments[position + 1 :]
            return self._fork(program, ["-c", *rest], [*_STREAMS, *sorted(map(int, files))], arguments[:position])
        except (OSError, ValueError):
            return util.spawnv_passfds(path, arguments, files)

    def _fork(self, program: str, arguments: list[str], files: list[int], interpreter: Sequence[Any]) -> int:
        text = _PROGRAM.format(program, arguments, files)
        with _suspend_alarm(), _adopt_orphans():
            if not self._servers:
                self._servers += [ForkServer("torch", interpreter=interpreter, own_session=False) for _ in range(2)]
                self._turns = cycle(self._servers)
            for server in self._servers:  # together, so that they import torch at the same time
                spared.add(server.begin())
            own_end, other_end = socket.socketpair()
            with own_end, other_end:
                process = next(self._turns).fork(text, other_end, environment=os.environ)
                if process is None:
                    raise OSError("there is no fork server")
                try:
                    socket.send_fds(own_end, [b"1"], files)
                    pid = int.from_bytes(process.stdout.read(NUMBER_BYTES), "little")
                    process.wait()
                finally:
                    process.close()
        if not pid:
            raise OSError("the fork server has exited")
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # raises where it is no child of this process
        return pid


@contextmanager
def _suspend_alarm() -> Iterator[None]:
    """Suspend the interval timer, so that importing torch does not count against the caller's limit."""
    left_s, interval_s = signal.setitimer(signal.ITIMER_REAL, 0.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left_s, interval_s)


@contextmanager
def _adopt_orphans() -> Iterator[None]:
    """Adopt processes whose parent ends in the body."""
    control, before = ctypes.CDLL(None).prctl, ctypes.c_int()
    control(_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    control(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        control(_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


_forking_util = _ForkingUtil()


@contextmanager
def fork_spawned_workers() -> Iterator[None]:
    """Fork the workers that the body spawns from a process that has imported torch, on Linux."""
    if sys.platform != "linux":
        yield
        return
    before = popen_spawn_posix.util  # type: ignore[attr-defined]
    popen_spawn_posix.util = _forking_util  # type: ignore[attr-defined]
    try:
        yield
    finally:
        popen_spawn_posix.util = before  # type: ignore[attr-defined]
