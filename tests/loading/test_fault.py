"""A fault of a loader is named with its sample, in bounded time, and leaves no process behind."""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from harness.execution.interrupt import interruptible
from harness.loading.fault import FaultKind, LoadingFault, find_fault
from harness.loading.faulty_sample import diagnose
from harness.loading.supervision import is_running, supervise

# If a worker ends while it sends a tensor, garbage collection closes the other end of its socket.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")

SIZE, BAD = 40, 21


class Squares(Dataset[Any]):
    """Squares, with another behavior at one index."""

    def __init__(self, at_bad: Callable[[], Any] = lambda: None, *, length: int = SIZE) -> None:
        self.at_bad = at_bad
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> torch.Tensor:
        if index >= SIZE:
            raise IndexError(index)
        if index == BAD:
            self.at_bad()
        return torch.tensor(index**2)


class BatchedSquares(Squares):
    """The same, fetched in batches."""

    def __getitems__(self, indices: list[int]) -> list[torch.Tensor]:
        """Return a batch."""
        return [self[index] for index in indices]


def raises() -> None:
    """Raise the error of a damaged file."""
    raise ValueError("damaged file")


def dies() -> None:
    """End by a signal."""
    os.kill(os.getpid(), signal.SIGKILL)


def exits() -> None:
    """Exit without a message."""
    os._exit(3)


def hangs() -> None:
    """Wait for data that never arrives."""
    time.sleep(600)


def interrupts() -> None:
    """Send SIGINT to the parent process, and wait."""
    os.kill(os.getppid(), signal.SIGINT)
    time.sleep(600)


def hangs_stubbornly() -> None:
    """Wait, and ignore every exception."""
    while True:
        with suppress(Exception):
            time.sleep(600)


