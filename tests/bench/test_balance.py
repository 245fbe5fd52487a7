"""The balance of waiting and stepping in the real loop, for loaders and steps of known duration, and its report."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import samples.benchmarks
import samples.run
import torch
from rich.console import Console
from samples.apart import run_apart
from torch.utils.data import DataLoader, Dataset

from harness.bench.display import print_balance
from harness.bench.option import Settings
from harness.bench.suites.test_balance import Stretch, is_known
from harness.error import UsageError
from harness.loading.throughput import Configuration
from harness.record import RunFolder
from harness.record.bench import BalanceRecord, benchmarks
from harness.reports.figures.loader import waiting
from harness.reports.frame import FRAMES
from harness.tuner.loader_choice import Choice
from harness.tuner.loop import MAX_WAITING, Loop, Waiting
from harness.tuner.probe import LoaderProbe
from harness.tuner.step import Synthetic, load_step, step_s
from harness.wording.table.loader import balance_table


class Slow(Dataset[torch.Tensor]):
    """Items that each take some seconds of waiting."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __len__(self) -> int:
        return 400

    def __getitem__(self, index: int) -> torch.Tensor:
        time.sleep(self.seconds)
        return torch.zeros(2)


def _waiting(item_s: float, step: Synthetic, *, workers: int) -> Waiting:
    """Run the loop for a while, without the batches that were ready at the start."""
    settings = Configuration(4, workers).arguments()
    with Loop(lambda: DataLoader(Slow(item_s), **settings), step) as loop:
        loop.run(0.05, minimum=2 * workers + 1)
        return loop.run(0.6, minimum=8)


def stretches(loads_s: list[float], starvation: float) -> list[Stretch]:
    """Return stretches of a loop with a step of a second, for the given ratios of waiting."""
    return [Stretch(load_s, 1.0, Waiting(1, starvation, 1.0)) for load_s in loads_s]


def test_stretches_end_where_the_ratio_and_the_verdict_are_known() -> None:
    """A noisy ratio continues, and so does a wait share whose interval contains the limit."""
    steady = [2.0, 2.02, 1.98, 2.01, 2.0]
    assert is_known(stretches(steady, 1.0))
    assert not is_known(stretches([2.0, 1.0, 3.0, 2.5, 1.5], 1.0))
    at_limit = MAX_WAITING / (1 - MAX_WAITING)
    assert not is_known(stretches(steady, at_limit))


class Clock:
    """A clock that advances only on request."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s

    def passes(self, seconds: float) -> None:
        """Advance the clock."""
        self.now_s += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Replace the machine's clock, so that durations are known exactly."""
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    monkeypatch.setattr(time, "sleep", clock.passes)
    return clock


def test_a_loader_that_takes_thrice_as_long_as_the_step_starves_it_threefold(clock: Clock) -> None:
    """Without workers, the loop waits for three quarters of its time."""
    found = _waiting(3e-3, Synthetic(4e-3, computes=False), workers=0)
    assert found.starvation == pytest.approx(3.0)
    assert found.share == pytest.approx(0.75)
    assert found.wait_s + found.step_s == pytest.approx(found.batches * 16e-3)
    assert found.batch_s == pytest.approx(16e-3)


def test_loading_alone_and_the_step_alone_are_timed_between_stretches_of_the_loop(clock: Clock) -> None:
    """Each takes its known duration, and the loop continues afterwards."""
    steps: list[int] = []

    def step(batch: torch.Tensor) -> None:
        steps.append(len(batch))
        clock.passes(2e-3)

    with Loop(lambda: DataLoader(Slow(2e-3), batch_size=4), step) as loop:
        loop.run(0.02)
        before = len(steps)
        assert loop.load(0.1, skip=3) == pytest.approx(8e-3)
        assert len(steps) == before
        assert loop.step(0.05) == pytest.approx(2e-3)
        assert len(steps) > before
        assert loop.run(0.02).starvation == pytest.approx(4.0)


def test_a_batch_that_takes_longer_than_a_slice_is_the_slice(clock: Clock) -> None:
    """Without workers it is measured once and not discarded. Later slices are counted in batches too."""
    with LoaderProbe(Slow(0.02), cores=2) as probe:
        first, second = probe(Choice(4), 0.01), probe(Choice(4), 0.1)
    assert (first.samples, second.samples) == (4, 8)
    assert first.seconds == pytest.approx(0.08)
    assert second.seconds == pytest.approx(0.16)
    assert second.spent_s == pytest.approx(0.24)


