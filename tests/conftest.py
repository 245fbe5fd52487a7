"""Shared by all tests: imports from this folder, one thread, no files left in the working directory."""

import atexit
import gc
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

# Compile in this process, because compiler processes would import torch. Trust the processor's instruction set, because
# a test of it compiles three files. Both take half of a first compilation.
os.environ |= {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_VEC_ISA_OK": "1"}

from samples.command import Command, Done
from samples.preloaded import preloaded

from harness import cli
from harness.calling.discovery import make_importable
from harness.error import absence
from harness.isolation import fork_server

# Tests import the shipped cases by their name, except tests of the core without extras.
if absence("cases", "a test") is None:
    make_importable("cases")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the site, whose tests need it first: a worker that made it last would leave the others idle."""
    items.sort(key=lambda item: "website" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Exclude imported objects from later garbage collections, because they live to the end.

    Triton would report them there as leaks.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)


@pytest.fixture(autouse=True, scope="module")
def imported_since() -> Iterator[None]:
    """Exclude the objects imported by a test module too: laws of loaders collect garbage after each epoch."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def interrupts() -> Iterator[None]:
    """Restore SIGINT and SIGHUP for this process and the processes that it starts, which inherit an ignored signal.

    The signal is ignored if the tests run in the background of a script.
    """
    handlers: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True, scope="session")
def widely() -> Iterator[None]:
    """Print as to a wide pipe, because tox and the workers of xdist set the columns of a terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def hashes() -> Iterator[None]:
    """Remove the hash seed that tox sets, so that started processes have random hashes as for users."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONHASHSEED", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def importable() -> Iterator[None]:
    """Put this folder on the path of every started process.

    All tests share the setting, because a changed variable restarts the fork servers.
    """
    with pytest.MonkeyPatch.context() as patch:
        here = str(Path(__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield


@pytest.fixture(scope="session")
def python(importable: None, widely: None, hashes: None) -> Iterator[str]:
    """Return the path of a Python whose processes need not import torch, for tests of many short commands."""
    with preloaded() as path:
        yield path


FRESH = ("isolation/", "calling/", "bench/test_process.py", "sameness/test_reported.py", "sameness/test_variants.py")
"""Tests that start fresh interpreters, because forks have more modules and files."""


@pytest.fixture(autouse=True, scope="module")
def quick_starts(python: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fork also the interpreters that this process starts, but not in tests of their content or their descendants."""
    is_quick = not request.path.relative_to(Path(__file__).parent).as_posix().startswith(FRESH)
    with pytest.MonkeyPatch.context() as patch:
        if is_quick:
            patch.setattr(fork_server, "sys", SimpleNamespace(executable=python, platform=sys.platform))
        else:
            fork_server.SERVER.close()
        yield
    if not is_quick:
        fork_server.SERVER.close()


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread, and restore the previous number."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def forgotten(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget the modules that a test wrote and imported, because another test may write one of the same name."""
    before, written = set(sys.modules), tmp_path_factory.getbasetemp()
    yield
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(written):
            del sys.modules[name]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def harness_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run ``harness`` in this process, which saves the import of torch in every test."""

    def run(line: str, *words: str, code: int | None = None) -> Done:
        monkeypatch.setattr(sys, "argv", ["harness", *shlex.split(line), *words])
        ended: object = 0
        try:
            cli.main()
        except SystemExit as stop:
            ended = stop.code
        done = Done(int(str(ended or 0)), *capsys.readouterr())
        assert code in (None, done.returncode), done
        return done

    return run


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check foreign code in one process by default, because a second one would import torch too."""
    monkeypatch.setattr("harness.cli.check._count_processes", lambda *_: 1)
