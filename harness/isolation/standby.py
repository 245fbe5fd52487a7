"""A process for user code that is forked of the judge before the judge knows what to judge.

The judge is itself a fork of a server that has imported torch. Its fork has nothing else: neither the plan, nor laws,
nor an oracle.
"""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import traceback
from collections.abc import Mapping
from pathlib import Path

from harness.isolation.callee import load_and_serve
from harness.isolation.fork_loop import become, close_files, end_with_parent, read_exactly
from harness.isolation.forked_process import NUMBER_BYTES


class StandbyProcess:
    """A fork of this process that waits for a line, and then answers on it; see :func:`.callee.load_and_serve`."""

    def __init__(self) -> None:
        self._start_line, child_end = socket.socketpair()
        self.pid = os.fork()
        if not self.pid:
            _wait_for_start(child_end.detach())
        child_end.close()
        self.returncode: int | None = None

    def begin(self, line: int, printed: int, environment: Mapping[str, str]) -> None:
        """Have it answer on a line, in this process's folder, with a file for its output."""
        message = json.dumps({"folder": str(Path.cwd()), "environment": dict(environment)}).encode()
        with self._start_line:
            socket.send_fds(self._start_line, [len(message).to_bytes(NUMBER_BYTES, "little")], [line, printed])
            self._start_line.sendall(message)

    def end(self) -> None:
        """End it if it is not used."""
        self._start_line.close()
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
        """Return the exit code if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0)
        return None


def _wait_for_start(descriptor: int) -> None:
    """Wait for the streams and the environment, then answer requests until the end of this process."""
    try:
        end_with_parent(signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nothing, stream)
        # The judge's own lines are open here, too.
        close_files(descriptor)
        load_and_serve(socket.socket(fileno=_receive_start(descriptor)))
    except BaseException:  # noqa: BLE001 - the stack below belongs to the judge
        traceback.print_exc()
    finally:
        os._exit(1)


def _receive_start(descriptor: int) -> int:
    """Receive the streams, the folder and the environment, and return the line for requests."""
    with socket.socket(fileno=descriptor) as start_line:
        header, descriptors, *_ = socket.recv_fds(start_line, NUMBER_BYTES, 2)
        if len(descriptors) < 2:
            os._exit(0)
        message = json.loads(read_exactly(start_line.fileno(), int.from_bytes(header, "little")))
    line, printed = descriptors
    os.dup2(printed, 1)
    os.dup2(printed, 2)
    close_files(line)
    os.setsid()
    become(message["folder"], message["environment"])
    return line
