"""Executors: where pieces of work are done that are not done on this machine."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from harness.calling.importing import attribute
from harness.error import UsageError

DASK = "dask://"
"""Begins the address of a Dask scheduler."""

PATIENCE_S = 10.0
"""How long a scheduler is waited for."""


@contextmanager
def executor_named(text: str | None, jobs: int | None = None) -> Iterator[Executor | None]:
    """Open an executor, and shut it down at the end.

    Parameters
    ----------
    text
        ``dask://host:port``, the address of a Dask scheduler; or ``file.py:function`` or ``module:function``, a
        function that returns an executor; ``None`` for none.
    jobs
        Processes that were asked for on this machine.

    Raises
    ------
    UsageError
        If there is none, or processes of this machine are asked for beside it.
    """
    if text is None:
        yield None
        return
    if jobs is not None:
        raise UsageError(
            rule="`--jobs` counts processes of this machine, and an executor has its own",
            value=f"`--jobs {jobs}` and `--executor {text}`",
            remedy="leave one of them out",
        )
    with _scheduler(text) if text.startswith(DASK) else _made(text) as executor:
        yield executor


@contextmanager
def _scheduler(text: str) -> Iterator[Executor]:
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise UsageError(
            rule="a Dask cluster is reached through `distributed`",
            value="an environment without it",
            remedy="pip install 'stability-harness[dask]'",
        ) from error
    rule, address = "`--executor dask://HOST:PORT` is the address of a Dask scheduler", text.removeprefix(DASK)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(rule=rule, value=f"`{text}`")
    try:
        client = distributed.Client(f"tcp://{address}", timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(rule=rule, value=f"{error}", place=f"`{text}`") from error
    with client:
        # Two pieces with the same arguments are two pieces, in one command and in the next.
        yield client.get_executor(pure=False)


@contextmanager
def _made(text: str) -> Iterator[Executor]:
    place, _, name = text.partition(":")
    if not name:
        raise UsageError(
            rule="`--executor` is dask://HOST:PORT, or FILE.py:FUNCTION or MODULE:FUNCTION that returns an executor",
            value=f"`{text}`",
        )
    made = attribute(place, name)
    try:
        made = made()
    except Exception as error:
        raise UsageError(
            rule="the function of `--executor` can be called",
            value=f"{type(error).__name__}: {error}",
            place=f"`{text}`",
        ) from error
    if not isinstance(made, Executor):
        raise UsageError(
            rule="the function of `--executor` returns a `concurrent.futures.Executor`",
            value=f"an object of type {type(made).__name__}",
            place=f"`{text}`",
        )
    try:
        yield made
    finally:
        # What is running is not waited for: every piece that counts has come back.
        made.shutdown(wait=False)
