"""Modules of the harness that change after user code began are not imported."""

import importlib
import py_compile
import sys
import time
from collections.abc import Iterator
from importlib.util import cache_from_source
from pathlib import Path

import pytest

import harness
from harness.error import UsageError
from harness.isolation.unchanged import _UnchangedFinder

TICK_S = 0.05
"""Seconds that are more than the resolution of the time of a change."""


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A module of the harness that no process has imported yet; user code begins now."""
    file = tmp_path / "late.py"
    file.write_text("ORIGIN = 'installed'\n", encoding="utf-8")
    monkeypatch.setattr(harness, "__path__", [*harness.__path__, str(tmp_path)])
    time.sleep(TICK_S)
    monkeypatch.setattr(sys, "meta_path", [_UnchangedFinder(), *sys.meta_path])
    time.sleep(TICK_S)
    yield file
    sys.modules.pop("harness.late", None)


def test_an_unchanged_module_is_imported(late: Path) -> None:
    """Most modules of a command are imported late."""
    assert importlib.import_module("harness.late").ORIGIN == "installed"


def test_a_rewritten_module_is_refused(late: Path) -> None:
    """The time of its modification may be set back, that of its change may not."""
    late.write_text("ORIGIN = 'rewritten'\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot import `harness.late`: its file was written while user code ran"):
        importlib.import_module("harness.late")


def test_a_compiled_file_of_later_is_not_used(late: Path, tmp_path: Path) -> None:
    """It names the source as its origin, but holds other code; a file of another process costs a compilation."""
    other = tmp_path / "other.py"
    other.write_text("ORIGIN = 'rewritten'\n", encoding="utf-8")
    cached = Path(cache_from_source(str(late)))
    py_compile.compile(str(other), cfile=str(cached), doraise=True)
    header = late.stat()
    words = (0, int(header.st_mtime), header.st_size)
    code = cached.read_bytes()
    cached.write_bytes(code[:4] + b"".join(word.to_bytes(4, "little") for word in words) + code[16:])
    assert importlib.import_module("harness.late").ORIGIN == "installed"
