"""Refusal of modules of the harness that changed after user code began: it may write to the installed package.

A judge imports some of its modules late. The time of a change of a file cannot be set by a program, unlike that of its
modification, so it tells whether a module is still the one that was installed.
"""

import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from harness.error import UsageError


class _SourceLoader(SourceFileLoader):
    """Compiles a module, whose compiled file may have been written by user code."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - as of the base class
        return compile(self.get_data(self.path), self.path, "exec", dont_inherit=True)


class _UnchangedFinder:
    """Finds modules of the harness, and refuses a module that has changed since the finder was made."""

    def __init__(self) -> None:
        self._began_ns = time.time_ns()

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith("harness."):
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None:
            return spec
        if self._has_changed(spec.origin):
            rule = "its file was written while user code ran"
            problem = f"cannot import `{name}`"
            raise UsageError(problem, rule=rule, remedy="install the harness again, and remove what changes it")
        if spec.cached is not None and self._has_changed(spec.cached):
            spec.loader = _SourceLoader(name, spec.origin)
        return spec

    def _has_changed(self, file: str) -> bool:
        try:
            return Path(file).stat().st_ctime_ns > self._began_ns
        except OSError:
            return False


def refuse_changes() -> None:
    """Refuse to import modules of the harness that change from now on; call this before user code starts."""
    if not any(isinstance(finder, _UnchangedFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _UnchangedFinder())
