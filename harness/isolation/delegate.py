"""A process that imports user code and runs a function of the harness there, for results that are plain records.

The judge names the function, and gets validated JSON back over a private pipe. User code could send whatever it
likes, but it cannot make the judge execute anything, and a process that ends, hangs or floods gives no result.
"""

import gc
import inspect
import os
import select
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from operator import attrgetter
from typing import IO, Any, NoReturn, Self, TypeVar, cast

from pydantic import TypeAdapter, ValidationError, validate_call
from pydantic_core import from_json, to_json

from harness.calling.discovery import MAIN_GUARD
from harness.error import UsageError, in_words, printable
from harness.isolation.environment import user_environment
from harness.isolation.fork_loop import end_with_parent
from harness.isolation.fork_server import ForkServer
from harness.isolation.forked_process import Forked
from harness.isolation.limits import GIBIBYTE, Limits, limit_memory
from harness.isolation.lost_worker import describe_failure
from harness.isolation.unchanged import refuse_changes
from harness.record import Record

T = TypeVar("T")

_RESULT, _EVENT, _USAGE, _RAISED = b"=", b"~", b"!", b"x"
"""The kinds of messages of the process; the JSON of the content follows."""

MAX_BYTES = 64 * 2**20
"""Longest message, and the most text that user code may print."""

_TICK_S = 0.5
_GRACE_S = 3.0
_PROGRAM = "import gc; gc.disable(); from harness.isolation.delegate import main; main()"


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
        Module and name of the function, such as ``harness.gate.counts:count_target``. An exception of user code is for
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
        try:
            return delegate.ask(None, arguments, result, event=event, on_event=on_event)
        except DelegateError as error:
            if delegate.has_imported:
                raise UsageError(f"cannot run `{target}`: the code {error}", remedy="correct the code") from None
            raise UsageError(
                f"cannot import `{target.partition(':')[0]}`: the import {error}", remedy=MAIN_GUARD
            ) from None


class DelegateError(Exception):
    """The process gave no result; the message is a predicate, such as ``ends the process with exit code 0``."""


