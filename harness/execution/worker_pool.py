"""A pool of worker processes, which replaces a worker that is lost."""

import contextlib
import json
import math
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from harness.error import UsageError
from harness.execution.affinity import PendingPieces
from harness.execution.plan import Document, Plan, to_document
from harness.execution.result import Answer
from harness.isolation.environment import user_environment
from harness.isolation.fork_server import SERVER
from harness.isolation.forked_process import Forked
from harness.isolation.limits import Limits
from harness.isolation.lost_worker import SILENT, WorkerFailure, describe_failure
from harness.isolation.unchanged import refuse_changes
from harness.record import Fault

LOSSES = 3
"""Maximum number of workers lost to a case; its other pieces are then skipped."""

TIME_SHARE_AFTER_HANG = 0.1
"""Share of the time limit that remains for a case after one of its calls has hung."""


class IsolatedPool:
    """Worker processes for foreign code, which may end them; a :class:`harness.execution.runner.Backend`.

    Parameters
    ----------
    plan
        The work.
    limits
        Limits of the code.
    processes
        Number of workers.
    folder
        Their working directory; by default the one of this process.

    Notes
    -----
    It is a context: on entering it the code is loaded, and its pieces are known; on leaving it every process is ended.
    """

    def __init__(self, plan: Plan, limits: Limits, processes: int, *, folder: str | None = None) -> None:
        refuse_changes()
        self._limits = limits
        self._workers = [_Worker(plan, limits, folder) for _ in range(processes)]
        self._lost: Counter[str] = Counter()
        self._hung: set[str] = set()
        self.pieces: list[Document] = []

    def __enter__(self) -> Self:
        """Start the workers, and wait until the first of them has loaded the code.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        try:
            for worker in self._workers:
                worker.start()
            self.pieces = self._workers[0].ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End them."""
        for worker in self._workers:
            worker.end()

    def answers(self, indices: Sequence[int], *, seconds: float | None = None) -> Iterator[Answer]:
        """Yield the results of some pieces, in their order, also if workers are lost."""
        until = math.inf if seconds is None else time.monotonic() + seconds
        pending = PendingPieces(indices, [self.pieces[index].get("affinity") for index in indices])
        with ThreadPoolExecutor(len(self._workers)) as threads:
            try:
                for worker, keys in zip(self._workers, pending.shares(len(self._workers)), strict=True):
                    threads.submit(self._work, worker, pending, keys, until)
                for future in pending.futures:
                    yield future.result()
            except BaseException:
                # The results are no longer needed.
                pending.clear()
                for worker in self._workers:
                    worker.retire()
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _work(self, worker: "_Worker", pending: PendingPieces, keys: Sequence[Hashable], until: float) -> None:
        """Let a worker do pieces, first the ones that share cached results with its earlier pieces."""
        while (piece := pending.next(keys)) is not None:
            _, index, future = piece
            try:
                future.set_result(self._answer(worker, index, until))
            except BaseException as error:  # noqa: BLE001 - it is raised where the answer is asked for
                future.set_exception(error)

    def _answer(self, worker: "_Worker", index: int, until: float) -> Answer:
        """Do one piece in a worker, or say why that is not possible."""
        case = self.pieces[index]["case"]
        if time.monotonic() >= until:
            return Answer(index)
        if self._lost[case] >= LOSSES:
            return Answer(index, reason=f"not tried: {LOSSES} earlier calls of {case} did not return")
        share = TIME_SHARE_AFTER_HANG if case in self._hung else 1.0
        call_s, first_call_s = self._limits.call_s * share, self._limits.first_call_s * share
        limits = replace(self._limits, call_s=call_s, first_call_s=first_call_s)
        started = time.perf_counter()
        reply = worker.ask(index, str(self.pieces[index].get("first_call", case)), limits)
        duration_s = time.perf_counter() - started
        if not isinstance(reply, WorkerFailure):
            result, noticed = reply["said"], reply["noticed"] and (Fault(reply["noticed"][0]), reply["noticed"][1])
            reason = f"{case} {noticed[1]}" if noticed and result is None else None
            return Answer(index, result, noticed, reason=reason, duration_s=duration_s)
        self._lost[case] += 1
        if reply.fault is Fault.HUNG:
            self._hung.add(case)
        return Answer(index, failure=reply, reason=f"{case} {reply.sentence}", duration_s=duration_s)


