"""Reading a loader: samples are counted, costs of workers are added, and a user's data set is examined."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from harness.calling.discovery import load_data_set
from harness.error import UsageError
from harness.loading import accounting
from harness.loading.accounting import CpuWindow, cpu_s, memory
from harness.loading.fault import FaultKind, LoadingError
from harness.loading.supervision import is_running
from harness.loading.throughput import Configuration, LoaderReading, samples_in

BUSY_S = 0.02


class Busy(Dataset[Any]):
    """Each sample takes some CPU time."""

    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> torch.Tensor:
        until = time.process_time() + BUSY_S
        while time.process_time() < until:
            pass
        return torch.tensor([index])


def loader(workers: int, **options: Any) -> Callable[[], Any]:
    """Return a factory for a loader of ten samples in four batches."""
    context: dict[str, Any] = {"multiprocessing_context": "fork"} if workers else {}
    return lambda: DataLoader(Busy(), 3, num_workers=workers, **context, **options)


@pytest.mark.parametrize("persistent", [True, False])
@pytest.mark.parametrize("workers", [0, 1, 2])
def test_cpu_time_of_workers_is_counted_whether_they_live_or_have_ended(workers: int, persistent: bool) -> None:
    """Ten samples use ten times their CPU time, in any process."""
    with LoaderReading(loader(workers, persistent_workers=persistent and workers > 0)) as reading:
        reading.start()
        reading.finish()
        cpu = CpuWindow()
        reading.finish()
        used_s = cpu.close()
    assert reading.epochs[-1] == (10, 4)
    # the process clock starts at zero in each worker, so that its start-up is not included
    assert used_s + 0.002 >= 10 * BUSY_S


def test_cpu_time_of_ended_processes_stays_in_the_sum() -> None:
    """The sum does not fall when a worker ends."""
    started = set(psutil.Process().children())
    reading = LoaderReading(loader(2))
    reading.start()
    reading.finish()
    before = cpu_s()
    reading.close()
    assert before <= cpu_s()
    assert not any(map(is_running, set(psutil.Process().children()) - started))


def test_memory_counts_workers_and_shared_pages_once() -> None:
    """Proportional shares do not exceed the resident sets, and batches in shared memory are included."""
    shared = torch.zeros(2**20, dtype=torch.uint8).share_memory_()
    before = memory().processes
    with LoaderReading(loader(2, persistent_workers=True)) as reading:
        reading.start()
        found = memory()
    assert found.processes == before + 2
    assert found.rss_bytes > 0
    if psutil.LINUX:
        assert found.pss_bytes is not None
        assert found.uss_bytes is not None
        assert found.shared_bytes is not None
        assert found.uss_bytes <= found.pss_bytes <= found.rss_bytes
        assert found.shared_bytes >= len(shared)


@pytest.mark.skipif(not psutil.LINUX, reason="the sums are the Linux kernel's")
def test_the_kernels_sums_are_those_of_the_maps_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shared memory agrees to the byte, the rest within the allocations of the reading. An older kernel has no sums."""
    shared = torch.zeros(2**20, dtype=torch.uint8).share_memory_()
    process = psutil.Process()
    summed = accounting._measure_memory(process)
    monkeypatch.setattr(accounting, "SHARED", "not known")
    mapped = accounting._measure_memory(process)
    assert summed is not None
    assert mapped is not None
    assert summed.shared_bytes == mapped.shared_bytes
    assert summed.shared_bytes is not None
    assert summed.shared_bytes >= len(shared)
    for name in ("rss_bytes", "pss_bytes", "uss_bytes"):
        assert getattr(summed, name) == pytest.approx(getattr(mapped, name), rel=0.1)


def test_a_slice_ends_with_its_batches_or_its_seconds() -> None:
    """It continues from epoch to epoch, and complete epochs are counted."""
    with LoaderReading(loader(0)) as reading:
        start = reading.start()
        assert start.wall_s >= start.first_batch_s >= 3 * BUSY_S
        found = reading.steady(batches=6, skip=1)
        assert (found.batches, found.samples) == (6, 3 + 1 + 10)
        assert found.cpu_us / found.wall_us == pytest.approx(found.cpu_s / found.wall_s)
        assert reading.epochs == [(10, 4)]
        assert reading.steady(seconds=0.0).batches == 1
        reading.finish()
        assert reading.steady(batches=4).samples == 10
        reading.finish()
        assert reading.epochs == [(10, 4)] * 4


