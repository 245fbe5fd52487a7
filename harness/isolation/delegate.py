"""A process that runs a function of the harness together with user code, and returns records.

The requester names the function, and gets validated JSON back over a private pipe. User code could send whatever it
likes, but it cannot make the requester execute anything, and a process that ends, hangs or floods gives no result.
"""

import gc
import inspect
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache, partial
from importlib import import_module
from operator import attrgetter
from typing import IO, Any, NoReturn, Self, TypeVar, cast

from pydantic import TypeAdapter, ValidationError, validate_call
from pydantic_core import from_json, to_json

from harness.calling.discovery import MAIN_GUARD
from harness.error import UsageError, printable, shorten_error
from harness.isolation.environment import user_environment
from harness.isolation.fork_loop import end_with_parent, open_nothing
from harness.isolation.fork_server import ForkServer, start_interpreter
from harness.isolation.forked_process import ForkedProcess
from harness.isolation.limits import Limits, limit_memory
from harness.isolation.lost_worker import SILENT, WorkerFailure, describe_failure, read_end
from harness.isolation.parent import end
from harness.isolation.unchanged import refuse_changes
from harness.record import Fault, Record

T = TypeVar("T")

_RESULT, _EVENT, _USAGE, _RAISED = b"=", b"~", b"!", b"x"
"""The kinds of messages of the process; the JSON of the content follows."""

MAX_BYTES = 64 * 2**20
"""Longest message, and the most text that user code may print."""

_TICK_S = 0.5

_GRACE_S = 3.0
"""Seconds between the end of a process's messages and its exit code, on a machine with much other work."""

_PROGRAM = "import gc; gc.disable(); from harness.isolation.delegate import main; main({})"
"""Garbage collection takes a fifth of the time of the imports; ``main`` enables it again."""


def run_in_child(
    function: str,
    arguments: Mapping[str, Any],
    result: type[T],
    *,
    target: str,
    limits: Limits | None = None,
    pythonpath: Sequence[str] = (),
    event: Any = str,
    on_event: Callable[[Any], object] = lambda _: None,
) -> T:
    """Run a function of the harness, which imports the user's code, in a process with limits, and return its result.

    Parameters
    ----------
    function
        Module and name of the function, such as ``harness.gate.counts:count``. An exception of user code is for
        the function to handle.
    arguments
        Its keyword arguments. They go there as JSON, and become what its annotations say.
    result
        Type of the result, by which its JSON is validated: a record, or a type of plain values.
    target
        What the user named, for messages.
    limits
        Its ``load_s`` is the time for the import of user code, which ends with the first event or with the result.
        Its ``law_s`` is the time between two events after that. Memory and sandbox apply as well.
    pythonpath
        Folders from which user code is imported, before all others. They are not used for imports of the function.
    event
        Type of the events that the function reports, if it has a parameter ``report`` to call with them.
    on_event
        Called with each event.

    Raises
    ------
    UsageError
        If user code cannot be imported, or the process gives no valid result.
    """
    with Delegate(function, limits=limits or Limits(), pythonpath=pythonpath) as delegate:
        return delegate.ask_about(target, arguments, result, event=event, on_event=on_event)


class DelegateError(Exception):
    """The process gave no result; the message is a predicate, such as ``ends the process with exit code 0``."""

    def __init__(self, failure: WorkerFailure) -> None:
        self.failure = failure
        super().__init__(failure.sentence)


