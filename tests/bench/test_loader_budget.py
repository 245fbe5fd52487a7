"""The budgets of six loaders: closed, with the part that takes most where it is known which one that is."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader

from cases.fashion_mnist import concise, scratch
from harness.bench.suites.loader_budget import budget_size, close_budget
from harness.contracts.loader import data_folder
from harness.data import dataset, files
from harness.loading.configuration import Configuration
from harness.record.budget import AROUND, DECODE, FETCHING, READ, UNSEEN

BATCH = 32


def of_case(function: Any, workers: int) -> Callable[[Path], Callable[[], Any]]:
    """Return what makes a loader of the chapter of the images in a folder."""
    return lambda root: lambda: function(root, False, BATCH, workers, True)  # noqa: FBT003 - as torchvision's


def of_files(name: str, workers: int = 0) -> Callable[[Path], Callable[[], Any]]:
    """Return what makes a loader of a data set of files."""
    return lambda _: lambda: DataLoader(files.SETS[name](), BATCH, num_workers=workers)


LOADERS: dict[str, tuple[Callable[[Path], Callable[[], Any]], int, str | None]] = {
    "the book's": (of_case(concise.torchvision_loader, 0), 0, None),
    "files with decoding": (of_files("png files"), 0, DECODE),
    "in memory": (of_case(scratch.in_memory, 0), 0, AROUND),
    "packed, with workers": (of_case(concise.packed_loader, 1), 1, None),
    "iterable": (of_files("line stream"), 0, DECODE),
    "slow disk": (of_files("slow disk"), 0, READ),
}


@pytest.mark.parametrize("name", LOADERS)
def test_the_budget_of_a_loader_is_closed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts add up to the loop within 5 % in the median round; the slowest part of loading is the known one."""
    make, workers, largest = LOADERS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(files, "COUNT", 64)
    monkeypatch.setenv(dataset.VARIABLE, dataset.SYNTHETIC)
    monkeypatch.setattr("harness.bench.suites.loader_budget.SECONDS", 0.2)
    images = torch.randint(0, 256, (192, 28, 28), dtype=torch.uint8)
    with data_folder(images, torch.arange(192, dtype=torch.uint8) % 10) as root:
        budget = close_budget(make(root), Configuration(BATCH, workers), None)
    # A batch in memory takes 20 us here, of which what stands between two readings of the clock is up to a tenth.
    is_closed = budget.shares["not attributed"] < 0.1 if name == "in memory" else budget.is_closed
    assert is_closed, budget.shares
    assert abs(sum(budget.shares.values()) - 1.0) < 1e-9
    loading = {part: share for part, share in budget.shares.items() if part in {*FETCHING, AROUND}}
    if largest is not None:
        assert max(loading, key=lambda part: loading[part]) == largest, budget.sentence
    assert UNSEEN in budget.shares
    assert budget.sentence.count("; ") == 2


def test_one_batch_size_has_budgets() -> None:
    """That of the book, or the next smaller one."""
    assert budget_size((32, 256, 1024)) == 256
    assert budget_size((32, 1024)) == 32
    assert budget_size((512, 1024)) == 512
