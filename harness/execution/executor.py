"""Executors, which do pieces of work on other machines."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from harness.calling.discovery import attribute
from harness.error import UsageError, require

DASK = "dask://"
"""Prefix of the address of a Dask scheduler."""

PATIENCE_S = 10.0
"""Time limit for connecting to a scheduler, in seconds."""


@contextmanager
def open_executor(text: str, jobs: int | None = None) -> Iterator[Executor]:
    """Open an executor, and shut it down at the end.

    Parameters
    ----------
    text
        ``dask://host:port``, the address of a Dask scheduler; or ``file.py:function`` or ``module:function``, a
        function that returns an executor.
    jobs
        Number of local processes that the user requested.

    Raises
    ------
    UsageError
        If it does not exist, or if local processes are requested as well.
    """
    if jobs is not None:
        problem = "cannot use `--jobs` together with `--executor`"
        raise UsageError(problem, rule="an executor has its own workers", remedy="leave one out")
    with _open_dask(text) if text.startswith(DASK) else _open_own(text) as executor:
        yield executor


@contextmanager
def _open_dask(text: str) -> Iterator[Executor]:
    require("dask", f"the executor `{text}`")
    distributed: Any = import_module("distributed")
    address = text.removeprefix(DASK)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError("cannot read `--executor`", rule="it must be dask://HOST:PORT", value=f"`{text}`")
    try:
        client = distributed.Client(f"tcp://{address}", timeout=PATIENCE_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot reach the Dask scheduler `{text}`", rule=f"{error}") from error
    with client:
        # Two pieces with the same arguments are two pieces, in one command and in the next.
        yield client.get_executor(pure=False)


@contextmanager
def _open_own(text: str) -> Iterator[Executor]:
    path, _, name = text.partition(":")
    if not name:
        rule = "it must be dask://HOST:PORT, or FILE.py:FUNCTION or MODULE:FUNCTION that returns an executor"
        raise UsageError("cannot read `--executor`", rule=rule, value=f"`{text}`")
    factory = attribute(path, name)
    try:
        factory = factory()
    except Exception as error:
        raise UsageError(f"cannot create the executor `{text}`", rule=f"{type(error).__name__}: {error}") from error
    if not isinstance(factory, Executor):
        rule = "the function must return a `concurrent.futures.Executor`"
        value = f"an object of type {type(factory).__name__}"
        raise UsageError(f"cannot use the executor `{text}`", rule=rule, value=value)
    try:
        yield factory
    finally:
        # All results have arrived, so there is nothing to wait for.
        factory.shutdown(wait=False)
