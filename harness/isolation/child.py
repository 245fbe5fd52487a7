"""The process for user code, seen from the judge: it starts, receives requests, and ends with its descendants.

It receives requests and returns bytes, and its side effects are reported. A reply that comes before its request, twice,
or with the mark of another request is an error.
"""

import contextlib
import ctypes
import os
import secrets
import select
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from harness.calling import watch
from harness.calling.discovery import project_path, root_of
from harness.calling.host import GoneError
from harness.calling.target import ENTRY_POINTS
from harness.error import UsageError
from harness.isolation import wire
from harness.isolation.environment import user_environment
from harness.isolation.fork_server import ONE_THREAD, start_interpreter
from harness.isolation.limits import Limits
from harness.isolation.lost_worker import SILENT, WorkerFailure, describe_failure, read_end
from harness.isolation.parent import end_group
from harness.isolation.standby import StandbyProcess
from harness.record import Fault

UNASKED = "writes into files that it has not opened"
"""Message about a process that answers without a request."""

STRAYS = "leaves a process running (with `--no-isolate`, an implementation may keep one, such as a compiler)"
"""Message about code that leaves processes running."""

STOPS = "hangs: it stops its process, and a call did not return within {:g} s"
"""Message about a process that receives SIGSTOP."""

_GRACE_S = 3.0
"""Seconds between the end of a process's line and its exit code, on a machine with much other work."""

_FORK_S = 30.0
_KILL_S = 30.0
_PR_SET_CHILD_SUBREAPER = 36


class LostError(GoneError):
    """The process ended or hung during a request; no law may catch this."""

    def __init__(self, failure: WorkerFailure) -> None:
        self.failure = failure
        super().__init__(failure.sentence)


