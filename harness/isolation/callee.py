"""The process that runs user code: it loads the code once, and answers requests with raw bytes.

It forks for each worker, so that damage to a process does not reach the next one. It holds neither the laws nor the
oracle: another process judges the answers and trusts none of them. Everything that it needs is imported before the
code, which may replace whatever it can reach.
"""

import contextlib
import faulthandler
import gc
import inspect
import logging
import os
import resource
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import torch

from harness.calling.adapter import adapter_of, is_model
from harness.calling.discovery import attribute, import_module, load_callable, packages
from harness.calling.modes import grad
from harness.calling.watch import AT_IMPORT, read, restore_settings
from harness.error import UsageError
from harness.isolation.fork_loop import end_with_parent, open_nothing
from harness.isolation.limits import limit_memory
from harness.isolation.request_handler import Server, exit_quietly
from harness.isolation.wire import buffered_reader, receive, send

_PACKAGE = __name__.partition(".")[0]


def main() -> None:
    """Serve on standard input, in a fresh interpreter."""
    gc.disable()
    load_and_serve(socket.socket(fileno=os.dup(0)))


def load_and_serve(line: socket.socket) -> None:
    """Load the target from the first message, describe it, and answer requests, in this process or in forks."""
    end_with_parent(signal.SIGKILL)
    _, setup = receive(buffered_reader(line))
    if _has_lost_parent(line):
        os._exit(0)
    server = _choose_server_class(setup)
    _prepare_import(setup)
    settings = read(AT_IMPORT)
    try:
        cases = _load_cases(setup)
        changes = restore_settings(AT_IMPORT, settings, imported=False)
        about: Any = {"cases": [_describe(case) for case in cases], "changes": changes}
    except UsageError as error:
        cases, about = [], {"usage": error.parts}
    _prepare_calls(setup)
    forks = _may_fork()
    with exit_quietly():
        send(line, bytes(16), {**about, "forks": forks})
    while True:
        with exit_quietly():
            _, descriptors, *_ = socket.recv_fds(line, 1, 1)
        if not descriptors:
            os._exit(0)
        connection = socket.socket(fileno=descriptors[0])
        if not forks:
            server(connection, cases).serve()
        pid = os.fork()
        if not pid:
            end_with_parent(signal.SIGKILL)
            os.setsid()
            line.close()
            server(connection, cases).serve()
        connection.close()
        with exit_quietly():
            line.sendall(pid.to_bytes(8, "little", signed=True))
            _, status = os.waitpid(pid, 0)
            line.sendall(os.waitstatus_to_exitcode(status).to_bytes(8, "little", signed=True))


# Before the code, and after it


def _choose_server_class(setup: dict[str, Any]) -> type[Server]:
    """Return the class that answers: the modules for loaders are imported only where there may be one."""
    if not setup["loaders"]:
        return Server
    from harness.isolation.loader_handler import LoaderServer

    return LoaderServer


def _has_lost_parent(line: socket.socket) -> bool:
    """True if the parent exited before this process could ask to be ended with it."""
    try:
        return not line.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _prepare_import(setup: dict[str, Any]) -> None:
    """Prepare the process before user code is imported."""
    open_nothing(0)
    os.dup2(2, 1)
    # Warnings and log records are no failures, and printed text would be noticed as output.
    warnings.simplefilter("ignore")
    logging.disable()
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    limit_memory(setup["memory"], hard=False)


def _prepare_calls(setup: dict[str, Any]) -> None:
    """Prepare the process for calls, after user code is imported."""
    with contextlib.suppress(Exception):
        # The imports of the first backward pass take longer than a call may.
        x = torch.ones(1, requires_grad=True)
        grad([x * 1.0], [x], [torch.ones(1)])
    gc.freeze()
    gc.enable()
    limit_memory(setup["memory"])
    # Writes the stack of the main thread, then ends the process wherever it is; it needs no lock of Python's.
    faulthandler.register(signal.SIGALRM, all_threads=False, chain=True)


def _may_fork() -> bool:
    """True if the process can be forked: it has one thread, and uses no accelerator."""
    if threading.active_count() > 1 or _uses_accelerator() or "jax" in sys.modules:
        return False
    tasks = "/proc/self/task"
    return os.path.isdir(tasks) and len(os.listdir(tasks)) == 1  # noqa: PTH112, PTH208 - as above


def _uses_accelerator() -> bool:
    """True if an accelerator was used, which no process that is forked then could use; unknown counts as used."""
    device = torch.accelerator.current_accelerator()
    if device is None:
        return False
    is_initialized: Callable[[], bool] = getattr(torch.get_device_module(device), "is_initialized", lambda: True)
    return is_initialized()


# Load the target


def _load_cases(setup: dict[str, Any]) -> list[Any]:
    """Return the cases that a target names."""
    _free_package_name(setup)
    sys.path[:0] = setup["path"]
    target = setup["target"]
    module, _, name = target.partition(":")
    if name:
        if setup["call"] is not None:
            adapter_of(setup["call"])
        named = attribute if setup["objects"] else load_callable
        return [_Single(named(module, name), setup["call"])]
    cases = [case for package in packages(import_module(module)) for case in _read_cases(package)]
    for case in cases:
        if case.call is not None:
            adapter_of(case.call)
    return cases


def _free_package_name(setup: dict[str, Any]) -> None:
    """Let the code import its own package with the name of ours, whose modules stay in use here."""
    file = setup["target"].partition(":")[0]
    folders = [*([str(Path(file).parent.absolute())] if file.endswith(".py") else []), *setup["path"]]
    spec = PathFinder.find_spec(_PACKAGE, folders)
    if spec is not None and spec.origin not in {None, sys.modules[_PACKAGE].__file__}:
        for name in [name for name in sys.modules if name.partition(".")[0] == _PACKAGE]:
            del sys.modules[name]


class _Single:
    """A function that the target names, without declarations."""

    def __init__(self, function: Callable[..., Any], call: str | None) -> None:
        self.function, self.call = function, call


def _read_cases(module: Any) -> Iterator[Any]:
    for case in getattr(module, "CASES", []):
        if type(case).__name__ != "Case":
            raise UsageError(
                f"cannot read `CASES` in `{module.__name__}`",
                rule="every entry must be a `Case`",
                value=type(case).__name__,
            )
        yield case


def _describe(case: Any) -> dict[str, Any]:
    description: dict[str, Any] = {"adapted": case.call is not None, "parameters": _describe_parameters(case.function)}
    is_class = isinstance(case.function, type)
    # An adapter of a class creates the instances itself.
    description["model"] = is_model(case.function) and not (is_class and case.call is not None)
    description["object"] = is_model(case.function) or is_class
    # The parameters of the adapter without the function.
    description["bridge"] = None if case.call is None else (_describe_parameters(adapter_of(case.call)) or [])[1:]
    if isinstance(case, _Single):
        return description
    names = ("name", "contract", "style", "target", "dtypes", "attains")
    description |= {name: getattr(case, name) for name in names}
    description["call"] = case.call if isinstance(case.call, str) else None
    description["declares"] = dict(case.declares)
    description["breaks"] = {law: _encode_reason(why) for law, why in case.breaks.items()}
    description["breaks_at"] = [[*place, _encode_reason(why)] for place, why in case.breaks_at.items()]
    return description


def _encode_reason(why: Any) -> Any:
    return why if isinstance(why, str) else [why.reason, list(why.dtypes)]


def _describe_parameters(function: Any) -> list[list[Any]] | None:
    """Return name, kind and whether there is a default, for each parameter."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[p.name, p.kind.name, p.default is not p.empty] for p in parameters]