def test_the_median_of_warm_steps_is_what_a_step_takes(clock: Clock) -> None:
    """The first calls, which may be slow, do not count."""
    calls = iter(range(1000))

    def step(batch: int) -> None:
        clock.passes(0.05 if next(calls) < 3 else 1e-3)

    assert step_s(step, 0) == pytest.approx(1e-3)


def test_a_synthetic_step_computes_or_waits_for_as_long_as_it_is_told() -> None:
    """Computing uses CPU time, waiting does not."""
    spent = []
    for computes in (True, False):
        computed, began = time.process_time(), time.perf_counter()
        Synthetic(0.05, computes=computes)(None)
        assert time.perf_counter() - began >= 0.05
        spent.append(time.process_time() - computed)
    assert spent[0] > 2 * spent[1]


def test_two_workers_hide_a_loader_behind_a_step_that_is_twice_as_long() -> None:
    """Each worker makes a batch in 20 ms, and a step takes 40 ms: the loop hardly waits, unlike without workers."""
    alone = _waiting(5e-3, Synthetic(4e-2, computes=False), workers=0)
    hidden = _waiting(5e-3, Synthetic(4e-2, computes=False), workers=2)
    assert alone.share > MAX_WAITING
    assert hidden.share < MAX_WAITING


def test_workers_that_are_too_slow_together_still_starve_the_step() -> None:
    """Two workers need 20 ms per batch, and the step takes 10 ms."""
    found = _waiting(1e-2, Synthetic(1e-2, computes=False), workers=2)
    assert found.starvation > 0.5
    assert found.share > MAX_WAITING


def test_a_step_is_loaded_from_a_file(workplace: Path) -> None:
    """The name is ``file.py:function``; any other is refused."""
    (workplace / "train.py").write_text("def step(batch):\n    return batch + 1\n")
    assert load_step("train.py:step")(1) == 2
    with pytest.raises(UsageError, match=r"cannot load the step `train\.py`: name it as"):
        load_step("train.py")


def test_a_slice_is_whole_turns_of_the_workers() -> None:
    """Workers deliver in bursts. The first slice starts them, and they end afterwards.

    A sample takes so long that a busy machine adds little to it.
    """
    with LoaderProbe(Slow(10e-3), cores=2) as probe:
        first = probe(Choice(4, 2), 0.1)
        second = probe(Choice(4, 2), 0.1)
        alone = probe(Choice(4), 0.1)
    assert first.samples % 8 == 0
    assert second.samples % 8 == 0
    assert first.spent_s > first.seconds >= 0.1
    assert alone.samples % 4 == 0
    assert second.rate > 1.3 * alone.rate


def test_workers_that_wait_end_when_others_need_their_place() -> None:
    """Workers that are idle for longest end first, and start again on demand."""
    with LoaderProbe(Slow(0.0), cores=1, max_workers=3) as probe:
        probe(Choice(4, 2), 0.01)
        probe(Choice(8, 1), 0.01)
        probe(Choice(16, 2), 0.01)
        assert [one.batch_size for one in probe._open] == [8, 16]
        assert probe(Choice(4, 2), 0.01).samples > 0


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that runs a suite briefly in a separate process and returns its document."""

    def run(name: str, target: str = "cases", **settings: object) -> tuple[int, str, Any]:
        return run_apart(tmp_path, monkeypatch, name, target=target, settings=Settings(**settings))  # type: ignore[arg-type]

    return run


LOADER = """
import torch
from torch.utils.data import DataLoader, TensorDataset
from harness import Case
from harness.data.fashion_mnist import arrays

def loader(root, train, batch_size, workers, shuffle):
    images, labels = arrays(root, train=train)
    images, labels = torch.from_numpy(images)[:, None].float() / 255, torch.from_numpy(labels).long()
    return DataLoader(TensorDataset(images, labels), batch_size, shuffle=shuffle, num_workers=workers)

