"""Suites of benchmarks in processes that are forked of one that has imported the instrument, which takes 2 CPU-seconds.

What stands here takes the place of :mod:`subprocess` in :mod:`harness.bench.run`. The process knows neither pytest's
plugins nor the suites, which each run imports; it has a single thread, and forks for one process of the tests alone.
"""

import atexit
import fcntl
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from subprocess import STDOUT, TimeoutExpired
from typing import IO, Any

__all__ = ["STDOUT", "Popen", "TimeoutExpired"]

IMPORTED = (
    *("hypothesis.strategies", "torch", "torch.utils.data", "harness.calling.discovery", "harness.data.images"),
    *("harness.loading.budget", "harness.loading.spawning", "harness.timing.interleaving", "harness.tuner.search"),
    *("harness.tuner.step", "harness.verdict.decide", "harness.work.environment", "harness.work.parent"),
)
"""Modules that suites import; pytest would rewrite the assertions of others."""

LONGEST = 2**18
"""Bytes of a question: the words of a command and the variables of its environment."""


HIGH = 200
"""A number that no descriptor has."""


class Popen:
    """A suite as :class:`subprocess.Popen` has it, with what :mod:`harness.bench.run` uses of one."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: IO[bytes],
        stderr: int,
        pass_fds: Sequence[int],
        process_group: int,
    ) -> None:
        python, *options = words
        assert (python, options[:3], stderr, process_group) == (sys.executable, ["-P", "-m", "pytest"], STDOUT, 0)
        self.returncode: int | None = None
        code, told = os.pipe()
        given = {"words": options[2:], "folder": str(Path.cwd()), "environment": dict(env), "kept": list(pass_fds)}
        socket.send_fds(_line(env), [json.dumps(given).encode()], [stdout.fileno(), told, *pass_fds])
        os.close(told)
        self._code = os.fdopen(code, "rb")
        self.pid = int(_line(env).recv(LONGEST))
        self._end = os.pidfd_open(self.pid)

    def __enter__(self) -> "Popen":
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._code.close()
        os.close(self._end)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end, and return its exit code."""
        if self.returncode is None:
            if not select.select([self._end], [], [], timeout)[0]:
                raise TimeoutExpired("pytest", timeout or 0.0)
            os.set_blocking(self._code.fileno(), False)
            self.returncode = int(self._code.read() or -signal.SIGKILL)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal."""
        if not select.select([self._end], [], [], 0.0)[0]:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


_started: dict[int, tuple[socket.socket, "subprocess.Popen[bytes]"]] = {}


def _line(env: Mapping[str, str]) -> socket.socket:
    """The line to the process that forks, which is started when it is first needed and ends with this one."""
    if os.getpid() not in _started:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        words = [sys.executable, "-P", __file__, str(there.fileno())]
        with there:
            process = subprocess.Popen(words, env=dict(env), pass_fds=[there.fileno()], stdin=subprocess.DEVNULL)
        assert here.recv(1) == b"1", "what has several threads cannot be forked"
        _started[os.getpid()] = here, process
        atexit.register(_leave)
    return _started[os.getpid()][0]


def _leave() -> None:
    if os.getpid() in _started:
        line, process = _started.pop(os.getpid())
        line.close()
        process.wait()


def _serve(line: socket.socket) -> Any:
    """Fork for each question; return, in what was forked, what it is to do."""
    for name in IMPORTED:
        import_module(name)
    import_module("harness.contracts").contracts()
    gc.collect()
    gc.freeze()
    line.send(str(len(list(Path("/proc/self/task").iterdir()))).encode())
    while True:
        question, given, *_ = socket.recv_fds(line, LONGEST, 8)
        while _living and (pid := os.waitpid(-1, 0 if not question else os.WNOHANG)[0]):
            _living.discard(pid)
        if not question:
            return None
        pid = os.fork()
        if not pid:
            line.close()
            return json.loads(question), given
        _living.add(pid)
        for descriptor in given:
            os.close(descriptor)
        line.send(str(pid).encode())


_living: set[int] = set()


def _begin(question: Any, given: Sequence[int]) -> int:
    """Become the process that was asked for, and run pytest; its exit code."""
    # Out of the way of the numbers that they are to have.
    written, told, *others = (fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, HIGH) for descriptor in given)
    for descriptor in given:
        os.close(descriptor)
    os.setpgid(0, 0)
    for stream in (1, 2):
        os.dup2(written, stream)
    for descriptor, kept in zip(others, question["kept"], strict=True):
        os.dup2(descriptor, kept)
        os.close(descriptor)
    os.chdir(question["folder"])
    os.environ.clear()
    os.environ.update(question["environment"])
    sys.argv = question["words"]
    code: Any = 0
    try:
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    os.write(told, str(int(code or 0)).encode())
    return int(code or 0)


if __name__ == "__main__":
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is not None:
        sys.exit(_begin(*asked))
