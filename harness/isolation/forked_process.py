"""Forked processes with the used part of the interface of :class:`subprocess.Popen`."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

_GRACE_S = 1.0

CODE = 8
"""Bytes of an exit code, and of a number of anything."""


class Forked:
    """A child of the process that forks, whose exit code that one tells.

    Parameters
    ----------
    pid
        Its number, which is no other process's as long as this is not closed.
    stdin, stdout
        The ends of its streams.
    status
        Where its exit code will be.
    """

    def __init__(self, pid: int, stdin: int, stdout: int, status: socket.socket) -> None:
        self.pid, self._status = pid, status
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            If it does not end in time.
        """
        if self.returncode is None:
            if not select.select([self._status], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("", timeout or 0.0)
            message = b""
            with contextlib.suppress(OSError):
                message = self._status.recv(CODE)
            # The server is gone, and so is the process.
            self.returncode = int.from_bytes(message, "little", signed=True) if message else -signal.SIGKILL
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, where it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send it a signal, where it has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close(self) -> None:
        """Let its streams and its number go, and wait until that has gone."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        with self._status, contextlib.suppress(OSError):
            self._status.shutdown(socket.SHUT_WR)
            self._status.settimeout(_GRACE_S)
            while self._status.recv(CODE):
                pass


class Second:
    """A child of this process that was forked early and waits for its program.

    Parameters
    ----------
    pid
        Its number.
    line
        The line for its program.
    """

    def __init__(self, pid: int, line: int) -> None:
        self.pid, self._line = pid, socket.socket(fileno=line)
        self.returncode: int | None = None

    def begin(self, text: str, stdin: int, printed: int, environment: Mapping[str, str]) -> None:
        """Have it execute a text in this process's folder, with some streams."""
        message = json.dumps({"text": text, "folder": str(Path.cwd()), "environment": dict(environment)}).encode()
        with self._line:
            socket.send_fds(self._line, [len(message).to_bytes(CODE, "little")], [stdin, printed])
            self._line.sendall(message)

    def end(self) -> None:
        """End it without a program."""
        self._line.close()
        self.wait()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            If it does not end in time.
        """
        if self.returncode is None:
            handle = os.pidfd_open(self.pid)
            try:
                if not select.select([handle], [], [], timeout)[0]:
                    raise subprocess.TimeoutExpired("", timeout or 0.0)
            finally:
                os.close(handle)
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, where it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None
