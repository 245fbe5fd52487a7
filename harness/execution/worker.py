"""A worker process, which judges user code in another process, or calls it and may be lost.

It is a :class:`~harness.isolation.delegate.Delegate`: a fresh interpreter, or a fork of one with only torch. A fork of
the reporting process may hang after torch has used threads, and would share data that foreign code must not see.
"""

import faulthandler
import gc
import logging
import os
import resource
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from typing import Protocol

from harness.calling import modes, watch
from harness.execution.plan import Document, Pieces, Plan, Result, from_document
from harness.isolation import standby
from harness.isolation.fork_loop import end_with_parent
from harness.isolation.limits import Limits, limit_memory
from harness.isolation.lost_worker import OUT_OF_MEMORY
from harness.isolation.parent import end, watch_parent
from harness.isolation.unchanged import refuse_changes
from harness.record import Fault


def start(plan: Document, limits: Limits | None) -> "Worker":
    """Make this process a worker.

    Parameters
    ----------
    plan
        The plan as a document.
    limits
        Limits of the code; none if it is trusted.
    """
    refuse_changes()
    scratch = tempfile.gettempdir()
    # All descendants end with the worker, not only the process of the code.
    end_with_parent(0)
    threading.Thread(target=watch_parent, args=(os.getppid(), scratch), daemon=True).start()
    return Worker(plan, limits and replace(limits, scratch=scratch), scratch)


class Worker:
    """The worker: it loads the plan, then does one piece after another."""

    def __init__(self, plan: Document, limits: Limits | None, scratch: str) -> None:
        self._plan, self._limits, self._scratch = plan, limits, scratch

    def load(self) -> list[Document]:
        """Load the code, and return the pieces."""
        gc.disable()
        with self._end_without_memory():
            plan, waiting = from_document(self._plan), standby.take()
            # Foreign code runs in a separate process if the plan supports this.
            if self._limits is not None and getattr(plan, "isolated", False) and plan.is_foreign:
                self._backend: _Backend = _Isolated(plan, self._limits, waiting)
            else:
                if waiting is not None:
                    waiting.end()
                self._backend = _InPlace(plan, self._limits)
            self._backend.prepare()
            # Imported objects live until the end.
            gc.freeze()
            gc.enable()
            return self._backend.about

    def do(self, index: int, call_s: float, first_call_s: float | None, law_s: float) -> Result:
        """Do one piece, with its time limits."""
        with self._end_without_memory():
            return self._backend.do(index, call_s, first_call_s, law_s)

    @contextmanager
    def _end_without_memory(self) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            end(OUT_OF_MEMORY, self._scratch)


class _Backend(Protocol):
    about: list[Document]

    def prepare(self) -> None:
        """Prepare this process for calls, once the code is loaded."""

    def do(self, index: int, call_s: float, first_call_s: float | None, law_s: float) -> Result:
        """Do one piece."""


class _Isolated:
    """The code is called in another process, and judged in this one, which never imports it.

    Parameters
    ----------
    plan
        What to do.
    limits
        Under which the code runs.
    waiting
        A waiting process in which it can be called.
    """

    def __init__(self, plan: Plan, limits: Limits, waiting: standby.StandbyProcess | None) -> None:
        for module in plan.judges:  # type: ignore[attr-defined]
            import_module(module)
        from harness.isolation.child import Child, setup
        from harness.isolation.remote import RemoteHost

        loaded = setup(plan.target, getattr(plan, "call", None), limits, getattr(plan, "root", None))
        self._child = Child(limits, loaded, waiting, reaps=True)
        self._case = ""
        try:
            self.pieces: Pieces = plan.load(RemoteHost(self._child))  # type: ignore[call-arg]
        except BaseException:
            self._child.close()
            raise
        self.about = list(self.pieces.about())
        self._cases = [piece["case"] for piece in self.about]

    def prepare(self) -> None:
        """Compute on one thread."""
        import torch

        torch.set_num_threads(1)
        warnings.simplefilter("ignore")

    def do(self, index: int, call_s: float, first_call_s: float | None, law_s: float) -> Result:
        """Do one piece; each case has a new process, which is replaced if a call has changed it."""
        from harness.isolation.child import LostError

        if self._child.is_spoilt or self._case not in {"", self._cases[index]}:
            self._child.renew()
        self._case = self._cases[index]
        self._child.begin(call_s, first_call_s, law_s)
        try:
            return Result(self.pieces.do(index), self._child.take_side_effect())
        except LostError as lost:
            return Result(failure=lost.failure)


class _InPlace:
    """The code is loaded and called in this process, which may be lost with it.

    Parameters
    ----------
    plan
        What to do.
    limits
        Under which the code runs; none if it is trusted.
    """

    def __init__(self, plan: Plan, limits: Limits | None) -> None:
        import torch

        self._limits = limits
        # The first backward pass takes longer than a call may, and imports modules.
        x = torch.ones(1, requires_grad=True)
        modes.grad([x * 1.0], [x], [torch.ones(1)])
        self.pieces = plan.load()
        self.about = list(self.pieces.about())

    def prepare(self) -> None:
        """Compute on one thread, without warnings and log records, and set the limits."""
        import torch

        torch.set_num_threads(1)
        # A warning is no failure, and the stream it would be printed to is listened to. Nor is a log record, such as
        # a compiler's about its limits.
        warnings.simplefilter("ignore")
        logging.disable()
        if self._limits is None:
            return
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        limit_memory(self._limits.memory_bytes)
        # Writes the stack of the main thread, then ends the process wherever it is; it needs no lock of Python's.
        faulthandler.register(signal.SIGALRM, all_threads=False, chain=True)

    def do(self, index: int, call_s: float, first_call_s: float | None, law_s: float) -> Result:  # noqa: ARG002
        """Do one piece, and report its side effects on this process."""
        if self._limits is None:
            return Result(self.pieces.do(index))
        watch.limit_calls(call_s, first_call_s, self._limits.first_call_s)
        sys.stdout.flush()
        before = os.fstat(2).st_size
        try:
            reply = self.pieces.do(index)
        except KeyboardInterrupt:
            # The terminal sends the user's interrupt to the other process.
            return Result(noticed=(Fault.RAISED, "raises KeyboardInterrupt"))
        sys.stdout.flush()
        if printed := os.pread(2, 4 * watch.MAX_QUOTED, before):
            return Result(reply, (Fault.PRINTED, watch.PRINTS.format(watch.quote_output(printed))))
        return Result(reply, (Fault.STATE, "leaves a process running") if _has_children() else None)


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True
