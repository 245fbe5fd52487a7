"""The budgets of six loaders are closed, and name the largest part if it is known."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from cases.fashion_mnist import concise, scratch
from harness.bench.suites.loader_measurement import budget_size, close_budget
from harness.contracts.loader import data_folder
from harness.data import fashion_mnist, file_formats
from harness.loading.throughput import Configuration
from harness.record.budget import AROUND, DECODE, FETCHING, READ, TRANSFORM, UNSEEN

BATCH = 32


def of_case(function: Any, workers: int) -> Callable[[Path], Callable[[], Any]]:
    """Return a factory for a shipped loader of the images in a folder."""
    return lambda root: lambda: function(root, False, BATCH, workers, True)  # noqa: FBT003 - as torchvision's


def of_files(name: str, workers: int = 0) -> Callable[[Path], Callable[[], Any]]:
    """Return a factory for a loader of a data set of files."""
    return lambda _: lambda: DataLoader(file_formats.SETS[name](), BATCH, num_workers=workers)


# Decoding and augmenting a picture take about the same time: the larger depends on the machine.
LOADERS: dict[str, tuple[Callable[[Path], Callable[[], Any]], int, set[str] | None]] = {
    "the book's": (of_case(concise.torchvision_loader, 0), 0, None),
    "files with decoding": (of_files("png files"), 0, {DECODE, TRANSFORM}),
    "in memory": (of_case(scratch.in_memory, 0), 0, {AROUND}),
    "packed, with workers": (of_case(concise.packed_loader, 1), 1, None),
    "iterable": (of_files("line stream"), 0, {DECODE}),
    "slow disk": (of_files("slow disk"), 0, {READ}),
}


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder with few images and files, for budgets that close in 0.2 s."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(file_formats, "COUNT", 64)
    monkeypatch.setenv(fashion_mnist.VARIABLE, fashion_mnist.SYNTHETIC)
    monkeypatch.setattr("harness.bench.suites.loader_measurement.SECONDS", 0.2)
    pixels = torch.randint(0, 256, (192, 28, 28), dtype=torch.uint8)
    with data_folder(pixels, torch.arange(192, dtype=torch.uint8) % 10) as root:
        yield root


@pytest.mark.parametrize("name", LOADERS)
def test_the_budget_of_a_loader_is_closed(name: str, images: Path) -> None:
    """The parts add up to the loop within 5 % in the median round, and the slowest part is the known one."""
    make, workers, largest = LOADERS[name]
    budget = close_budget(make(images), Configuration(BATCH, workers), None)
    assert budget.is_closed, budget.shares
    assert abs(sum(budget.shares.values()) - 1.0) < 1e-9
    loading = {part: share for part, share in budget.shares.items() if part in {*FETCHING, AROUND}}
    if largest is not None:
        assert max(loading, key=lambda part: loading[part]) in largest, budget.sentence
    assert UNSEEN in budget.shares
    assert budget.sentence.count("; ") == 2


class Hiding(DataLoader[Any]):
    """A loader with a tenth of additional time per batch in code that is not sampled."""

    def __iter__(self) -> Any:
        batches = super().__iter__()
        while True:
            began = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                return
            time.sleep(0.1 * (time.perf_counter() - began))
            yield batch


@pytest.mark.parametrize("name", ["the book's", "iterable"])
def test_a_cost_that_is_hidden_leaves_the_budget_open(name: str, images: Path) -> None:
    """The hidden tenth exceeds the accepted share of unseen time."""
    make, workers, _ = LOADERS[name]

    def hiding() -> Any:
        loader = make(images)()
        loader.__class__ = Hiding
        return loader

    assert not close_budget(hiding, Configuration(BATCH, workers), None).is_closed


def test_one_batch_size_has_budgets() -> None:
    """It is the book's batch size, or the next smaller size."""
    assert budget_size((32, 256, 1024)) == 256
    assert budget_size((32, 1024)) == 32
    assert budget_size((512, 1024)) == 512
