"""Forked processes with the used part of the interface of :class:`subprocess.Popen`."""

import contextlib
import os
import select
import signal
import socket
import subprocess
from typing import Any

_GRACE_S = 1.0

NUMBER_BYTES = 8
"""Number of bytes for an exit code, a process number or a length."""


class WaitableProcess:
    """A forked process that has ended once its ``end`` can be read, and then gives its exit code.

    Parameters
    ----------
    pid
        Its number.
    end
        A file or the number of a file.
    """

    def __init__(self, pid: int, end: Any) -> None:
        self.pid, self._end = pid, end
        self.returncode: int | None = None

    def _read_code(self) -> int:
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises
        ------
        subprocess.TimeoutExpired
            If it does not end in time.
        """
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("", timeout or 0.0)
            self.returncode = self._read_code()
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit code if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send it a signal if it has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ForkedProcess(WaitableProcess):
    """A fork of a fork server, which reports its exit code.

    Parameters
    ----------
    pid
        Its number; no other process has it until this object is closed.
    stdin, stdout
        The ends of its streams.
    status
        The line on which the server writes the exit code.
    """

    def __init__(self, pid: int, stdin: int, stdout: int, status: socket.socket) -> None:
        super().__init__(pid, status)
        self.stdin, self.stdout = os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb")

    def _read_code(self) -> int:
        message = b""
        with contextlib.suppress(OSError):
            message = self._end.recv(NUMBER_BYTES)
        # Without a message the server is gone, and so is the process.
        return int.from_bytes(message, "little", signed=True) if message else -signal.SIGKILL

    def close(self) -> None:
        """Close its streams, release its number, and wait until the server has done so."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        with self._end, contextlib.suppress(OSError):
            self._end.shutdown(socket.SHUT_WR)
            self._end.settimeout(_GRACE_S)
            while self._end.recv(NUMBER_BYTES):
                pass