@dataclass
class _Worker:
    """One process, which is replaced after a failure."""

    plan: Plan
    limits: Limits
    folder: str | None = None
    process: Forked | subprocess.Popen[bytes] | None = None
    retired: bool = False
    scratch: str | None = None

    def start(self) -> None:
        """Start the process; its output goes to a file without a name."""
        self.printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self.received = b""
        self.pieces: list[Document] | None = None
        self.called: set[str] = set()
        # A sandbox starts another program, not a fork.
        text = _FRESH if self.limits.sandbox else _FORKED
        self.process = SERVER.forked(text, self.printed, folder=self.folder) or subprocess.Popen(
            # Without the working directory on the path, so that no file in it replaces a module of ours.
            [sys.executable, "-P", "-c", _FRESH],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.printed,
            start_new_session=True,
            cwd=self.folder,
            env=user_environment(),
        )
        # Removed by this process or that one, whichever is there last; it is made when both will know of it.
        self.scratch = tempfile.mkdtemp(prefix="tmp")
        self._send({"plan": to_document(self.plan), "limits": asdict(replace(self.limits, scratch=self.scratch))})

    def ready(self) -> list[Document]:
        """Wait until the code is loaded, and return the pieces there are.

        Raises
        ------
        UsageError
            If it cannot be loaded.
        """
        if self.pieces is None:
            reply = self._answer(replace(self.limits, law_s=self.limits.load_s))
            if isinstance(reply, WorkerFailure):
                self.end()
                module = self.plan.target.partition(":")[0]
                raise UsageError(f"cannot import `{module}`", rule=f"the import {reply.sentence}")
            self.pieces = reply
        assert self.pieces is not None
        return self.pieces

    def ask(self, index: int, kind: str, limits: Limits) -> Document | WorkerFailure:
        """Request one piece; the first call of a kind may take longer."""
        if self.process is None:
            self.start()
        self.ready()
        first_s = None if kind in self.called else limits.first_call_s
        self.called.add(kind)
        law_s = limits.law_s + max(0.0, (first_s or 0.0) - limits.call_s)
        self._send({"index": index, "call_s": limits.call_s, "first_call_s": first_s, "law_s": law_s})
        reply = self._answer(limits, first_s)
        if isinstance(reply, WorkerFailure):
            # A new process must receive the kind again.
            self.called.clear()
            if not self.survives:
                self.end()
        return reply  # type: ignore[no-any-return]

    def end(self) -> None:
        """End the process and its group, also if an interrupt came before its start."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            # It may not lead a group yet.
            self.process.kill()
            self.process.wait()
            if isinstance(self.process, Forked):
                self.process.close()
            for stream in (self.process.stdin, self.process.stdout, self.printed):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        if self.scratch is not None:
            shutil.rmtree(self.scratch, ignore_errors=True)
        self.process = self.scratch = None

    def retire(self) -> None:
        """End the process while another thread may be waiting for it."""
        if self.process is not None:
            self.process.kill()

    def _send(self, message: Any) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        # A process that is lost already says so by its answer.
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def _answer(self, limits: Limits, first_s: float | None = None) -> Any:
        """Return the reply, or how the process was lost."""
        assert self.process is not None
        start = time.monotonic()
        self.survives = False
        # Additional time of the first call does not count for the law.
        line = self._line(start + limits.law_s + max(0.0, (first_s or 0.0) - limits.call_s) + _MARGIN_S)
        if not line:
            if first_s is not None and time.monotonic() - start >= first_s:
                limits = replace(limits, call_s=first_s)
            code = self._code(wait_s=0.0 if line is None else _GRACE_S)
            if code is None and line is not None:
                return describe_failure(SILENT, "", limits)
            end = max(0, os.fstat(self.printed.fileno()).st_size - _END)
            return describe_failure(code, os.pread(self.printed.fileno(), _END, end).decode(errors="replace"), limits)
        try:
            reply = json.loads(line)
        except json.JSONDecodeError:
            return WorkerFailure(Fault.STATE, "writes into files that it has not opened")
        match reply["kind"]:
            case "usage":
                raise UsageError(**reply["what"])
            case "lost":
                self.survives = True
                return WorkerFailure(Fault(reply["what"]["fault"]), reply["what"]["sentence"])
            case "bug":
                raise RuntimeError(f"in the worker process:\n{reply['what']}")
        return reply["what"]

    def _code(self, *, wait_s: float) -> int | None:
        """Return the exit code; ``None`` if the process has not ended in time."""
        assert self.process is not None
        try:
            return self.process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return None

    def _line(self, deadline: float) -> bytes | None:
        """Read one line; empty if the pipe is closed, ``None`` if time is up."""
        assert self.process is not None
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                received = os.read(self.process.stdout.fileno(), 2**16)
                if not received:
                    return b""
                self.received += received
        line, _, self.received = self.received.partition(b"\n")
        return line


_FRESH = "import gc; gc.disable(); from harness.execution.worker import main; main()"
"""Garbage collection is disabled during imports, where it takes a fifth of the time; ``main`` enables it again."""

_FORKED = "from harness.execution.worker import main; main(is_forked=True)"

_MARGIN_S = 2.0
"""Additional seconds for a worker after the time limit of a piece, to report how a child process was lost."""

_GRACE_S = 3.0
"""Seconds between the end of a process's output and the end of the process."""

_END = 2**16
"""Size in bytes of the end of the output that is searched for the call stack of a hung call."""
