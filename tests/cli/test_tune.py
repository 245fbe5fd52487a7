"""``harness tune``: the line to paste, progress, named faults, and no remaining process."""

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import TypeAdapter
from samples.command import Command, Done

from harness.loading.fault import FaultKind, LoadingError, LoadingFault, timeout_fault
from harness.tuner.loader_choice import Choice
from harness.tuner.search_space import SearchSpace
from harness.tuner.target import tune_target
from harness.tuner.tuning import Tuning

SETS = """
import os, time
import torch
from torch.utils.data import TensorDataset

def tensors():
    return TensorDataset(torch.rand(2000, 4), torch.arange(2000))

class Waiting:
    def __len__(self):
        return 400
    def __getitem__(self, index):
        time.sleep(1e-3)
        return torch.zeros(4), index

class Noted(Waiting):
    def __getitem__(self, index):
        with open("items", "ab") as file:
            file.write(b".")
        return super().__getitem__(index)

class Raising(Waiting):
    def __getitem__(self, index):
        if index == 321:
            raise ValueError("a corrupt image")
        return torch.zeros(4), index

class Large(Waiting):
    def __init__(self):
        self.data = torch.zeros(2**28)

class Ragged(Waiting):
    def __getitem__(self, index):
        return torch.zeros(5 if index == 321 else 4), index

class Dying(Waiting):
    def __getitem__(self, index):
        if index == 321 and torch.utils.data.get_worker_info() is not None:
            os._exit(3)
        return super().__getitem__(index)

class Stream(torch.utils.data.IterableDataset):
    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        first, step = (0, 1) if worker is None else (worker.id, worker.num_workers)
        for index in range(first, 4000, step):
            time.sleep(1e-3)
            yield torch.zeros(4), index

def step(batch):
    X, y = batch
    return (X @ X.T).sum()

def broken(batch):
    raise RuntimeError("shapes do not fit")

number = 3
"""


@pytest.fixture
def command(workplace: Path, harness_command: Command) -> Command:
    """Run ``harness tune`` in a folder with data sets, and check that no process remains."""
    (workplace / "sets.py").write_text(SETS, encoding="utf-8")

    def run(line: str, *words: str, code: int | None = None) -> Done:
        before = _children()
        text = shlex.join(["tune", *line.split(), *words])
        done = harness_command(text)
        # On a busy machine, a short search finds nothing, and says so.
        if "no configuration was measured twice" in done.stderr and code != 2:
            done = harness_command(f"{text} --seconds 60", code=code)
        assert code in {None, done.returncode}, done
        assert not _remaining(before)
        return done

    return run


def _children() -> list[psutil.Process]:
    """Return the running child processes, without a resource tracker that another test may have started."""
    below = psutil.Process().children(recursive=True)
    return [child for child in below if not _is_of_python(child)]


def _is_of_python(process: psutil.Process) -> bool:
    """Whether a process has ended, or is a resource tracker."""
    try:
        is_tracker = "multiprocessing.resource_tracker" in " ".join(process.cmdline())
        return is_tracker or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _remaining(before: list[psutil.Process]) -> list[psutil.Process]:
    """Return the later child processes that do not end: a fork ends a moment after its client."""
    until = time.monotonic() + 5.0
    while (left := [child for child in _children() if child not in before]) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def test_the_last_lines_are_the_import_and_the_line_to_paste(command: Command) -> None:
    """For tensors, the output explains that whole batches are read at once. Measurements have intervals."""
    out = command("sets.py:tensors", "--batch-size", "100", "--seconds", "1.5", "--workers", "0,2", code=0).stdout
    assert out.splitlines()[-2:] == [
        "from torch.utils.data import BatchSampler, DataLoader, RandomSampler",
        "DataLoader(dataset, batch_size=None, sampler=BatchSampler(RandomSampler(dataset), 100, drop_last=False))",
    ]
    assert "choice: batch 100, workers 0" in out
    assert "the kind of loader is the problem, not its settings" in out
    assert "95% interval" in out


