"""Results of loaders cross to another process and back unchanged, and malformed data is refused."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch.utils.data import DataLoader, TensorDataset

from harness.loading import exercise
from harness.loading.content import SAMPLES, Opaque, digest
from harness.loading.reader import Epoch, Reader
from harness.loading.source import LoaderInfo, Request, Source
from harness.loading.tagged import Tag


def crossed(epoch: Epoch) -> Epoch:
    """Return an epoch after its transfer."""
    (received,) = sent("deliver", [epoch])
    return received


def sent(name: str, result: Any) -> Any:
    """Return the result of an exercise after its transfer."""
    validator = exercise.RESULTS[name]
    return validator.validate_python(validator.dump_python(result))


def test_an_epoch_arrives_as_it_was_read() -> None:
    """Samples and their tags are equal."""
    samples = [{"0": torch.tensor([1.0, 2.0]), "1": i} for i in range(3)]
    tags = [Tag(index=index, worker=0) for index in range(3)]
    epoch = crossed(Epoch(samples=samples, sizes=[2, 1], tags=tags, ended=True, seconds=0.5))
    assert [digest(sample) for sample in epoch.samples] == [digest(sample) for sample in samples]
    assert (epoch.sizes, epoch.tags, epoch.ended, epoch.seconds) == ([2, 1], tags, True, 0.5)


@pytest.mark.parametrize(
    "leaf",
    [torch.ones(2, dtype=torch.complex64), torch.ones(2, 2).to_sparse(), b"bytes", {1, 2}, 2**70, "x" * 2**17],
    ids=["complex", "sparse", "bytes", "set", "large", "long"],
)
def test_what_cannot_go_is_known_by_what_it_is_made_of(leaf: Any) -> None:
    """Equal objects stay equal, and different ones stay different."""
    parts = SAMPLES.dump_python([{"0": leaf}, {"0": leaf}, {"0": f"{leaf}"[:9]}])
    first, again, other = SAMPLES.validate_python(parts)
    assert isinstance(first["0"], Opaque)
    assert digest(first) == digest(again) != digest(other)


MALFORMED: list[tuple[str, Any]] = [
    ("show", {"by_index": "perhaps"}),
    ("show", {"length": -1}),
    ("deliver", [{"by_index": True}]),
    ("deliver", None),
    ("read_directly", [{"0": torch.ones(2, dtype=torch.complex64)}]),
    ("read_directly", [{"0": torch.ones(1).expand(2**40)}]),
    ("read_directly", [{"0": torch.ones(2, device="meta")}]),
    ("read_directly", [{"0": object()}]),
    ("read_twice", [[], []]),
    ("announce", (-1, None)),
    ("announce", (True, None)),
    ("use_memory", [(1.5, 1)]),
    ("use_memory", [1]),
    ("stay", 1),
    ("seed_and_begin", [{"torch": 1}, {}]),
    ("set_epochs", [Epoch().model_dump(), Epoch().model_dump()]),
]


@pytest.mark.parametrize(("name", "value"), MALFORMED)
def test_what_has_not_its_form_is_not_taken(name: str, value: Any) -> None:
    """The sender does not matter."""
    with pytest.raises(ValidationError):
        exercise.RESULTS[name].validate_python(value)


EPOCH = Epoch(samples=[{}], sizes=[1], ended=True).model_dump()


@pytest.mark.parametrize(
    "change",
    [
        {"sizes": [2]},
        {"tags": [(0, 0, 1)]},
        {"tags": [{"index": 0.5, "worker": 0}]},
        {"seconds": -1.0},
        {"ended": 1},
        {"samples": [{"0": {"kind": "kind"}}]},
        {"further": 1},
    ],
    ids=str,
)
def test_an_epoch_that_contradicts_itself_is_refused(change: dict[str, Any]) -> None:
    """Counts that do not add up, tags of another form and negative times are refused."""
    assert exercise.RESULTS["fail"].validate_python(EPOCH).sizes == [1]
    with pytest.raises(ValidationError):
        exercise.RESULTS["fail"].validate_python({**EPOCH, **change})


def test_facts_about_a_loader_arrive_unchanged() -> None:
    """All but the data set, which stays where it is."""
    info = LoaderInfo(by_index=True, length=9, samples=9, shuffled=None, workers=2)
    assert sent("show", info) == info


@pytest.mark.parametrize("name", exercise.EXERCISES)
def test_no_exercise_has_a_result_of_any_form(name: str) -> None:
    """The annotation of an exercise is what its result is validated by, so it leaves nothing open."""
    with pytest.raises(ValidationError):
        exercise.RESULTS[name].validate_python(object())


class Resumable(DataLoader[Any]):
    """A loader with everything that an exercise may use."""

    def state_dict(self) -> dict[str, int]:
        """Return no state."""
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Begin again."""

    def set_epoch(self, number: int) -> None:
        """Have the same order in every epoch."""


def loaders() -> Resumable:
    """Return a loader of four batches."""
    return Resumable(TensorDataset(torch.arange(8.0)), batch_size=2)


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "deliver": (1, True, 1),
    "deliver_wrapped": (1,),
    "deliver_indices": (2,),
    "fail": (100, False),
    "read_twice": (2,),
    "collate": (2,),
    "keep_batches": (2,),
    "write_into": (1,),
    "seed_and_read": (2,),
    "seed_and_begin": ([1, 2],),
    "set_epochs": ([0, 1, 0],),
    "leave_early": (1,),
    "resume": ([1],),
    "use_memory": (2, 1, 60.0),
    "replay": ([0, 1],),
    "count_by_hash": (2,),
    "count_open": (0.0,),
}


@pytest.mark.parametrize("name", exercise.EXERCISES)
def test_the_result_of_every_exercise_has_the_form_of_its_annotation(name: str) -> None:
    """Otherwise an honest process would be told that its answer is unreadable."""
    result = exercise.EXERCISES[name](Reader(Source(loaders, "own")), Request(), *ARGUMENTS.get(name, ()))
    sent(name, result)
