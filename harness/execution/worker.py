"""A worker process, which judges user code in another process, or calls it and may be lost.

It is a fresh interpreter, or a fork of one with only torch. A fork of the reporting process may hang after torch has
used threads, and would share data that foreign code must not see. Messages are lines of JSON, so that no data from the
worker is executed.
"""

import faulthandler
import gc
import json
import logging
import os
import resource
import signal
import sys
import threading
import traceback
import warnings
from importlib import import_module
from typing import IO, Any

from harness.calling import modes, watch
from harness.error import UsageError
from harness.execution.plan import Pieces, Plan, from_document
from harness.isolation.limits import GIBIBYTE, Limits, limit_memory
from harness.isolation.lost_worker import OUT_OF_MEMORY, SILENT
from harness.isolation.parent import end, end_with_parent
from harness.isolation.standby import StandbyProcess
from harness.isolation.unchanged import refuse_changes
from harness.record import Fault


def main(*, is_forked: bool = False) -> None:
    """Read requests from standard input, and write replies to standard output, until the input ends.

    Parameters
    ----------
    is_forked
        Whether this process is a fork of one with torch, and can be forked for user code before it knows the plan.
    """
    standby = StandbyProcess() if is_forked else None
    refuse_changes()
    requests, answers = _lines()
    line = requests.readline()
    if not line:  # the other side was gone before it could say what to do
        os._exit(SILENT)
    setup = json.loads(line)
    limits = Limits(**setup["limits"])
    threading.Thread(target=end_with_parent, args=(os.getppid(), limits.scratch), daemon=True).start()
    code = 1
    try:
        _converse(setup["plan"], limits, requests, answers, standby)
        code = 0
    except MemoryError:
        code = OUT_OF_MEMORY
    except _PipeClosed:
        code = SILENT
    finally:
        end(code, limits.scratch)


def _converse(
    plan: dict[str, Any], limits: Limits, requests: IO[str], answers: IO[str], standby: StandbyProcess | None
) -> None:
    try:
        backend = _backend(from_document(plan), limits, standby)
        backend.prepare()
        _say(answers, "ready", backend.about)
        for line in requests:
            request = json.loads(line)
            _say(answers, *backend.done(request))
    except UsageError as error:
        _say(answers, "usage", error.parts)
    except (MemoryError, _PipeClosed):
        raise
    except Exception:  # noqa: BLE001 - it is raised again on the other side
        _say(answers, "bug", traceback.format_exc())


def _backend(plan: Plan, limits: Limits, standby: StandbyProcess | None) -> "_Isolated | _InPlace":
    """Foreign code runs in a separate process if the plan supports this."""
    if getattr(plan, "isolated", False) and plan.is_foreign:
        return _Isolated(plan, limits, standby)
    if standby is not None:
        standby.end()
    return _InPlace(plan, limits)


class _Isolated:
    """The code is called in another process, and judged in this one, which never imports it.

    Parameters
    ----------
    plan
        What to do.
    limits
        Under which the code runs.
    standby
        A waiting process in which it can be called.
    """

    def __init__(self, plan: Plan, limits: Limits, standby: StandbyProcess | None) -> None:
        for module in plan.judges:  # type: ignore[attr-defined]
            import_module(module)
        from harness.isolation.child import Child
        from harness.isolation.program import setup
        from harness.isolation.remote import RemoteHost

        self._limits = limits
        loaded = setup(plan.target, getattr(plan, "call", None), limits, getattr(plan, "root", None))
        self._child = Child(limits, loaded, standby, reaps=True)
        self._case = ""
        try:
            self.pieces: Pieces = plan.load(RemoteHost(self._child))  # type: ignore[call-arg]
        except BaseException:
            self._child.close()
            raise
        self.about = list(self.pieces.about())
        self._cases = [piece["case"] for piece in self.about]

    def prepare(self) -> None:
        """Compute on one thread, and exclude imported objects from garbage collection."""
        import torch

        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        gc.freeze()
        gc.enable()

    def done(self, request: dict[str, Any]) -> tuple[str, Any]:
        """Do one piece; each case has a new process, which is replaced if a call has changed it."""
        from harness.isolation.child import LostError

        if self._child.is_spoilt or self._case not in {"", self._cases[request["index"]]}:
            self._child.renew()
        self._case = self._cases[request["index"]]
        self._child.begin(request["call_s"], request["first_call_s"], request["law_s"])
        try:
            result = self.pieces.do(request["index"])
        except LostError as lost:
            return "lost", {"fault": lost.failure.fault, "sentence": lost.failure.sentence}
        return "done", {"said": result, "noticed": self._child.noticed()}


class _InPlace:
    """The code is loaded and called in this process, which may be lost with it.

    Parameters
    ----------
    plan
        What to do.
    limits
        Under which the code runs.
    """

    def __init__(self, plan: Plan, limits: Limits) -> None:
        self._limits = limits
        _warm_up()
        self.pieces = plan.load()
        self.about = list(self.pieces.about())

    def prepare(self) -> None:
        """Set the limits, once the code is loaded."""
        _prepare(self._limits)

    def done(self, request: dict[str, Any]) -> tuple[str, Any]:
        """Do one piece, and report its side effects on this process."""
        watch.limit_calls(request["call_s"], request["first_call_s"], self._limits.first_call_s)
        sys.stdout.flush()
        before = os.fstat(2).st_size
        try:
            result = self.pieces.do(request["index"])
        except KeyboardInterrupt:
            # The terminal sends the user's interrupt to the other process.
            return "done", {"said": None, "noticed": (Fault.RAISED, "raises KeyboardInterrupt")}
        return "done", {"said": result, "noticed": _noticed(before)}


def _noticed(before: int) -> tuple[Fault, str] | None:
    """Return output that bypassed Python's streams, or processes that still run."""
    sys.stdout.flush()
    if printed := os.pread(2, 4 * watch.MAX_QUOTED, before):
        return Fault.PRINTED, watch.PRINTS.format(watch.quoted(printed))
    return (Fault.STATE, "leaves a process running") if _has_children() else None


def _has_children() -> bool:
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def _lines() -> tuple[IO[str], IO[str]]:
    """Use the standard streams for messages, and give user code other ones."""
    requests, answers = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    return requests, answers


class _PipeClosed(Exception):  # noqa: N818 - a signal within this module
    """The line to the other side was closed."""


def _say(answers: IO[str], kind: str, what: Any) -> None:
    try:
        answers.write(json.dumps({"kind": kind, "what": what}) + "\n")
        answers.flush()
    except (OSError, ValueError) as error:
        raise _PipeClosed from error


def _prepare(limits: Limits) -> None:
    """Set the limits, once the code is loaded."""
    import torch

    torch.set_num_threads(1)
    # A warning is no failure, and the stream it would be printed to is listened to.
    warnings.simplefilter("ignore")
    # Log messages of libraries, such as a compiler's about its limits, are ignored too.
    logging.disable()
    # Imported objects live until the end.
    gc.freeze()
    gc.enable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(None if limits.memory_gib is None else int(limits.memory_gib * GIBIBYTE))
    # Writes the stack of the main thread, then ends the process wherever it is; it needs no lock of Python's.
    faulthandler.register(signal.SIGALRM, all_threads=False, chain=True)


def _warm_up() -> None:
    """Make a backward pass: the first one takes longer than a call may, and imports modules, before user code."""
    import torch

    x = torch.ones(1, requires_grad=True)
    modes.grad([x * 1.0], [x], [torch.ones(1)])