def test_on_80_columns_nothing_is_wider_but_what_is_pasted(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of line occurs in order, and continuation lines are indented."""
    monkeypatch.setenv("COLUMNS", "80")
    out = command("sets.py:tensors", "--batch-size", "100", "--seconds", "0.5", "--workers", "0", code=0).stdout
    *lines, gap, _imports, _paste = out.splitlines()
    assert gap == ""
    assert max(map(len, lines)) <= 80
    labels = dict.fromkeys(line.partition(":")[0] for line in lines)
    assert [label for label in labels if label.isalpha()] == ["choice", "why", "measured", "time", "note"]
    assert any(line.startswith("    ") for line in lines)


def test_items_that_wait_are_given_workers(command: Command) -> None:
    """Items of 1 ms each load twice as fast with two workers as without."""
    out = command("sets.py:Waiting", "--batch-size", "20", "--seconds", "6", "--workers", "0,2", code=0).stdout
    assert "num_workers=2" in out.splitlines()[-1]
    assert "mostly waiting rather than computing" in out


def test_a_data_set_without_indices_keeps_its_own_order(command: Command) -> None:
    """The line has no sampler. The prefetch factor depends on the machine."""
    out = command("sets.py:Stream", "--batch-size", "20", "--seconds", "2", "--workers", "2", code=0).stdout
    imported, line = out.splitlines()[-2:]
    assert imported == "from torch.utils.data import DataLoader"
    assert re.fullmatch(
        r"DataLoader\(dataset, batch_size=20, num_workers=2, (prefetch_factor=\d+, )?persistent_workers=True\)", line
    )
    assert "shuffle" not in line
    assert "sampler" not in line


def test_a_step_that_takes_long_needs_no_workers(command: Command) -> None:
    """The search ends at once with the cheapest configuration, with which the training loop runs."""
    out = command("sets.py:Waiting", "--batch-size", "4", "--step-ms", "500", "--seconds", "15", code=0).stdout
    assert "why: it keeps up with the step" in out
    assert "training loop: loading keeps up with the step: a step takes" in out
    assert out.splitlines()[-1] == "DataLoader(dataset, batch_size=4, shuffle=True)"


def test_a_users_step_is_timed_and_starved(command: Command) -> None:
    """The output states how much longer the loop waits for data than it computes."""
    out = command("sets.py:Waiting --batch-size 20 --step sets.py:step --seconds 4 --workers 0", code=0).stdout
    assert "training loop: the wait for data takes" in out


def test_the_result_is_written_as_json(command: Command, workplace: Path) -> None:
    """The document has the line, rates with intervals and notes. The output names the file."""
    out = command("sets.py:tensors --batch-sizes 50,100 --workers 0 --seconds 0.5 --json found.json", code=0).stdout
    found = json.loads((workplace / "found.json").read_text())
    assert "json: found.json" in out
    assert found["line"] in out
    assert found["choice"]["kind"] == "batches"
    assert {one["line"] for one in found["measured"]} >= {found["line"]}
    assert found["samples_per_s"]["value"] > 0
    assert found["spent_s"] > 0
    assert found["wait_share"] is None


@pytest.mark.parametrize(
    ("words", "causes"),
    [
        (
            "sets.py:Ragged --seconds 1 --workers 0",
            ["the batch of samples 300 to 349 cannot be collated", "their shapes differ: [5], [] and [4], []"],
        ),
        ("sets.py:Raising --seconds 2 --workers 0,1", ["ValueError: a corrupt image", "`sets.py:Raising`"]),
        ("sets.py:Dying --seconds 4 --workers 2", ["worker"]),
    ],
    ids=["shapes", "exception", "end of a worker"],
)
def test_a_sample_that_cannot_be_loaded_is_named_with_its_index(
    command: Command, words: str, causes: list[str]
) -> None:
    """The message is one line. The worker dies silently in every epoch with workers."""
    refusal = command(f"{words} --batch-size 50").refusal
    assert [text for text in ("index 321", *causes) if text not in refusal] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("sets.py:absent", "no `absent`"),
        (
            "sets.py:number",
            "cannot use `sets.py:number` as a data set: it must be a data set, or a callable that returns one",
        ),
        (
            "sets.py:tensors --batch-size 3 --batch-sizes 4,5",
            "cannot use `--batch-size` together with `--batch-sizes`; leave one out",
        ),
        ("sets.py:tensors --batch-sizes 4,x", "cannot read `--batch-sizes`: it must be whole numbers from 1"),
        ("sets.py:tensors --workers -1", "cannot read `--workers`: it must be whole numbers from 0"),
        ("sets.py:tensors --prefetch 0", "cannot read `--prefetch`: it must be whole numbers from 1"),
        ("sets.py:tensors --start-method magic", "unknown start method `magic`: `--start-method` must be one of"),
        (
            "sets.py:tensors --step sets.py:step --step-ms 1",
            "cannot use `--step` together with `--step-ms`; leave one out",
        ),
        (
            "sets.py:tensors --step-ms 1 --batch-sizes 4,5",
            "cannot use `--step-ms` with several batch sizes; pass `--step`",
        ),
        ("sets.py:tensors --step step", "cannot load the step `step`: name it as `module:function`"),
        (
            "sets.py:tensors --step sets.py:number",
            "cannot load the step `sets.py:number`: a step must be callable, got `int`",
        ),
        (
            "sets.py:tensors --step sets.py:broken",
            "the step of `--step` failed on a batch of the loader: RuntimeError: shapes do not fit; write a step",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_plain_line(command: Command, words: str, message: str) -> None:
    """The exit code is 2, and the line has the rule, the value and possibly a remedy."""
    assert message in command(words).refusal


def test_an_interrupt_prints_the_best_so_far_and_leaves_no_process(workplace: Path, python: str) -> None:
    """Ctrl-C reaches the command and its workers, like in a terminal."""
    (workplace / "sets.py").write_text(SETS, encoding="utf-8")
    before = _children()
    words = ["tune", "sets.py:Noted", "--batch-size", "50", "--seconds", "60", "--workers", "0,2,4"]
    with subprocess.Popen(
        [python, "-c", f"import sys; sys.argv[1:] = {words!r}; from harness.cli import main; main()"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        until, items = time.monotonic() + 60.0, Path("items")
        # The first three slices have fewer.
        while (not items.exists() or items.stat().st_size < 4000) and time.monotonic() < until:
            time.sleep(0.05)
        seen = [child for child in _children() if child not in before]
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "interrupted; this is the best configuration so far" in out
    assert "DataLoader(dataset, batch_size=50, shuffle=True" in out
    assert len(seen) > 2, "the command, the process that imports the data set, and workers"
    assert not _remaining(before)


class Ending:
    """Raises an interrupt in its destructor, as may happen in torch's iterator; Python drops such an exception."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_an_interrupt_in_a_destructor_ends_the_command(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command ends as usual, with the best configuration known."""

    def interrupted(
        _: str, question: dict[str, Any], kind: type, on_event: Callable[[Any], None], **__: object
    ) -> None:
        tune_target(**question, report=lambda document: on_event(TypeAdapter(kind).validate_python(document)))
        Ending()
        time.sleep(20.0)

    monkeypatch.setattr("harness.isolation.delegate.run_in_child", interrupted)
    out = command("sets.py:tensors", "--batch-size", "100", "--seconds", "1", "--workers", "0", code=130).stdout
    assert "interrupted; this is the best configuration so far" in out
    assert "DataLoader(dataset, " in out


@pytest.mark.usefixtures("command")
def test_an_internal_error_is_no_fault_of_the_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a second check of the data set finds nothing, the error remains."""

    def failing(*_: object) -> None:
        raise ArithmeticError("ours")

    monkeypatch.setattr("harness.tuner.tuning.LoaderSearch", failing)
    with pytest.raises(LoadingError) as raised:
        tune_target("sets.py:tensors", SearchSpace((100,), (0,)), 2, 1.0, None, None, 0, report=lambda _: None)
    assert isinstance(raised.value.__cause__, ArithmeticError)


def test_an_interrupt_before_the_first_slice_is_a_plain_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message states that there is no measurement yet."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.isolation.delegate.run_in_child", interrupted)
    assert "interrupted before the first measurement" in command("sets.py:tensors", "--seconds", "1").refusal


def test_a_data_set_gets_no_more_memory_than_allowed(command: Command) -> None:
    """The option raises the limit for data sets that are kept in memory."""
    refusal = command("sets.py:Large", "--seconds", "1", "--memory", "0.5").refusal
    assert "cannot create the data set" in refusal


def test_workers_are_left_out_where_they_are_ruled_out() -> None:
    """They are still tried if no other choice is allowed."""
    wish = SearchSpace((64,), (0, 2))
    assert [one.workers for one in wish.grid(workers=False)] == [0]
    assert {one.workers for one in SearchSpace((64,), (1, 2)).grid(workers=False)} == {1, 2}
    assert Tuning([], SearchSpace((32, 128), (0,)), cores=2, seconds=1.0).looked_at == Choice(128)


def test_a_tuning_that_takes_too_long_says_what_it_did() -> None:
    """Batches may have arrived in time, so the message does not say that none did. Other faults stay."""
    tuning = Tuning([], SearchSpace((32,), (0,)), cores=2, seconds=1.0)
    fault = tuning.explain_timeout(timeout_fault(21.0), 21.0)
    assert fault.sentence == "the tuning did not end within 21 s: it was examining the data set"
    assert "a spawned worker first imports torch" in fault.remedy
    died = LoadingFault(FaultKind.DIED, "a worker process exits", "load without workers")
    assert tuning.explain_timeout(died, 21.0) is died
