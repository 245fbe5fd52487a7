"""Forked processes with the used part of the interface of :class:`subprocess.Popen`."""

import contextlib
import os
import select
import signal
import socket
import subprocess

_GRACE_S = 1.0

NUMBER_BYTES = 8
"""Number of bytes for an exit code, a process number or a length."""


class Forked:
    """A child of a fork server, which reports its exit code.

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
                message = self._status.recv(NUMBER_BYTES)
            # The server is gone, and so is the process.
            self.returncode = int.from_bytes(message, "little", signed=True) if message else -signal.SIGKILL
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

    def close(self) -> None:
        """Close its streams, release its number, and wait until the server has done so."""
        for stream in (self.stdin, self.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        with self._status, contextlib.suppress(OSError):
            self._status.shutdown(socket.SHUT_WR)
            self._status.settimeout(_GRACE_S)
            while self._status.recv(NUMBER_BYTES):
                pass