class Delegate:
    """The process, as a context that ends it with its group.

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
    ) -> None:
        refuse_changes()
        self.has_imported = False
        self._loss = ""
        self._limits = limits
        self._scratch = tempfile.mkdtemp(prefix="harness-", dir=limits.scratch)
        self._printed = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = self._launch(server)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        memory = None if limits.memory_gib is None else int(limits.memory_gib * GIBIBYTE)
        opening = {"serves": serves, "setup": setup, "pythonpath": pythonpath, "memory": memory}
        with suppress(OSError):  # a process that has ended already says so in its reply
            _send(self._requests, to_json(opening))

    def _launch(self, server: ForkServer | None) -> "Forked | subprocess.Popen[bytes]":
        environment = user_environment(self._scratch)
        if server is not None and not self._limits.sandbox:
            forked = server.forked(_PROGRAM, self._printed, environment=environment)
            if forked is not None:
                return forked
        return subprocess.Popen(
            [*shlex.split(self._limits.sandbox or ""), sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._printed,
            start_new_session=True,
            env=environment,
        )

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the process, and all of its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        for stream in (self._requests, self._answers):
            with suppress(BrokenPipeError):
                stream.close()
        if isinstance(self._process, Forked):
            self._process.close()
        self._printed.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def ask(
        self,
        method: str | None,
        arguments: Mapping[str, Any],
        result: type[T],
        *,
        within_s: float | None = None,
        event: Any = str,
        on_event: Callable[[Any], object] = lambda _: None,
    ) -> T:
        """Return the result of the function, or of a method of the class.

        Raises
        ------
        UsageError
            If the function raises it.
        DelegateError
            If it raises anything else, or if the process gives no valid answer in time.
        """
        if self._loss:
            # A late answer would be mistaken for the answer to this request.
            raise DelegateError(self._loss)
        with suppress(OSError):
            _send(self._requests, to_json({"method": method, "arguments": arguments}))
        end = float("inf") if within_s is None else time.monotonic() + within_s
        while True:
            allowed_s = self._limits.law_s if self.has_imported else self._limits.load_s
            message = self._receive(min(allowed_s, end - time.monotonic()))
            kind, content = message[:1], message[1:]
            try:
                if kind == _USAGE:
                    raise UsageError(**dict(_Usage.model_validate_json(content)))
                if kind == _RAISED:
                    # An exception of the import is a usage error.
                    self.has_imported = True
                    raise DelegateError(f"raises {printable(TypeAdapter(str).validate_json(content))}")
                answer = TypeAdapter(result if kind == _RESULT else event).validate_json(content)
            except (ValidationError, TypeError):
                self._lose("sends a result that is not valid")
            self.has_imported = True
            if kind == _RESULT:
                return cast("T", answer)
            on_event(answer)

    def _receive(self, allowed_s: float) -> bytes:
        """Return the next message."""
        until = time.monotonic() + allowed_s
        length = int.from_bytes(self._read(8, until, allowed_s), "little")
        if not 0 < length <= MAX_BYTES:
            self._lose(f"sends a message of {length:,} bytes")
        return self._read(length, until, allowed_s)

    def _read(self, count: int, until: float, allowed_s: float) -> bytes:
        """Read from the line until the deadline, which the error gives as seconds that were allowed."""
        buffer = bytearray()
        while len(buffer) < count:
            if os.fstat(self._printed.fileno()).st_size > MAX_BYTES:
                self._lose(f"prints more than {MAX_BYTES // 2**20} MiB")
            left_s = until - time.monotonic()
            if left_s <= 0.0:
                self._lose(f"does not finish within {round(allowed_s, 1):g} s")
            if select.select([self._answers], [], [], min(_TICK_S, left_s))[0]:
                more = os.read(self._answers.fileno(), min(count - len(buffer), 2**20))
                if not more:
                    self._lose(self._end())
                buffer += more
        return bytes(buffer)

    def _lose(self, loss: str) -> NoReturn:
        self._loss = loss
        raise DelegateError(loss)

    def _end(self) -> str:
        """Describe how the process ended."""
        try:
            code = self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            return "closes files that it has not opened"
        return describe_failure(code, "", self._limits).sentence


class _Usage(Record):
    """The parts of a usage error."""

    problem: str
    rule: str | None
    value: str | None
    place: str | None
    remedy: str | None


# In the process


def main() -> None:
    """Answer the requests of the judge until it closes the line."""
    end_with_parent(signal.SIGKILL)
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    opening = _request(requests)
    module, _, name = opening["serves"].partition(":")
    serves = attrgetter(name)(import_module(module))
    # Not before: the harness imports its own packages, and user code the project's.
    sys.path[:0] = opening["pythonpath"]
    limit_memory(opening["memory"])
    gc.enable()
    served = None if opening["setup"] is None else validate_call(serves)(**opening["setup"])
    while True:
        request = _request(requests)
        function = serves if served is None else getattr(served, request["method"])
        _send(answers, _answer(function, request["arguments"], answers))


def _request(requests: IO[bytes]) -> Any:
    """Return the next request, or end the process if there is none."""
    message = requests.read(int.from_bytes(requests.read(8), "little"))
    if not message:
        os._exit(0)
    return from_json(message)


def _answer(function: Callable[..., Any], arguments: dict[str, Any], answers: IO[bytes]) -> bytes:
    """Return the message with the result of a function, or with the exception that it raises."""

    def report(event: object) -> None:
        _send(answers, _EVENT + to_json(event))

    more = {"report": report} if "report" in inspect.signature(function).parameters else {}
    try:
        return _RESULT + to_json(validate_call(function)(**arguments, **more))
    except UsageError as error:
        return _USAGE + to_json({name: value and str(value) for name, value in error.parts.items()})
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the judge reports it
        traceback.print_exc()
        return _RAISED + to_json(in_words(error))


def _send(line: IO[bytes], message: bytes) -> None:
    line.write(len(message).to_bytes(8, "little") + message)
    line.flush()
