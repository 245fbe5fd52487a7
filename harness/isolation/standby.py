"""A process for user code, forked from the command before the command knows its target.

The judge is itself a fork of a server that has imported torch. Its fork has nothing else: neither the plan, nor laws,
nor an oracle.
"""

import json
import os
import signal
import socket
import traceback
from collections.abc import Mapping
from pathlib import Path

from harness.isolation.callee import load_and_serve
from harness.isolation.fork_loop import become, close_files, end_with_parent, open_nothing, read_exactly
from harness.isolation.forked_process import NUMBER_BYTES, WaitableProcess


class StandbyProcess(WaitableProcess):
    """A fork of this process that waits for a line, and then answers on it; see :func:`.callee.load_and_serve`."""

    def __init__(self) -> None:
        self._start_line, child_end = socket.socketpair()
        pid = os.fork()
        if not pid:
            _wait_for_start(child_end.detach())
        child_end.close()
        super().__init__(pid, os.pidfd_open(pid))

    def begin(self, line: int, printed: int, environment: Mapping[str, str]) -> None:
        """Let the process answer on a line, in the folder of its parent, with a file for its output."""
        message = json.dumps({"folder": str(Path.cwd()), "environment": dict(environment)}).encode()
        with self._start_line:
            socket.send_fds(self._start_line, [len(message).to_bytes(NUMBER_BYTES, "little")], [line, printed])
            self._start_line.sendall(message)

    def end(self) -> None:
        """End the process if it was not taken."""
        self._start_line.close()
        self.wait()

    def _read_code(self) -> int:
        os.close(self._end)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


_kept: list[StandbyProcess] = []


def keep() -> None:
    """Fork a process that waits until it is taken."""
    _kept.append(StandbyProcess())


def take() -> StandbyProcess | None:
    """Return the waiting process, if there is one."""
    return _kept.pop() if _kept else None


def _wait_for_start(descriptor: int) -> None:
    """Wait for the streams and the environment, then answer requests until the end of this process."""
    try:
        end_with_parent(signal.SIGKILL)
        open_nothing(0, 1, 2)
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