def fill_shared_memory() -> None:
    """Request more shared memory than a process may have."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))
    torch.empty(2**18).share_memory_()


def loader(workers: int, **options: Any) -> Callable[[Any], Any]:
    """Return a factory for a loader of a data set."""
    if workers:
        options = {"multiprocessing_context": "fork", **options}
    return lambda dataset: DataLoader(dataset, 4, num_workers=workers, **options)


@pytest.fixture(autouse=True)
def no_orphan() -> Iterator[None]:
    """Check that no process of a test remains, and collect garbage before the next test."""
    before = set(psutil.Process().children(recursive=True))
    yield
    gc.collect()
    left = set(psutil.Process().children(recursive=True)) - before
    assert [one for one in left if is_running(one)] == []


def diagnosed(dataset: Any, workers: int, limit_s: float = 30.0, **options: Any) -> LoadingFault:
    """Return the fault that ends a watched epoch."""
    fault = diagnose(dataset, loader(workers, **options), workers=workers, limit_s=limit_s)
    assert fault is not None
    return fault


def test_a_loader_that_delivers_has_no_fault() -> None:
    """It runs with and without workers, for items and batches."""
    for workers in (0, 2):
        assert diagnose(Squares(), loader(workers), workers=workers) is None
        assert diagnose(BatchedSquares(), loader(workers), workers=workers) is None


@pytest.mark.parametrize(("end", "how"), [(dies, "is killed by signal: Killed"), (exits, "exits with exit code 3")])
def test_how_a_worker_died_is_known_where_torch_was_not_told(end: Callable[[], None], how: str) -> None:
    """Under load, torch may check its workers before their signal arrives. The test withholds the signal."""
    assert diagnose(Squares(), loader(2), workers=2) is None, "torch listens from the first loader on"
    before = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        fault = diagnosed(Squares(end), 2)
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert (fault.kind, fault.index) == (FaultKind.DIED, BAD)
    assert how in fault.sentence


@pytest.mark.parametrize("workers", [0, 2])
def test_a_sample_that_raises_is_named_by_its_index(workers: int) -> None:
    """The message quotes the error without its traceback."""
    fault = diagnosed(Squares(raises), workers)
    assert (fault.kind, fault.index) == (FaultKind.RAISED, BAD)
    assert fault.sentence.startswith(f"at index {BAD}: loading raises")
    assert fault.sentence.endswith("ValueError: damaged file")
    assert fault.worker == (None if workers == 0 else 1)


def test_a_batch_that_raises_is_named_by_its_first_index() -> None:
    """The failing sample of a batch fetch is unknown."""
    fault = diagnosed(BatchedSquares(raises), 1)
    assert fault.index == 20
    assert "in the batch that starts at index 20" in fault.sentence


@pytest.mark.parametrize(("end", "how"), [(dies, "is killed by signal: Killed"), (exits, "exits with exit code 3")])
def test_a_worker_that_dies_is_named_with_the_sample_it_was_at(end: Callable[[], None], how: str) -> None:
    """It dies by a signal or by an exit."""
    fault = diagnosed(Squares(end), 2)
    assert (fault.kind, fault.index, fault.worker) == (FaultKind.DIED, BAD, 1)
    assert fault.sentence == f"at index {BAD}: a worker process {how} instead of delivering"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("hang", [hangs, hangs_stubbornly])
def test_a_sample_that_hangs_is_named_in_bounded_time(hang: Callable[[], None], workers: int) -> None:
    """It may ignore every exception."""
    began = time.monotonic()
    fault = diagnosed(Squares(hang), workers, limit_s=1.0)
    assert (fault.kind, fault.index) == (FaultKind.HUNG, BAD)
    assert "within 1 s" in fault.sentence
    assert time.monotonic() - began < 20.0


class Slow(Squares):
    """Squares that take a twentieth of a second each."""

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(0.05)
        return super().__getitem__(index)


def test_a_long_epoch_does_not_hang() -> None:
    """Each sample arrives soon, so none is blamed."""
    fault = diagnosed(Slow(), 0, limit_s=0.6)
    assert (fault.kind, fault.index) == (FaultKind.HUNG, None)
    assert fault.sentence == "reading an epoch takes more than 0.6 s, but no sample hangs"


def test_workers_that_do_not_start_are_named() -> None:
    """They have read no sample when the time is up, as spawned workers on a busy machine."""

    def load(_: Any) -> Iterator[Any]:
        time.sleep(60.0)
        yield

    fault = diagnose(Squares(), load, workers=2, limit_s=0.3)
    assert fault is not None
    assert fault.sentence == "no worker read a sample within 0.3 s"
    assert "first imports torch" in fault.remedy


@pytest.mark.parametrize("workers", [0, 2])
def test_a_length_that_is_too_long_is_named(workers: int) -> None:
    """An `IndexError` below the length is a fault of the length."""
    fault = diagnosed(Squares(length=SIZE + 8), workers)
    assert (fault.kind, fault.index) == (FaultKind.LENGTH, SIZE)
    assert fault.sentence == f"`len` of the data set is {SIZE + 8}, but index {SIZE} raises IndexError"


def test_exhausted_shared_memory_is_named() -> None:
    """A limit on file sizes, which includes shared memory, causes the refusal."""
    fault = diagnosed(Squares(fill_shared_memory), 1)
    assert fault.kind is FaultKind.SHARED_MEMORY
    assert "--shm-size" in fault.remedy


def test_the_words_of_torch_for_exhausted_shared_memory_are_known() -> None:
    """Either an allocation is refused, or a worker dies with a bus error."""
    refused = "unable to allocate shared memory(shm) for file </torch_1_2_3>: No space left on device (28)"
    touched = "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers are"
    for text in (refused, touched):
        assert find_fault(RuntimeError(text)).kind is FaultKind.SHARED_MEMORY


@pytest.mark.filterwarnings("ignore:Got pickle error")
def test_a_data_set_that_cannot_be_sent_to_a_worker_is_named() -> None:
    """It contains a lambda, with the start method ``spawn``."""
    fault = diagnosed(Squares(lambda: None), 1, multiprocessing_context="spawn")
    assert fault.kind is FaultKind.UNPICKLABLE
    assert "cannot be sent to a worker" in fault.sentence
    assert "`fork`" in fault.remedy


def test_an_interrupt_ends_the_workers_and_goes_on() -> None:
    """It propagates and does not count as a fault."""
    made = loader(2)(Squares(interrupts))
    # It may arrive while an object of torch is destroyed, where Python drops the exception.
    with pytest.raises(KeyboardInterrupt), interruptible(), supervise(30.0):
        list(made)