def test_a_slice_without_an_end_is_refused() -> None:
    """Seconds or batches must be given."""
    with LoaderReading(loader(0)) as reading, pytest.raises(ValueError, match="`seconds` or `batches` is required"):
        reading.steady()


def test_each_batch_can_be_used_within_the_time() -> None:
    """The given step receives every batch."""
    seen: list[Any] = []
    with LoaderReading(loader(0), take=seen.append) as reading:
        reading.start()
        reading.steady(batches=2)
    assert [len(batch) for batch in seen] == [3, 3, 3]


def test_a_loader_that_delivers_nothing_is_no_endless_loop() -> None:
    """The fault is named."""
    with LoaderReading(lambda: [torch.zeros(0)]) as reading:
        reading.start()
        with pytest.raises(LoadingError, match="delivers no sample") as raised:
            reading.steady(batches=2)
    assert raised.value.fault.kind is FaultKind.EMPTY


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (torch.zeros(5, 2), 5),
        ((torch.zeros(5, 2), torch.zeros(5)), 5),
        ([{"text": ["a", "b"], "mask": np.zeros((2, 3))}], 2),
        ({"label": ["a", "b", "c"]}, 1),
        (["a", "b", "c"], 3),
        ([torch.tensor(1), torch.tensor(2)], 2),
    ],
)
def test_samples_of_a_batch_are_counted_in_its_first_array(batch: Any, size: int) -> None:
    """The batch is a tensor, an array, a pair or a mapping. Without an array, its length counts."""
    assert samples_in(batch) == size


def test_a_configuration_names_only_what_is_not_the_default() -> None:
    """It gives keyword arguments of ``DataLoader``, and words."""
    assert Configuration(32).arguments() == {"batch_size": 32}
    full = Configuration(32, 2, prefetch=4, persistent=False, pin=True, start_method="spawn")
    assert full.arguments() == {
        "batch_size": 32,
        "num_workers": 2,
        "prefetch_factor": 4,
        "multiprocessing_context": "spawn",
        "pin_memory": True,
    }
    assert str(full) == "batch 32, workers 2, prefetch 4, workers end with the epoch, spawn, pinned"
    assert (full.ahead, Configuration(32).ahead) == (8, 0)
    DataLoader(Busy(), **Configuration(2, 1, start_method="fork").arguments())


TARGETS = """
from torch.utils.data import IterableDataset, TensorDataset
import torch
numbers = TensorDataset(torch.arange(5))
class Numbers:
    def __len__(self): return 5
    def __getitem__(self, index): return index
def factory(): return Numbers()
def needy(path): return Numbers()
def text(): return 7
class Stream(IterableDataset):
    def __iter__(self): return iter(range(5))
class Empty(Numbers):
    def __len__(self): return 0
class Liar(Numbers):
    def __len__(self): return "five"
constant = 7
"""


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    """Write a file with data sets and other objects."""
    file = tmp_path / "targets_of_data.py"
    file.write_text(TARGETS)
    return file


@pytest.mark.parametrize("name", ["numbers", "Numbers", "factory"])
def test_a_data_set_is_found_made_or_called_for(targets: Path, name: str) -> None:
    """It is an object, a class, or a function."""
    assert len(load_data_set(f"{targets}:{name}")) == 5


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent", "no `absent`"),
        ("needy", "TypeError: needy() missing 1 required positional argument: 'path'"),
        ("text", "as a data set: it must be map-style, with `__getitem__` and `__len__`, got an object of type int"),
        ("Stream", "got an object of type Stream, which only supports iteration"),
        ("Empty", "is empty: 1 sample or more is needed, got 0"),
        ("Liar", ":Liar`: TypeError"),
        (
            "constant",
            "it must be a data set, or a callable that returns one without arguments, got an object of type int",
        ),
        ("", "name the data set as `module:name` or `file.py:name`"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(targets: Path, name: str, message: str) -> None:
    """The message has the rule, the value, the place and the remedy."""
    with pytest.raises(UsageError) as raised:
        load_data_set(f"{targets}:{name}")
    assert message in str(raised.value)
