"""A loader has a time limit and leaves no process; the death of a worker is known, wherever the main thread is."""

import gc
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from types import FrameType, FunctionType

import psutil
import pytest

from harness.loading import supervision
from harness.loading.fault import FaultKind, LoadingError
from harness.loading.supervision import ignore_deaths, is_running, note_deaths, supervise

DEATH = "DataLoader worker (pid 7) is killed by signal: Killed."


@pytest.fixture
def dying() -> Iterator[Callable[[], None]]:
    """Return a function after which torch's handler reports a death, once."""
    dead: list[int] = []

    def handler(number: int, frame: FrameType | None) -> None:
        if dead:
            dead.clear()
            raise RuntimeError(DEATH)

    before = signal.signal(signal.SIGCHLD, handler)
    yield lambda: dead.append(7)
    signal.signal(signal.SIGCHLD, before)


def arrive() -> None:
    """Let the signal arrive here."""
    signal.raise_signal(signal.SIGCHLD)


def of_module(name: str, call: Callable[[], None]) -> Callable[[], None]:
    """Return a function of a module that calls another function."""

    def calls() -> None:
        call()

    return FunctionType(calls.__code__, {"__name__": name}, closure=calls.__closure__)


def raises() -> None:
    """Fail as a data set does."""
    raise ValueError("damaged file")


class Destructor:
    """The signal arrives in its destructor."""

    def __del__(self) -> None:
        arrive()


def test_a_death_is_raised_where_the_block_waits(dying: Callable[[], None]) -> None:
    """It interrupts a function that the block calls."""
    dying()
    went_on = []

    def waits() -> None:
        arrive()
        went_on.append(True)

    with pytest.raises(LoadingError) as caught, supervise():
        waits()
    assert not went_on
    assert caught.value.fault.kind is FaultKind.DIED
    assert "killed by signal: Killed" in caught.value.fault.sentence


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_death_in_a_destructor_is_the_cause_of_the_error_that_follows(dying: Callable[[], None]) -> None:
    """Python drops the error of the destructor."""
    dying()

    def loses() -> None:
        Destructor()
        gc.collect()
        raise ConnectionResetError

    with pytest.raises(LoadingError) as caught, supervise():
        loses()
    assert caught.value.fault.kind is FaultKind.DIED


def test_a_death_while_a_block_is_left_does_not_replace_its_fault(
    dying: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the block is being handled when the signal arrives."""
    monkeypatch.setattr(supervision, "_end_since", lambda _: (dying(), arrive()))
    with pytest.raises(LoadingError, match="damaged file"), supervise():
        raises()


@pytest.mark.parametrize(("module", "is_raised"), [("queue", True), ("tempfile", False)])
def test_a_loader_is_interrupted_only_while_it_waits(dying: Callable[[], None], module: str, is_raised: bool) -> None:
    """Elsewhere it may open files, which would stay open. The death is known all the same."""
    next_batch = of_module("torch.utils.data.dataloader", of_module(module, arrive))
    dying()
    with note_deaths() as deaths, pytest.raises(RuntimeError, match="pid 7") if is_raised else nullcontext():
        next_batch()
    assert str(deaths.first) == DEATH


def test_a_count_of_processes_is_not_interrupted(dying: Callable[[], None]) -> None:
    """It reads files of the system, which would stay open. The death is known all the same."""
    dying()
    with note_deaths() as deaths:
        of_module("psutil._common", arrive)()
    assert str(deaths.first) == DEATH


def test_a_signal_between_blocks_raises_nothing(dying: Callable[[], None]) -> None:
    """The interrupted function is not one that the block calls."""
    dying()
    with note_deaths() as deaths:
        signal.raise_signal(signal.SIGCHLD)
    assert str(deaths.first) == DEATH


def test_an_error_of_another_kind_remains(dying: Callable[[], None]) -> None:
    """A death of another loader does not explain it."""
    dying()
    with note_deaths() as deaths:
        deaths.look()
    error = ValueError("damaged file")
    assert deaths.cause(error) is error
    assert str(deaths.cause(OSError())) == DEATH


def test_ignored_deaths_are_forgotten(dying: Callable[[], None]) -> None:
    """Nothing is raised during the block or after it, and the handler is restored."""
    before = signal.getsignal(signal.SIGCHLD)
    with ignore_deaths():
        dying()
        arrive()
        dying()
    arrive()
    assert signal.getsignal(signal.SIGCHLD) is before


# Time limit and remaining processes


def test_a_process_that_is_left_behind_is_named_and_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """It first has time to end by itself."""
    monkeypatch.setattr("harness.loading.supervision.GOODBYE_S", 0.1)
    with pytest.raises(LoadingError, match="processes still running after it was closed: 1") as raised, supervise(30.0):
        process = subprocess.Popen(["sleep", "600"])
    assert process.wait() in {-signal.SIGTERM, 0}  # 0 where it was waited for already
    assert raised.value.fault.kind is FaultKind.LEFT


def test_the_process_that_keeps_shared_memory_is_not_ended(tmp_path: Path) -> None:
    """With torch's sharing strategy ``file_system``, the default on macOS, it serves all later loaders."""
    helper = tmp_path / "torch_shm_manager"
    helper.symlink_to("/bin/sleep")
    with supervise(30.0):
        process = subprocess.Popen([helper, "600"])
    try:
        assert process.poll() is None
        assert not is_running(psutil.Process(process.pid))
    finally:
        process.kill()
        process.wait()


def test_the_alarm_is_taken_back(tmp_path: Path) -> None:
    """The previous handler is restored, and no alarm rings later."""
    before = signal.getsignal(signal.SIGALRM)
    with supervise(0.2):
        (tmp_path / "quick").touch()
    assert signal.getsignal(signal.SIGALRM) is before
    time.sleep(0.3)


def without_goodbye(died: list[int]) -> None:
    """Start a process, let it die, and fail before waiting for it."""
    worker = multiprocessing.get_context("fork").Process(target=os._exit, args=(3,))
    worker.start()
    assert worker.pid is not None
    died.append(worker.pid)
    while psutil.Process(worker.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.001)
    raise ValueError("no goodbye")


def test_a_process_that_died_by_itself_is_waited_for() -> None:
    """Its parent has failed and does not wait for it, so that a zombie would remain."""
    died: list[int] = []
    with pytest.raises(LoadingError, match="no goodbye"), supervise():
        without_goodbye(died)
    assert len(died) == 1
    assert not psutil.pid_exists(died[0])