class Delegate:
    """The process, as a context that ends it with its group, and removes its folder of temporary files.

    Parameters
    ----------
    serves
        Module and name of the function that answers requests; with a setup, of one that returns an object whose
        methods answer them.
    setup
        Its keyword arguments.
    limits, pythonpath
        As of :func:`run_in_child`.
    server
        Server to fork the process of; a fresh interpreter when absent.
    folder
        Its working directory; the one of this process when absent.
    keeps_standby
        Whether it forks a process for user code before it knows anything, if it is a fork itself; see
        :mod:`harness.isolation.standby`.
    variables
        Further variables of the environment of a fresh interpreter.
    interpreter, packages
        A fresh interpreter in place of this process's, and folders with packages that its environment lacks.

    Attributes
    ----------
    has_imported
        Whether the process has told that user code is imported.
    """

    def __init__(
        self,
        serves: str,
        setup: Mapping[str, Any] | None = None,
        *,
        limits: Limits,
        pythonpath: Sequence[str] = (),
        server: ForkServer | None = None,
        folder: str | None = None,
        keeps_standby: bool = False,
        variables: Mapping[str, str] | None = None,
        interpreter: str | None = None,
        packages: Sequence[str] = (),
    ) -> None:
        refuse_changes()
        self.has_imported = False
        self._loss: WorkerFailure | None = None
        self._limits = limits
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        forked, options = None, "keeps_standby=True" if keeps_standby else ""
        if server is not None and not limits.sandbox:
            forked = server.fork(_PROGRAM.format(options), self._printed, folder=folder)
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._printed}
        own = dict(variables or {})
        pipes |= {"env": user_environment() | own, "interpreter": [interpreter] if interpreter else ()}
        program = f"import sys; sys.path += {list(packages)!r}; {_PROGRAM.format('')}"
        self._process: ForkedProcess | subprocess.Popen[bytes] = forked or start_interpreter(
            program, sandbox=limits.sandbox, cwd=folder, **pipes
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        # Removed by this process or that one, whichever is there last; it is made when both will know of it.
        self._scratch = tempfile.mkdtemp(prefix="tmp", dir=limits.scratch)
        opening = {"serves": serves, "setup": setup, "pythonpath": pythonpath, "memory": limits.memory_bytes}
        environment = user_environment(self._scratch) | own
        self._send({**opening, "scratch": self._scratch, "environment": environment})

    @property
    def pid(self) -> int:
        """Process number."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def kill(self) -> None:
        """End the process, also while another thread waits for its answer."""
        self._process.kill()

    def __exit__(self, *_: object) -> None:
        """End the process, and all of its group."""
        # The group may live on after the process; the process may not lead a group yet.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for stream in (self._requests, self._answers):
            with suppress(BrokenPipeError):
                stream.close()
        if isinstance(self._process, ForkedProcess):
            self._process.close()
        self._printed.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    @property
    def printed(self) -> str:
        """The end of its output, such as a call stack."""
        return read_end(self._printed)

    def ask_about(self, target: str, arguments: Mapping[str, Any], result: type[T], **how: Any) -> T:
        """Return a result of the function; a usage error about a target says why there is none."""
        try:
            return self.ask(None, arguments, result, **how)
        except DelegateError as error:
            if self.has_imported:
                raise UsageError(f"cannot run `{target}`: the code {error}", remedy="correct the code") from None
            raise UsageError(
                f"cannot import `{target.partition(':')[0]}`: the import {error}", remedy=MAIN_GUARD
            ) from None

    def ask(self, method: str | None, arguments: Mapping[str, Any], result: type[T], **how: Any) -> T:
        """Send a request, and return the result; see :meth:`send` and :meth:`receive`."""
        self.send(method, arguments)
        return self.receive(result, **how)

    def send(self, method: str | None, arguments: Mapping[str, Any]) -> None:
        """Request the result of the function, or of a method of the class."""
        if self._loss is not None:
            # A late answer would be mistaken for the answer to this request.
            raise DelegateError(self._loss)
        self._send({"method": method, "arguments": arguments})

    def _send(self, message: Any) -> None:
        with suppress(OSError):  # a process that has ended already says so in its reply
            _write(self._requests, to_json(message))

    def receive(
        self,
        result: type[T],
        *,
        within_s: float | None = None,
        describe: Callable[[int | None, str], WorkerFailure] | None = None,
        event: Any = str,
        on_event: Callable[[Any], object] = lambda _: None,
    ) -> T:
        """Return the requested result.

        Parameters
        ----------
        result
            Its type.
        within_s
            Seconds for it; without ``describe``, the limits hold as well.
        describe
            Describes how the process was lost, from its exit code and the end of its output.
        event, on_event
            As of :func:`run_in_child`.

        Raises
        ------
        UsageError
            If the function raises it.
        DelegateError
            If it raises anything else, or if the process gives no valid answer in time.
        """
        end = float("inf") if within_s is None else time.monotonic() + within_s
        while True:
            allowed_s = end - time.monotonic()
            if describe is None:
                allowed_s = min(self._limits.law_s if self.has_imported else self._limits.load_s, allowed_s)
            limits = replace(self._limits, law_s=round(allowed_s, 1))
            message = self._receive(allowed_s, describe or partial(describe_failure, limits=limits))
            kind, content = message[:1], message[1:]
            try:
                if kind == _USAGE:
                    raise UsageError(**dict(_Usage.model_validate_json(content)))
                if kind == _RAISED:
                    # An exception of the import is a usage error.
                    self.has_imported = True
                    raised = _validator(str).validate_json(content)
                    raise DelegateError(WorkerFailure(Fault.RAISED, f"raises {printable(raised)}"))
                answer = _validator(result if kind == _RESULT else event).validate_json(content)
            except (ValidationError, TypeError):
                self._raise_loss(WorkerFailure(Fault.STATE, "sends a result that is not valid"))
            self.has_imported = True
            if kind == _RESULT:
                return cast("T", answer)
            on_event(answer)

    def _receive(self, allowed_s: float, describe: Callable[[int | None, str], WorkerFailure]) -> bytes:
        """Return the next message."""
        until = time.monotonic() + allowed_s
        length = int.from_bytes(self._read(8, until, describe), "little")
        if not 0 < length <= MAX_BYTES:
            self._raise_loss(WorkerFailure(Fault.STATE, f"sends a message of {length:,} bytes"))
        return self._read(length, until, describe)

    def _read(self, count: int, until: float, describe: Callable[[int | None, str], WorkerFailure]) -> bytes:
        """Read from the line until the deadline."""
        buffer = bytearray()
        while len(buffer) < count:
            if os.fstat(self._printed.fileno()).st_size > MAX_BYTES:
                self._raise_loss(WorkerFailure(Fault.PRINTED, f"prints more than {MAX_BYTES // 2**20} MiB"))
            left_s = until - time.monotonic()
            if left_s <= 0.0:
                self._raise_loss(describe(self._process.poll(), self.printed))
            if select.select([self._answers], [], [], min(_TICK_S, left_s))[0]:
                more = os.read(self._answers.fileno(), min(count - len(buffer), 2**20))
                if not more:
                    self._raise_loss(self._end(describe))
                buffer += more
        return bytes(buffer)

    def _end(self, describe: Callable[[int | None, str], WorkerFailure]) -> WorkerFailure:
        """Describe how the process ended."""
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            code = SILENT
        return describe(code, self.printed)

    def _raise_loss(self, loss: WorkerFailure) -> NoReturn:
        self._loss = loss
        raise DelegateError(loss)


_validator: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


class _Usage(Record):
    """The parts of a usage error."""

    problem: str
    rule: str | None
    value: str | None
    place: str | None
    remedy: str | None


# In the process


def main(*, keeps_standby: bool = False) -> None:
    """Answer the requests until the line is closed, then end this process and its descendants.

    Parameters
    ----------
    keeps_standby
        Whether to fork a process for user code first.
    """
    if keeps_standby:
        from harness.isolation import standby

        standby.keep()
    end_with_parent(signal.SIGKILL)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    open_nothing(0)
    os.dup2(2, 1)
    opening = _read_request(requests, None)
    # A fork has imported what remembers the folder for temporary files.
    os.environ.update(opening["environment"])
    tempfile.tempdir = None
    module, _, name = opening["serves"].partition(":")
    serves = attrgetter(name)(import_module(module))
    # Not before: the harness imports its own packages, and user code the project's.
    sys.path[:0] = opening["pythonpath"]
    limit_memory(opening["memory"])
    gc.enable()
    served = None if opening["setup"] is None else validate_call(serves)(**opening["setup"])
    checked = cache(validate_call)
    while True:
        request = _read_request(requests, opening["scratch"])
        function = serves if served is None else getattr(served, request["method"])
        answer = _encode_answer(function, checked(function), request["arguments"], answers)
        try:
            _write(answers, answer)
        except OSError:
            end(SILENT, opening["scratch"])


def _read_request(requests: IO[bytes], scratch: str | None) -> Any:
    """Return the next request, or end the process and its descendants if there is none."""
    message = requests.read(int.from_bytes(requests.read(8), "little"))
    if not message:
        end(0, scratch)
    return from_json(message)


def _encode_answer(
    function: Callable[..., Any], checked: Callable[..., Any], arguments: dict[str, Any], answers: IO[bytes]
) -> bytes:
    """Return the message with the result of a function, or with the exception that it raises."""

    def report(event: object) -> None:
        _write(answers, _EVENT + to_json(event))

    more = {"report": report} if "report" in inspect.signature(function).parameters else {}
    try:
        return _RESULT + to_json(checked(**arguments, **more))
    except UsageError as error:
        return _USAGE + to_json({name: value and str(value) for name, value in error.parts.items()})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the judge reports it
        traceback.print_exc()
        return _RAISED + to_json(shorten_error(error))


def _write(line: IO[bytes], message: bytes) -> None:
    line.write(len(message).to_bytes(8, "little") + message)
    line.flush()