class Child:
    """The process and its fork that receives requests; it starts at the first request.

    Parameters
    ----------
    limits
        Limits of the code.
    setup
        Description of the code to load.
    standby
        A waiting process to use first; later ones, and all in a sandbox, are fresh interpreters.
    reaps
        Whether this process has no other children, so that all additional ones are strays.
    """

    def __init__(
        self,
        limits: Limits,
        setup: Mapping[str, Any],
        standby: StandbyProcess | None = None,
        *,
        reaps: bool = False,
    ) -> None:
        self.limits, self._setup, self._reaps = limits, dict(setup), reaps
        self._standby = standby
        self._process: StandbyProcess | subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None
        self._replies: wire.Buffered | None = None
        self._server: int | None = None
        self.call_s = limits.call_s
        self._first_call_s: float | None = limits.first_call_s
        """Seconds for the next call, if it may take longer than a call."""
        self._until = time.monotonic() + limits.load_s
        """Deadline of the piece of work."""
        self._sent_limits: tuple[Any, ...] | None = None
        self._heard = 0
        self.about: dict[str, Any] = {}
        self.generation = 0
        """Number of the forked process that receives the requests."""
        self.is_spoilt = False
        """Whether the code has left traces that would affect later calls, such as running threads."""
        self._asked_at = 0.0
        self.has_loaders = False
        """Whether the process reads loaders, which have worker processes."""
        self._beside: list[Child] = []
        if reaps:
            _reap_strays()

    # Life

    @property
    def processor_time(self) -> float:
        """The processor time of the process that answers; zero where no kernel tells it."""
        with contextlib.suppress(OSError):
            # The number of the clock of a process, as clock_getcpuclockid returns it on Linux.
            return time.clock_gettime((~self._server << 3) | 2) if self._server else 0.0
        return 0.0

    def start(self) -> None:
        """Start the process and have it load the code.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        self._folder = tempfile.mkdtemp(prefix="tmp", dir=self.limits.scratch)
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        parent_end, child_end = _open_line()
        self._control = parent_end
        self._process = self._launch(child_end.fileno())
        child_end.close()
        self._until = time.monotonic() + self.limits.load_s
        try:
            wire.send(parent_end, bytes(wire.MARK), self._setup)
            _, self.about = wire.receive(self._read(parent_end))
        except (OSError, wire.WireError, LostError) as error:
            lost = error.failure if isinstance(error, LostError) else self._describe_failure()
            if lost.fault is Fault.HUNG:
                lost = describe_failure(None, "", replace(self.limits, law_s=self.limits.load_s))
            self.close()
            raise UsageError(
                f"cannot import `{self._setup['target'].partition(':')[0]}`", rule=f"the import {lost.sentence}"
            ) from None
        if "usage" in self.about:
            self.close()
            raise UsageError(**{name: value and str(value) for name, value in self.about["usage"].items()})

    def _launch(self, line: int) -> StandbyProcess | subprocess.Popen[bytes]:
        """Return the process: the waiting one, or a fresh one."""
        environment = {**ONE_THREAD, **user_environment(self._folder)}
        if self._standby is not None:
            standby, self._standby = self._standby, None
            standby.begin(line, self._printed.fileno(), environment)
            return standby
        program = "from harness.isolation.callee import main; main()"
        streams: dict[str, Any] = {"stdin": line, "stdout": self._printed, "stderr": self._printed}
        return start_interpreter(program, sandbox=self.limits.sandbox, env=environment, **streams)

    def read_loaders(self, *, named: bool = True) -> None:
        """Read loaders from the next start on; the target may then be any object.

        ``named`` says whether the target has a loader's name, and need not be callable.
        """
        self.close()
        self.has_loaders = self._setup["loaders"] = True
        self._setup["objects"] = named

    def sibling(self, setup: Mapping[str, Any]) -> "Child":
        """Return another process, which this one does not take for a stray."""
        child = Child(self.limits, setup)
        self._beside.append(child)
        return child

    def close(self) -> None:
        """End the process and its descendants."""
        if self._process is None:
            return
        self._end_server()
        end_group(self._process.pid)
        self._process.wait()
        self._end_strays()
        self._control.close()
        self._printed.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._process = None

    def renew(self) -> None:
        """Use a new process for the next request."""
        self.is_spoilt = False
        if self._process is None:
            return
        until = self._until
        self._end_server()
        self._until, self._first_call_s = until, self.limits.first_call_s
        self._close_unless_it_forks()

    def _end_server(self) -> None:
        if self._server is not None and self._process is not None and self._server != self._process.pid:
            end_group(self._server)
            try:
                self._until = time.monotonic() + _KILL_S
                self._read_number(_KILL_S)  # the exit code does not matter
            except (OSError, LostError, EOFError):
                # A late exit code would be taken for the number of the next fork.
                end_group(self._process.pid)
                self._process.wait()
        if self._line is not None:
            self._line.close()
        self._server = self._line = None

    def _start_server(self) -> socket.socket:
        if self._process is None:
            self.start()
        assert self._process is not None
        parent_end, child_end = _open_line()
        socket.send_fds(self._control, [b"s"], [child_end.fileno()])
        child_end.close()
        self._line, self._sent_limits = parent_end, None
        self._replies = wire.Buffered(self._take(parent_end))
        self.generation += 1
        self._server = self._process.pid
        if self.about.get("forks"):
            # A number from a sandbox may mean another process, so it is not used to end one.
            server = self._read_number(_FORK_S)
            is_ours = server in _find_children(self._process.pid)
            self._server, self.about["forks"] = (server, True) if is_ours else (self._server, False)
        self._heard = os.fstat(self._printed.fileno()).st_size
        return parent_end

    def _read_number(self, within_s: float) -> int:
        """Read the process number of its fork, or the exit code of that."""
        buffer = bytearray(8)
        read = self._read(self._control, within=within_s)
        read(memoryview(buffer))
        return int.from_bytes(buffer, "little", signed=True)

    # Pieces of work

    def begin(self, call_s: float, first_call_s: float | None, within_s: float) -> None:
        """Begin a piece of work, with its time limits."""
        self.call_s, self._first_call_s, self._until = call_s, first_call_s, time.monotonic() + within_s
        self._sent_limits = None

    def take_side_effect(self) -> tuple[Fault, str] | None:
        """Return the side effects of the code since the last time."""
        if self._process is None:
            return None
        # A sandbox ends its descendants.
        strays = set() if self.limits.sandbox or self.has_loaders else _find_children(self._server)
        for stray in strays:
            end_group(stray)
        if self._end_strays() or strays:
            self.is_spoilt = True
            return Fault.STATE, STRAYS
        size = os.fstat(self._printed.fileno()).st_size
        if size > self._heard:
            printed = os.pread(self._printed.fileno(), 4 * watch.MAX_QUOTED, self._heard)
            self._heard = size
            return Fault.PRINTED, watch.PRINTS.format(watch.quote_output(printed))
        return None

    def ask(self, request: dict[str, Any], special: Callable[[Any], Any] = lambda value: value) -> dict[str, Any]:
        """Send a request, and return the reply.

        Raises
        ------
        LostError
            If the process ends, takes too long, or sends anything but the reply.
        """
        line = self._line or self._start_server()
        replies = self._replies
        assert replies is not None
        if self._sent_limits is None:
            self._sent_limits = (self.call_s, self._first_call_s, self.limits.first_call_s)
            request = {**request, "limits": list(self._sent_limits)}
            self._first_call_s = None
        if select.select([line], [], [], 0.0)[0]:
            self._raise_loss(None if self._is_open(line) else self._describe_failure())
        mark, self._asked_at = secrets.token_bytes(wire.MARK), time.monotonic()
        try:
            wire.send(line, mark, request)
            _, reply = wire.receive(replies, special, mark)
        except LostError as lost:
            self._raise_loss(lost.failure)
        except OSError:
            self._raise_loss(self._describe_failure())
        except wire.WireError:
            self._raise_loss(None)
        if replies.rest or not isinstance(reply, dict):
            self._raise_loss(None)
        return reply

    def _close_unless_it_forks(self) -> None:
        """End the process if it cannot fork another server."""
        if self._process is not None and (not self.about.get("forks") or self._process.poll() is not None):
            self.close()

    def _raise_loss(self, lost: WorkerFailure | None) -> NoReturn:
        self._end_server()
        self._close_unless_it_forks()
        self._end_strays()
        raise LostError(lost or WorkerFailure(Fault.STATE, UNASKED)) from None

    def end_strays(self, wait_s: float) -> int:
        """End processes that have lost their parent and do not end by themselves in time; return how many."""
        until = time.monotonic() + wait_s
        while (strays := self._find_strays()) and time.monotonic() < until:
            time.sleep(0.02)
        self._end_strays()
        return len(strays)

    def _find_strays(self) -> set[int]:
        if not self._reaps:
            return set()
        processes = {child._process.pid for child in (self, *self._beside) if child._process is not None}
        strays = _find_children(os.getpid()) - processes
        # A loader dies with the helper that keeps its shared memory.
        return {pid for pid in strays if not _keeps_memory(pid)} if self.has_loaders and self._server else strays

    def _end_strays(self) -> bool:
        """End children that this process inherited; return whether there were any."""
        had_strays = False
        while strays := self._find_strays():
            had_strays = True
            for stray in strays:
                end_group(stray)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(stray, 0)
        return had_strays

    def _is_open(self, line: socket.socket) -> bool:
        try:
            return bool(line.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _read(self, line: socket.socket, within: float | None = None) -> wire.Read:
        """Return a function that fills buffers from a line and reads no further byte."""
        take = self._take(line, within)

        def read(buffer: memoryview) -> None:
            while buffer:
                buffer = buffer[take(buffer) :]

        return read

    def _take(self, line: socket.socket, within: float | None = None) -> Callable[[memoryview], int]:
        """Return a function that reads available bytes of a line, and raises if time is up or the process has ended."""

        def take(buffer: memoryview) -> int:
            until = self._until if within is None else min(time.monotonic() + within, self._until)
            watched = [line, self._control] if line is not self._control else [line]
            # The timers in a stopped process have no effect.
            while True:
                left_s = max(0.0, until - time.monotonic())
                if ready := select.select(watched, [], [], min(left_s, self.call_s))[0]:
                    break
                if time.monotonic() >= until:
                    raise LostError(describe_failure(None, "", self.limits))
                if not self.limits.sandbox and _is_stopped(self._server):
                    raise LostError(WorkerFailure(Fault.HUNG, STOPS.format(self.call_s)))
            if line not in ready or (len(ready) > 1):
                raise LostError(self._describe_failure())
            count = line.recv_into(buffer)
            if not count:
                raise LostError(self._describe_failure())
            return count

        return take

    def _describe_failure(self) -> WorkerFailure:
        """Describe how the process ended, or is about to end."""
        code = self._read_exit_code()
        if code is None:
            return describe_failure(SILENT, "", self.limits)
        call_s, first_s, _ = self._sent_limits or (self.limits.call_s, None, None)
        if first_s is not None and time.monotonic() - self._asked_at >= first_s:
            call_s = first_s
        return describe_failure(code, read_end(self._printed), replace(self.limits, call_s=call_s))

    def _read_exit_code(self) -> int | None:
        assert self._process is not None
        if self._server is not None and self._server != self._process.pid:
            self._until = max(self._until, time.monotonic() + _GRACE_S)
            if not select.select([self._control], [], [], _GRACE_S)[0]:
                return None
            buffer = self._control.recv(8, socket.MSG_WAITALL)
            self._server = None
            if len(buffer) == 8:
                return int.from_bytes(buffer, "little", signed=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(_GRACE_S)
        return None


def _open_line() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a line that holds a large message."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**21)
    return ends


# Orphaned processes


def _reap_strays() -> None:
    """Adopt descendants whose parent ends, so that they are found and ended."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _is_stopped(pid: int | None) -> bool:
    """True if a process is stopped by a signal; false if the system does not say so."""
    return _read_system_file(pid, "stat").rpartition(")")[2].split()[:1] == ["T"]


def _find_children(pid: int | None) -> set[int]:
    """Return the children of a process, or an empty set if the system does not list them."""
    children: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children |= {int(child) for child in task.read_text(encoding="ascii").split()}
    return children


def _keeps_memory(pid: int) -> bool:
    """True if a process is torch's helper for the sharing strategy ``file_system``, by its name of 15 characters."""
    return _read_system_file(pid, "comm") == "torch_shm_manag\n"


def _read_system_file(pid: int | None, name: str) -> str:
    """Return a file of the system about a process; empty if the file cannot be read."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    return ""


# The code


def setup(target: str, call: str | None, limits: Limits, root: str | None = None) -> dict[str, Any]:
    """Return the description of the code to load, without importing it."""
    from importlib.metadata import entry_points

    path, colon, name = target.partition(":")
    own_root = root_of(target)
    points = [] if colon else [point.value for point in entry_points(group=ENTRY_POINTS) if point.name == path]
    return {
        "target": f"{points[0] if points else path}{colon}{name}",
        "call": call,
        "path": [*filter(None, [root if own_root is None else str(own_root)]), *project_path()],
        "objects": False,
        "loaders": False,
        "memory": limits.memory_bytes,
    }
