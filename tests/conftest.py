"""Shared by all tests: the mutants' folder is importable, one thread, no state left in the working directory."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

# Torch's compiler compiles where it is asked, not in processes beside that import torch for it, and takes the
# processor's word for what it can, which it would compile three files to see: half of what a first compilation takes.
os.environ |= {"TORCHINDUCTOR_COMPILE_THREADS": "1", "TORCHINDUCTOR_VEC_ISA_OK": "1"}

from samples.command import Command, Done

from harness import cli


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage: it is there to the end."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def imported_since() -> Iterator[None]:
    """Leave out what a module's tests have imported too: laws of loaders search for garbage after each epoch."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def interrupts() -> Iterator[None]:
    """Let SIGINT interrupt, here and in the processes that are started from here, which inherit it if it is ignored.

    It is ignored wherever the tests run in the background of a script.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True, scope="session")
def widely() -> Iterator[None]:
    """Print as widely as into any pipe: tox, and xdist in its workers, set the columns of a terminal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COLUMNS", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def hashes() -> Iterator[None]:
    """Let processes that are started have hashes of their own, as they have for a user: tox sets the seed of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONHASHSEED", raising=False)
        yield


@pytest.fixture(autouse=True, scope="session")
def importable() -> Iterator[None]:
    """Let every process that is started find what is here, as this one does.

    For all tests alike: what processes are forked of is started anew where a variable has changed.
    """
    with pytest.MonkeyPatch.context() as patch:
        here = str(Path(__file__).parent)
        patch.setenv("PYTHONPATH", os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])]))
        yield


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread, and restore what was set."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def harness_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run ``harness`` in this process, which spares every test the start of torch."""

    def run(*words: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["harness", *words])
        try:
            cli.main()
            code: object = 0
        except SystemExit as stop:
            code = stop.code
        out, err = capsys.readouterr()
        return Done(int(str(code or 0)), out, err)

    return run


@pytest.fixture
def one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have foreign code checked in one process where no number is asked for: a second one would import torch too."""
    monkeypatch.setattr("harness.cli.check._processes", lambda *_: 1)
