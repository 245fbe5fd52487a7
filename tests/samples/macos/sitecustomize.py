"""Hide what only Linux has from a process and its children, as on macOS.

Python imports this module at its start if its folder is on the path. ``psutil`` keeps its files, because it is the one
for Linux.
"""

import builtins
import ctypes
import io
import multiprocessing
import os
import signal
import sys
import sysconfig
import types
from collections.abc import Callable
from typing import Any

import psutil

LINUX = ("/proc", "/sys", "/dev/shm")  # noqa: S108 - no file is written there
"""Folders that macOS does not have."""

NAMES = {
    os: (
        "eventfd",
        "memfd_create",
        "pidfd_open",
        "pipe2",
        "posix_fadvise",
        "posix_fallocate",
        "sched_getaffinity",
        "sched_setaffinity",
        "waitid",
    ),
    signal: ("SIGPWR", "SIGRTMAX", "SIGRTMIN", "SIGSTKFLT", "sigtimedwait", "sigwaitinfo"),
}
"""Names that these modules do not have on macOS."""

FUNCTIONS = {"mallinfo2", "prctl", "timer_create", "timer_delete", "timer_settime"}
"""Functions of the C library that macOS does not have."""


class Library(ctypes.CDLL):
    """A library without these functions."""

    def __getattr__(self, name: str) -> Any:
        """Return a function of the library."""
        if name in FUNCTIONS:
            raise AttributeError(name)
        return super().__getattr__(name)


def hidden(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that does not find the folders."""

    def call(path: Any = ".", *words: Any, **options: Any) -> Any:
        if isinstance(path, (str, os.PathLike)) and os.fspath(path).startswith(LINUX) and not _is_psutil():
            raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
        return function(path, *words, **options)

    return call


def _is_psutil() -> bool:
    frame = sys._getframe(2)
    return any("psutil" in one.f_code.co_filename for one in (frame, frame.f_back, frame) if one is not None)


def hide() -> None:
    """Hide all of this."""
    # These modules choose their parts when they are imported.
    sysconfig.get_config_vars()
    vars(psutil).update(LINUX=False, MACOS=True)
    for module, names in NAMES.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in ("open", "listdir", "scandir", "stat", "statvfs"):
        setattr(os, name, hidden(getattr(os, name)))
    builtins.open = io.open = hidden(open)
    ctypes.CDLL = Library  # type: ignore[misc]
    multiprocessing.set_start_method("spawn")
    proxies = types.ModuleType("_scproxy")  # urllib imports it on macOS
    vars(proxies).update(_get_proxy_settings=dict, _get_proxies=dict)
    sys.modules["_scproxy"] = proxies
    sys.platform = "darwin"


hide()
