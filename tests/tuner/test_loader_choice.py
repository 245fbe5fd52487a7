"""The choices of the tuner: the line to paste makes the loader that was measured."""

from typing import Any

import pytest
import torch
from torch.utils import data
from torch.utils.data import TensorDataset

from harness.tuner.loader_choice import Choice, LoaderKind
from harness.tuner.search_space import SearchSpace, worker_counts

DATASET = TensorDataset(torch.arange(10.0).reshape(10, 1), torch.arange(10))

CHOICES = [
    Choice(4),
    Choice(4, kind=LoaderKind.BATCHES),
    Choice(4, 2),
    Choice(4, 2, 4, kind=LoaderKind.BATCHES),
    Choice(4, 1, 2, persistent=False, start_method="spawn"),
]


def _evaluated(line: str, imports: str) -> Any:
    """Return the loader of a user who pastes both."""
    names: dict[str, Any] = {"dataset": DATASET}
    exec(imports, names)  # noqa: S102 - it is what is tested
    return eval(line, names)  # noqa: S307


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("one", CHOICES, ids=str)
def test_the_line_to_paste_makes_the_loader_that_was_measured(one: Choice, shuffle: bool) -> None:
    """Every setting and the order are the same, and only the shown import is needed."""
    pasted = _evaluated(one.line(shuffle=shuffle), one.imports(shuffle=shuffle))
    measured = one.load(DATASET, shuffle=shuffle)
    for name in ("batch_size", "num_workers", "prefetch_factor", "persistent_workers", "pin_memory"):
        assert getattr(pasted, name) == getattr(measured, name), name
    assert type(pasted.sampler) is type(measured.sampler)
    assert pasted.num_workers == one.workers
    assert str(pasted.multiprocessing_context) == str(measured.multiprocessing_context) or one.start_method is not None


@pytest.mark.parametrize("kind", LoaderKind)
def test_both_kinds_deliver_every_sample_once_in_batches_of_the_size_asked_for(kind: LoaderKind) -> None:
    """The last batch has the remaining samples."""
    batches = list(Choice(4, kind=kind).load(DATASET))
    assert [len(labels) for _, labels in batches] == [4, 4, 2]
    assert sorted(torch.cat([labels for _, labels in batches]).tolist()) == list(range(10))
    ordered = torch.cat([labels for _, labels in Choice(4, kind=kind).load(DATASET, shuffle=False)])
    assert ordered.tolist() == list(range(10))


def test_what_is_the_default_of_torch_is_left_out_of_the_line() -> None:
    """The test has a short line, and the full line."""
    assert Choice(64).line() == "DataLoader(dataset, batch_size=64, shuffle=True)"
    assert Choice(64, kind=LoaderKind.BATCHES, pin=True).line("train") == (
        "DataLoader(train, batch_size=None, sampler=BatchSampler(RandomSampler(train), 64, drop_last=False), "
        "pin_memory=True)"
    )
    assert Choice(64, 2, 4, start_method="spawn").line(shuffle=False) == (
        "DataLoader(dataset, batch_size=64, num_workers=2, prefetch_factor=4, persistent_workers=True, "
        "multiprocessing_context='spawn')"
    )
    assert hasattr(data, "BatchSampler")


def test_the_grid_has_every_choice_once() -> None:
    """Without workers, prefetch and start method do not vary."""
    choices = SearchSpace((32, 64), (0, 2), (2, 4), pin=True, start_method="spawn").grid()
    assert len(choices) == len(set(choices)) == 2 * 2 * (1 + 2)
    assert {one.prefetch for one in choices if not one.workers} == {2}
    assert {one.start_method for one in choices} == {None, "spawn"}


def test_of_equals_fewer_workers_come_first_and_then_less_memory() -> None:
    """Memory includes prefetched batches and the batch in use."""
    assert Choice(512).cost < Choice(64, 1).cost < Choice(64, 2, 2).cost < Choice(64, 2, 4).cost
    assert Choice(64, 2, 4).samples_held == 9 * 64


@pytest.mark.parametrize(("cores", "counts"), [(1.0, (0, 1, 2)), (2.0, (0, 1, 2, 4)), (16.0, (0, 1, 2, 8, 16, 32))])
def test_numbers_of_workers_reach_beyond_the_cores(cores: float, counts: tuple[int, ...]) -> None:
    """The counts include 0, 1, 2, the cores and twice the cores."""
    assert worker_counts(cores) == counts
