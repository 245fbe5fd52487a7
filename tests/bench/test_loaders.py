"""The suite of loaders, on data sets and loaders of the user: measurements, failures, and messages."""

import json
import os
import subprocess
import sys
import time
import weakref
from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from statistics import median
from threading import Event, Thread
from typing import Any

import pytest
import samples.benchmarks
import torch
from rich.console import Console
from torch import Tensor

from harness.bench import run as benchmark
from harness.bench.display import print_loaders
from harness.bench.option import Settings
from harness.bench.run import run_suite
from harness.bench.suites.loader_measurement import (
    MAX_ROUNDS,
    MIN_ROUNDS,
    LoaderGroup,
    LoaderRequest,
    measure_alone,
    measure_loaders,
)
from harness.bench.suites.peers import PEERS
from harness.bench.suites.test_loaders import length_fault
from harness.case import Case
from harness.error import UsageError
from harness.loading.fault import FaultKind
from harness.loading.throughput import Configuration, MemoryLimit
from harness.record.bench import LoaderRecord

DATA = """
import os, signal, time
import torch
from torch.utils.data import Dataset, get_worker_info

class Noise(Dataset):
    def __len__(self): return 50
    def bad(self): pass
    def __getitem__(self, index):
        if index >= 50: raise IndexError(index)
        if index == 33: self.bad()
        return torch.full((2, 3), float(index)), index % 10

class Raises(Noise):
    def bad(self): raise ValueError("damaged file")

class Hangs(Noise):
    def bad(self): time.sleep(600)

class Dies(Noise):
    def bad(self):
        if get_worker_info() is not None:
            os.kill(os.getpid(), signal.SIGKILL)

class Short(Noise):
    def __len__(self): return 20

class Empty(Noise):
    def __len__(self): return 0
"""


def settings(dataset: str, **more: Any) -> Settings:
    """Return settings with small budgets for a data set."""
    return Settings(**{"dataset": dataset, "batch_sizes": (8,), "workers": (0, 1), "seconds": 0.01, **more})


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the suite to save time. The tests do not use its memory measurements, which a fork distorts."""
    monkeypatch.setattr("harness.bench.run.FRESH", ())


@pytest.fixture
def data(workplace: Path) -> Path:
    """Write a file with data sets to the working directory."""
    file = workplace / "sets.py"
    file.write_text(DATA)
    return file


def infos(folder: Path) -> list[dict[str, Any]]:
    """Return the facts about each stored benchmark."""
    document = json.loads((folder / "bench-loaders.json").read_text())
    return [entry["extra_info"] for entry in document["benchmarks"]]


def test_a_data_set_is_measured_over_its_axes(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Prefetch varies only with workers. The settings are those of the loader, and a wrong length is reported."""
    asked = settings(f"{data}:Short", prefetch=(1, 3), persistent=False, start_method="fork")
    assert run_suite("loaders", run_folder=tmp_path, settings=asked) == 0, capfd.readouterr().out
    found = infos(tmp_path)
    assert [(info["workers"], info["prefetch"]) for info in found] == [(0, 2), (1, 1), (1, 3)]
    assert {info["start_method"] for info in found} == {"fork"}
    assert not any(info["persistent"] for info in found)
    assert {info["loader"] for info in found} == {"torch.utils.data.dataloader.DataLoader"}
    assert {len(info["limit_wall_us"]) for info in found} <= set(range(MIN_ROUNDS, MAX_ROUNDS + 1))
    assert "`len` of the data set is 20, but index 20 also returns a sample" in found[0]["remark"]