CASES = [Case(loader, "loader", name="mine.loader")]
"""


def test_a_users_loader_is_compared_with_a_step_of_the_harness(suite: Any, tmp_path: Path) -> None:
    """The suite measures loading, the step, and the loop, and the report has a verdict."""
    (tmp_path / "mine.py").write_text(LOADER)
    settings = {"batch_sizes": (8,), "workers": (0, 1), "data": "synthetic", "images": 64, "seconds": 0.1}
    code, output, document = suite("balance", "mine", **settings)
    assert code == 0, output
    found = {one["extra_info"]["workers"]: one["extra_info"] for one in document["benchmarks"]}
    assert set(found) == {0, 1}
    for info in found.values():
        assert info["step"] == "harness.sgd_step"
        assert info["load_to_step_low"] <= info["load_to_step"] <= info["load_to_step_high"]
        assert info["wait_share_low"] <= info["wait_share"] <= info["wait_share_high"]
        assert info["load_s"] > 0.0
        assert info["step_s"] > 0.0
        assert info["loop_s"] > 0.0
    run = RunFolder(tmp_path / "run")
    run.write_head(samples.run.head())
    assert set(FRAMES["balance"](run)["verdict"]) <= {"keeps ahead", "starves the step", "not decided"}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """Return a run with made-up benchmarks of balance."""
    folder = RunFolder(tmp_path)
    samples.benchmarks.write_suite(folder, "balance", samples.benchmarks.balance_entries())
    return folder


def test_the_verdict_follows_from_the_interval_of_the_wait_share(run: RunFolder) -> None:
    """The interval is below the limit, above it, or contains it."""
    found = FRAMES["balance"](run)
    assert dict(zip(found["case"], found["verdict"], strict=True)) == {
        "fashion_mnist.concise.torchvision": "starves the step",
        "fashion_mnist.concise.batched_getitems": "not decided",
        "fashion_mnist.scratch.slices": "keeps ahead",
    }


def loops(entries: list[dict[str, Any]]) -> list[BalanceRecord]:
    """Return the records of training loops."""
    return [loop.record for loop in benchmarks({"benchmarks": entries}, BalanceRecord)]


def test_the_table_says_by_how_much_a_loader_starves_the_step(run: RunFolder) -> None:
    """It also names the cheapest configuration that keeps ahead."""
    table = balance_table(loops(samples.benchmarks.balance_entries()))
    verdicts = {row[0]: row[3] for row in table.rows}
    assert verdicts["fashion_mnist.concise.torchvision"] == "starves the step by 23.0×"
    assert verdicts["fashion_mnist.scratch.slices"] == "loading keeps ahead"
    assert (
        "The cheapest configuration that keeps ahead is fashion_mnist.scratch.slices at batch 256 with no workers"
        in table.caption
    )
    cells = dict(zip([column.heading for column in table.columns], table.rows[0], strict=True))
    assert cells["loop waits"] == "95.8 % (91.0 – 100)"
    assert cells["batch / step"] == "23.0× (21.8 – 24.2)"
    assert cells["loop, per batch"] == "12.0 ms"


def test_a_run_from_before_the_loop_was_timed_is_read(tmp_path: Path) -> None:
    """The frame lacks only the times of the loop, and the table has no column for them."""
    entries = samples.benchmarks.balance_entries()
    for entry in entries:
        del entry["extra_info"]["loop_s"]
    folder = RunFolder(tmp_path)
    samples.benchmarks.write_suite(folder, "balance", entries)
    assert FRAMES["balance"](folder)["loop_s"].isna().all()
    headings = [column.heading for column in balance_table(loops(entries)).columns]
    assert headings[-3:] == ["batch alone", "step alone", "batch / step"]


def test_the_figure_says_at_which_batch_size_a_loader_starves_the_step(run: RunFolder) -> None:
    """It has the factor, and omits a loader that keeps ahead."""
    found = waiting(FRAMES["balance"](run), None)
    assert found.caption.startswith(
        "Without workers, loading a batch takes longer than the step in 1 loader: 23.0× in concise.torchvision at "
        "batch 256. Bars"
    )


def test_a_loader_that_is_quicker_than_the_step_makes_it_wait_all_the_same() -> None:
    """Without workers it loads while the step waits. The text states no factor below 1."""
    loop = loops(samples.benchmarks.balance_entries())[0].model_copy(update={"load_to_step": 0.4})
    table = balance_table([loop])
    assert table.rows[0][3] == "the step waits"
    assert "No configuration keeps ahead." in table.caption


def _printed(printer: Callable[[Console, Any], None], entries: list[dict[str, Any]]) -> str:
    stream = io.StringIO()
    printer(Console(file=stream, width=160), {"benchmarks": entries})
    return stream.getvalue()


def test_the_terminal_says_the_verdict_on_each_loader_and_the_cheapest_that_keeps_ahead() -> None:
    """The report has the same verdicts."""
    printed = " ".join(_printed(print_balance, samples.benchmarks.balance_entries()).split())
    assert "starves" in printed
    assert "23.0×" in printed
    assert "decided" in printed
    assert "keeps ahead is fashion_mnist.scratch.slices at batch 256 with no workers: the loop waits 13.8 %" in printed
    starving = _printed(print_balance, samples.benchmarks.balance_entries()[:2])
    assert "No configuration keeps ahead" in starving
