"""The fork server, seen from outside: it imports torch once for all workers.

A fork of the command itself may hang after torch has used threads. The server has one thread, and has imported only the
modules that its forks share. On systems without one, workers are fresh interpreters.
"""

import atexit
import contextlib
import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

from harness.isolation.environment import user_environment
from harness.isolation.forked_process import NUMBER_BYTES, ForkedProcess

ONE_THREAD = {
    # One thread, on which it computes, so that it can be forked; no arithmetic that torch need not load.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "SYMPY_GROUND_TYPES": "python",
}
"""Variables of a process that is to be forked."""

_UNREAD = ("HARNESS", "PYTEST", "HYPOTHESIS", "COVERAGE", "TOX")
"""Prefixes of variables that no imported module reads, so that another value needs no other server."""

_SERVE = "from harness.isolation.fork_loop import main; main()"
_GRACE_S = 2.0


def start_interpreter(
    program: str,
    *arguments: str,
    sandbox: str | None = None,
    interpreter: Sequence[str] = (),
    own_session: bool = True,
    **how: Any,
) -> subprocess.Popen[bytes]:
    """Start a program in a fresh interpreter, as the leader of a session; keywords as of ``subprocess.Popen``."""
    # Without the working directory on the path, so that no file in it replaces a module of ours.
    words = [*shlex.split(sandbox or ""), *(interpreter or [sys.executable]), "-P", "-c", program, *arguments]
    return subprocess.Popen(words, start_new_session=own_session, **how)


class ForkServer:
    """The server; it starts at the first request, and again after the environment has changed.

    Parameters
    ----------
    modules
        Modules to import before the first fork; none of them may import user code.
    interpreter
        Command line of its interpreter; this process's by default.
    own_session
        Whether the server and each fork begin a session, so that signals to the group of this process do not reach
        them.

    Notes
    -----
    It ends with this process, or after five minutes without requests and without living forks.
    """

    def __init__(self, *modules: str, interpreter: Sequence[str] = (), own_session: bool = True) -> None:
        self._modules, self._interpreter, self._own_session = modules, interpreter, own_session
        self._is_ready = False
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._origin: tuple[int, dict[str, str]] | None = None
        self._left: list[tuple[subprocess.Popen[bytes], socket.socket]] = []

    @property
    def pid(self) -> int | None:
        """Process number of the server, if it runs."""
        return None if self._process is None else self._process.pid

    def fork(
        self,
        text: str,
        printed: IO[bytes] | socket.socket,
        *,
        folder: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> ForkedProcess | None:
        """Fork a process that executes a program; return ``None`` if that is impossible.

        Parameters
        ----------
        text
            Python code.
        printed
            File for its errors, or a line.
        folder
            Its working directory; this process's by default.
        environment
            Its environment; by default this process's without secrets, because the judge may call user code.
        """
        if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
            return None
        variables = dict(user_environment() if environment is None else environment)
        message = {"text": text, "folder": folder or str(Path.cwd()), "environment": variables}
        document = json.dumps({**message, "own_session": self._own_session}).encode()
        with self._lock:
            for _ in range(2):
                with contextlib.suppress(OSError):
                    return self._ask(document, printed)
                # It ended after a time without requests, or was killed.
                self._leave()
        return None

    def begin(self) -> int:
        """Start the server if it does not run, without waiting for its imports, and return its number."""
        origin = os.getpid(), _build_environment()
        if self._origin != origin:
            self._leave()
        if self._process is None:
            self._start(origin)
        assert self._process is not None
        return self._process.pid

    def _ask(self, document: bytes, printed: IO[bytes] | socket.socket) -> ForkedProcess:
        self.begin()
        line = self._wait_for_line()
        (message, stdin), (stdout, answers), (status, exit_end) = os.pipe(), os.pipe(), socket.socketpair()
        try:
            socket.send_fds(line, [b"1"], [message, answers, printed.fileno(), exit_end.fileno()])
            pid = line.recv(NUMBER_BYTES, socket.MSG_WAITALL)
            if len(pid) < NUMBER_BYTES:
                raise ConnectionError
        except BaseException:
            for end in (stdin, stdout):
                os.close(end)
            status.close()
            # A late reply would be mistaken for the next one.
            self._leave()
            raise
        finally:
            for end in (message, answers):
                os.close(end)
            exit_end.close()
        process = ForkedProcess(int.from_bytes(pid, "little"), stdin, stdout, status)
        # A lost process reports this in its reply.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(len(document).to_bytes(NUMBER_BYTES, "little") + document)
            process.stdin.flush()
        return process

    def _start(self, origin: tuple[int, dict[str, str]]) -> None:
        # Once, also if it has started before.
        atexit.unregister(self.close)
        atexit.register(self.close)
        parent_end, child_end = socket.socketpair()
        with child_end:
            start = partial(start_interpreter, interpreter=self._interpreter, own_session=self._own_session)
            streams: dict[str, Any] = {"stdin": child_end, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
            self._process = start(_SERVE, *self._modules, env=origin[1], **streams)
        self._line, self._origin, self._is_ready = parent_end, origin, False

    def _wait_for_line(self) -> socket.socket:
        """Return the line after the server has imported its modules."""
        assert self._process is not None
        assert self._line is not None
        try:
            if not self._is_ready and self._line.recv(1) != b"\1":
                raise ConnectionError
        except BaseException:
            # It has no forks, and would see the end of requests only after the import of torch.
            self._process.kill()
            raise
        self._is_ready = True
        return self._line

    def _leave(self) -> None:
        """Send the server no more requests; its forks continue."""
        if self._process is not None and self._line is not None:
            if self._origin is not None and self._origin[0] == os.getpid():
                self._left.append((self._process, self._line))
            else:
                # It belongs to the parent of this fork.
                self._line.close()
                self._process.returncode = 0
        self._process = self._line = self._origin = None
        for server in [server for server in self._left if server[0].poll() is not None]:
            server[1].close()
            self._left.remove(server)

    def close(self) -> None:
        """End the server, and the earlier servers that still run."""
        self._leave()
        for process, line in self._left:
            line.close()
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._left.clear()


def _build_environment() -> dict[str, str]:
    """Return the variables of the server: the ones that an imported module may read."""
    variables = user_environment()
    return {
        **ONE_THREAD,
        **{name: variables[name] for name in variables if name != "_" and not name.startswith(_UNREAD)},
    }


SERVER = ForkServer("harness.isolation.standby")
"""The server of the workers of this process: it has imported everything that a process for user code needs."""