def test_a_data_set_that_fails_is_named_with_its_index_and_the_rest_is_kept(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It fails only in workers, and the measurements without workers remain."""
    assert run_suite("loaders", run_folder=tmp_path, settings=settings(f"{data}:Dies")) == 1
    said = capfd.readouterr().out
    assert "Dies fails to deliver batches [batch 8, workers 1]" in said, said
    assert "at index 33: a worker process is killed by signal: Killed instead of delivering" in said
    # If the signal of a dead worker arrives in a destructor, Python drops the error, and pytest warns about it.
    assert "Traceback" not in said.partition("warnings summary")[0]
    assert [info["workers"] for info in infos(tmp_path)] == [0]


def test_a_data_set_that_raises_is_no_traceback(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The message has the sample, the error and the remedy."""
    assert run_suite("loaders", run_folder=tmp_path, settings=settings(f"{data}:Raises", workers=(0,))) == 1
    said = capfd.readouterr().out
    assert "fault      at index 33: loading raises: ValueError: damaged file" in said
    assert "Traceback" not in said


def test_a_data_set_that_hangs_is_tried_once(data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The time is bounded, and the other configurations are skipped."""
    assert run_suite("loaders", run_folder=tmp_path, settings=settings(f"{data}:Hangs", timeout=1.0)) == 1
    said = capfd.readouterr().out
    assert said.count("fault      at index 33: loading hangs: no batch arrived within 1 s") == 2
    assert said.count("not run here, because this loader already hung") == 1


def test_what_is_no_data_set_ends_the_suite_with_a_sentence(
    data: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is no output of pytest, and no file is written."""
    with pytest.raises(UsageError, match="is empty: 1 sample or more is needed, got 0"):
        run_suite("loaders", run_folder=tmp_path, settings=settings(f"{data}:Empty"))
    assert "".join(capfd.readouterr()) == ""
    assert not (tmp_path / "bench-loaders.json").exists()


class Pairs:
    """A loader of four batches that ignores the number of workers."""

    def __iter__(self) -> Any:
        return iter([(torch.zeros(5, 2), torch.zeros(5))] * 4)


class Slow(Pairs):
    """The same, a millisecond late for each batch."""

    def __iter__(self) -> Any:
        for batch in super().__iter__():
            time.sleep(1e-3)
            yield batch


class Failing(Pairs):
    """Fails in its sixth epoch, so that it starts well."""

    epochs = 0

    def __iter__(self) -> Any:
        Failing.epochs += 1
        if Failing.epochs > 5:
            raise OSError("the disk is gone")
        return super().__iter__()


def asked(make: Any = Pairs, **more: Any) -> LoaderRequest:
    """Ask for a loader with a small budget."""
    given = {"count": lambda batch: len(batch[1]), "configuration": Configuration(5), "epoch_batches": 4}
    return LoaderRequest(make, **{**given, "seconds": 0.01, **more})


def group(**loaders: Any) -> LoaderGroup:
    """Measure loaders in turns, the first one as the reference."""
    return measure_loaders(
        {name: asked(make) for name, make in loaders.items()}, reference=next(iter(loaders)), timeout_s=5.0
    )


def test_a_loader_that_ignores_workers_is_not_measured_again() -> None:
    """It starts neither a process nor a thread."""
    assert measure_alone(asked(needs_workers=True)) is None
    found = measure_alone(asked())
    assert found is not None
    assert found.loader.endswith("Pairs")
    assert set(found.epochs) == {(20, 4)}
    skipping = measure_loaders({"pairs": asked(needs_workers=True)}, reference=None, timeout_s=5.0)
    assert skipping.skipped == {"pairs"}
    assert not skipping.lanes


def test_all_loaders_have_a_slice_in_every_round() -> None:
    """So has the limit; the ratio to the reference comes from the same rounds, with an interval."""
    measured = group(fast=Pairs, slow=Slow)
    found = measured.lanes
    numbers = {len(lane.slices) for lane in found.values()} | {len(lane.limits) for lane in found.values()}
    assert len(numbers) == 1
    assert MIN_ROUNDS <= numbers.pop() <= MAX_ROUNDS
    record = found["slow"].record(
        Case(Slow, "loader"), measured, data="zeros", samples=20, remark=None, reference="fast"
    )
    assert record.reference == "fast"
    assert record.gain.is_known
    assert record.gain.high < 1.0
    own = found["fast"].record(Case(Pairs, "loader"), measured, data="zeros", samples=20, remark=None, reference="fast")
    assert (own.gain.low, own.gain.point, own.gain.high) == (1.0, 1.0, 1.0)


def test_the_load_by_other_processes_is_part_of_the_record() -> None:
    """A busy process next to the measurement is counted, our own work is not."""
    busy = "while True: pass"
    quiet = group(slow=Slow).other_load
    with subprocess.Popen([sys.executable, "-c", busy]) as other:
        try:
            # A child of ours is ours; psutil sees it as such, and so its use is taken off.
            own = group(slow=Slow).other_load
        finally:
            other.kill()
    assert quiet is not None
    assert own is not None
    assert 0.0 <= quiet <= (os.cpu_count() or 1)
    assert 0.0 <= own <= (os.cpu_count() or 1)


def test_a_loader_that_fails_in_its_turn_leaves_and_the_others_go_on() -> None:
    """The finished measurements remain."""
    Failing.epochs = 0
    found = group(fast=Pairs, failing=Failing)
    assert list(found.lanes) == ["fast"]
    assert found.failed["failing"].sentence == "loading raises: OSError: the disk is gone"
    assert len(found.lanes["fast"].slices) >= MIN_ROUNDS


def test_without_its_reference_a_loader_has_no_ratio() -> None:
    """An unknown ratio is not one."""
    Failing.epochs = 0
    found = group(failing=Failing, fast=Pairs)
    record = found.lanes["fast"].record(
        Case(Pairs, "loader"), found, data="zeros", samples=20, remark=None, reference="failing"
    )
    assert record.reference is None
    assert not record.gain.is_known


def test_slices_of_a_short_epoch_are_whole_epochs() -> None:
    """Some loaders shuffle before the first batch, which a part of an epoch would not include."""
    lane = group(fast=Pairs).lanes["fast"]
    batches = lane.alone.plan.batches
    assert batches % 4 == 0
    assert {one.batches for one in lane.slices} == {batches}
    assert {one.samples for one in lane.slices} == {5 * batches}


class Bursts:
    """A thread makes batches of 1 ms each, up to 16 ahead, and the loop looks for them only every 10 ms."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        ready: deque[tuple[Tensor, Tensor]] = deque()
        left = Event()

        def make() -> None:
            for _ in range(200):
                while len(ready) >= 16 and not left.is_set():
                    time.sleep(1e-3)
                if left.wait(1e-3):
                    return
                ready.append((torch.zeros(5, 2), torch.zeros(5)))

        maker = Thread(target=make, daemon=True)
        maker.start()
        try:
            for _ in range(200):
                while not ready:
                    time.sleep(1e-2)
                yield ready.popleft()
        finally:
            # An epoch need not be read to its end.
            left.set()
            maker.join()


def test_what_a_thread_laid_ready_is_not_taken_for_speed() -> None:
    """A batch takes at least a millisecond, though most are ready in advance."""
    limit = MemoryLimit([torch.zeros(100, 2)])
    bursts = asked(Bursts, limit=limit, epoch_batches=200, seconds=0.1)
    found = measure_loaders({"bursts": bursts, "slow": asked(Slow)}, reference="slow", timeout_s=5.0).lanes["bursts"]
    assert median(one.wall_us * one.samples / one.batches for one in found.slices) > 900.0


def test_the_limit_gathers_and_converts() -> None:
    """Bytes become values from 0 to 1, and other tensors are only gathered. A batch without a tensor has no limit."""
    images, labels = torch.full((10, 1, 2, 2), 255, dtype=torch.uint8), torch.arange(10)
    limit = MemoryLimit([images, labels])
    pixels, marks = limit._batch(torch.tensor([3, 7]))
    assert torch.equal(pixels, torch.ones(2, 1, 2, 2))
    assert marks.tolist() == [3, 7]
    found = limit.slice(4, 0.0)
    assert (found.samples, found.batches) == (4, 1)
    assert MemoryLimit.of_batch({"text": ["a", "b"]}, 2) is None
    assert MemoryLimit.of_batch([images, {"marks": labels}], 10) is not None


def test_the_limit_keeps_a_batch_until_the_next_one_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training loop does the same; the batch before that is released."""
    limit = MemoryLimit([torch.zeros(12, 2)])
    made: list[weakref.ref[torch.Tensor]] = []
    alive: list[list[bool]] = []
    gather = limit._batch

    def batch(rows: torch.Tensor) -> list[torch.Tensor]:
        found = gather(rows)
        alive.append([other() is not None for other in made])
        made.append(weakref.ref(found[0]))
        return found

    monkeypatch.setattr(limit, "_batch", batch)
    limit.slice(4, 0.01)
    assert len(made) > 2
    assert [before[-1] for before in alive[1:]] == [True] * (len(made) - 1)
    assert not any(alive[-1][:-1])


class _Short(list[int]):
    """A data set that says that it is shorter than it is."""

    def __len__(self) -> int:
        return super().__len__() - 2


def test_a_length_that_is_too_short_is_named() -> None:
    """The check requests one sample beyond the length."""
    fault = length_fault(_Short(range(7)))
    assert fault is not None
    assert (fault.kind, fault.index) == (FaultKind.LENGTH, 5)
    assert length_fault([*range(7)]) is None


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.case.name)
@pytest.mark.parametrize("workers", [0, 2])
def test_a_peer_delivers_what_the_contract_asks_for(peer: Any, workers: int, tmp_path: Path) -> None:
    """Each epoch has each sample once, in batches of the right size, with each byte divided by 255."""
    if peer.absence:
        assert find_spec(peer.module) is None
        pytest.skip(peer.absence)
    from harness.contracts.loader import data_folder

    images = torch.arange(43, dtype=torch.uint8)[:, None, None].expand(43, 28, 28).contiguous()
    with data_folder(images, torch.arange(43, dtype=torch.uint8) % 10) as root:
        loader = peer.function(root, True, 8, workers, True)  # noqa: FBT003 - as torchvision's
        for _ in range(2):
            batches = list(loader)
            assert sorted(len(labels) for _, labels in batches) == [3, 8, 8, 8, 8, 8]
            grey = torch.cat([pixels[:, 0, 0, 0] for pixels, _ in batches]) * 255
            assert sorted(grey.round().int().tolist()) == list(range(43))
            assert all(
                torch.equal(labels, (pixels[:, 0, 5, 5] * 255).round().long() % 10) for pixels, labels in batches
            )


def test_a_peer_that_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the extra."""
    monkeypatch.setattr("harness.bench.suites.peers.find_spec", lambda _: None)
    assert next(iter(PEERS.values())).absence == "light-dataloader is not installed; install the extra `peers`"


def entry(case: str, workers: int, wall_us: float, loader: str) -> dict[str, Any]:
    """Return a benchmark as the suite writes it."""
    facts: dict[str, Any] = {"wall_us": [wall_us] * 9, "cpu_us": [wall_us] * 9, "limit_wall_us": [0.5] * 9}
    facts |= {"limit_cpu_us": [0.5] * 9, "pss_bytes": None, "other_load": 0.25 + workers}
    facts |= {"reference": "f.book with no workers", "reference_wall_us": [50.0] * 9, "reference_cpu_us": [50.0] * 9}
    usual: dict[str, Any] = {"prefetch": 2, "persistent": True, "pin": False, "start_method": None, "remark": None}
    info: dict[str, Any] = {
        "case": case,
        "family": "f",
        "style": "scratch",
        "batch_size": 8,
        "workers": workers,
        "samples": 80,
    }
    info |= {"batches": 10, "loader": loader, "first_batch_s": 0.01}
    return samples.benchmarks.benchmark(80e-6 * wall_us, **info, **facts, **usual)


def table(*, fast: bool = False) -> str:
    """Return the table of some loaders, perhaps with one that is faster than the limit."""
    torchs = "torch.utils.data.dataloader.DataLoader"
    entries = [entry("f.book", 0, 50.0, torchs), entry("f.book", 2, 25.0, torchs)]
    entries += [entry("f.batched", 0, 1.0, torchs), entry("f.memory", 0, 0.5, "mine.Memory")]
    entries += [entry("f.fast", 1, 0.25, "mine.Memory")] * fast
    stream = StringIO()
    print_loaders(Console(file=stream, width=160), {"benchmarks": entries})
    return stream.getvalue()


def test_a_share_of_the_limit_above_100_percent_is_explained() -> None:
    """By name; without such a loader there is no sentence."""
    assert "fast: more than 100 % of the limit. The limit gathers random rows" in " ".join(table(fast=True).split())
    assert "more than 100 %" not in table()


def test_the_load_of_the_machine_is_in_the_caption() -> None:
    """It names the quietest and the busiest rounds."""
    assert "Meanwhile other processes used 0.2 to 2.2 cores on average." in table()


def test_measured_workers_replace_what_a_budget_predicts() -> None:
    """Two workers were measured: the sentence on the time of a batch predicts nothing else."""
    entries = samples.benchmarks.loader_entries()
    records = [LoaderRecord.model_validate(entry["extra_info"]) for entry in entries]
    alone = next(record for record in records if record.workers == 0 and record.budget is not None)
    assert alone.budget is not None
    assert "could make this" in alone.budget.sentence
    said = alone.budget.sentence_with(alone.on_workers(records) or "")
    assert "could make this" not in said
    assert "workers the rate of loading alone is 1.60 times as high" in said
    assert alone.on_workers([alone]) is None
    same = alone.model_copy(update={"workers": 4})
    assert alone.on_workers([alone, same]) == "with 4 workers the rate of loading alone is not distinguishable"


def test_the_table_says_what_is_fastest_beside_the_first_loader() -> None:
    """It compares all loaders, and torch's loaders separately. A loader class of the user does not count as torch's."""
    said = table()
    assert (
        "batch 8: the fastest is memory with no workers, 100.0 [100.0, 100.0] times as fast as book with no workers"
        in said
    )
    assert "batch 8: the fastest DataLoader is batched with no workers, 50.0 [50.0, 50.0] times as fast as book" in said
    assert "which takes 100.0 times as much CPU time" in said
    assert said.count("100.0 % (100 – 100)") == 2
    assert "40,000 – 40,000" in said


def test_the_suite_of_loaders_is_a_usual_one() -> None:
    """It runs by default."""
    assert "loaders" in benchmark.DEFAULT_SUITES
