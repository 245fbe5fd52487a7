"""Exhaustive proofs: shards are stored on disk, continue after an interrupt, and do not depend on the processes."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from samples.command import Command, Done
from samples.proof_space import small

from harness.execution.runner import carry_out
from harness.isolation.child import Child, setup
from harness.isolation.limits import Limits
from harness.isolation.remote import RemoteHost
from harness.proof import pairs
from harness.proof.exhaustion import Exhaustion, Proving
from harness.proof.shards import Shard, Shards
from harness.record import RUNS, Proof, RunFolder
from harness.wording.proof import format_extent

SOFTMAX = """
import os
import time
import torch

def softmax(logits):
    time.sleep(float(os.environ.get("PAUSE_S", "0")))
    return torch.softmax(logits, -1)
"""
"""A softmax with an optional delay, so that shards of a slow process and of a fast one agree."""

SOFTPLUS = """
import torch

def softplus(x):
    return torch.nn.functional.softplus(x)

def as_defined(x):
    return (1 + x.exp()).log()
"""

BOTH = """
import torch

def softmax(logits, dim=-1):
    return torch.softmax(logits, dim)

def shifted(logits, dim, by):
    return torch.softmax(logits - by, dim)

def loss(logits, labels, reduction="mean"):
    return torch.nn.functional.cross_entropy(logits, labels, reduction=reduction)
"""

SMALL = """
import sys
sys.path.insert(0, {tests!r})
from dataclasses import replace
from pathlib import Path
from samples.proof_space import small
from harness.proof import pairs
from harness.proof.exhaustion import Exhaustion
pairs.every_pair = lambda format_: small(format_.name, first=16, shards=8)
plan = Exhaustion("slow.py:softmax", "softmax", folder=Path("shards"), dtypes=["float16"], layouts=["rows"])
replace(plan, quantities=["value"]).run()
"""


@pytest.fixture
def harness(harness_command: Command, workplace: Path) -> Command:
    """Run the command, in an empty folder with a file of functions."""
    (workplace / "mine.py").write_text(SOFTPLUS, encoding="utf-8")

    def run(line: str, *words: str, code: int | None = None) -> Done:
        return harness_command(line, *words, "--no-isolate", code=code)

    return run


@pytest.fixture
def small_spaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace the whole space by eight shards of a few pairs."""
    monkeypatch.setattr(pairs, "every_pair", lambda format_: small(format_.name, first=16, shards=8))


def exhaustion(folder: Path, file: str = "slow.py") -> Exhaustion:
    """Return the proof of a softmax in a file, for rows in float16."""
    only: dict[str, Any] = {"dtypes": ["float16"], "layouts": ["rows"], "quantities": ["value"]}
    return Exhaustion(f"{file}:softmax", "softmax", folder=folder, **only)


def done(exhaustion: Exhaustion) -> int:
    """Complete it, and return the number of shards that remained."""
    with carry_out(exhaustion) as hands:
        return len(list(Proving(hands).run()))


def known(exhaustion: Exhaustion) -> list[Proof]:
    """Return the proofs of the finished shards."""
    with carry_out(exhaustion) as hands:
        return Proving(hands).proofs()


def facts(found: Sequence[Any]) -> list[str]:
    """Return the content of proofs without durations."""
    return [proof.model_dump_json(exclude={"duration_s", "floor_s"}) for proof in found]


def shards(folder: Path) -> dict[str, float]:
    """Return the files of finished shards, with their times."""
    return {str(file.name): file.stat().st_mtime_ns for file in folder.glob("*/*.json")}


def test_a_run_that_is_killed_goes_on_with_the_same_result(workplace: Path, python: str, small_spaces: None) -> None:
    """Another process is killed between two shards or within one."""
    (workplace / "slow.py").write_text(SOFTMAX, encoding="utf-8")
    code = SMALL.format(tests=str(Path(__file__).parents[1]))
    folder = workplace / "shards"
    paused = {**os.environ, "PAUSE_S": "0.1"}
    with subprocess.Popen([python, "-c", code], cwd=workplace, env=paused) as running:
        deadline = time.monotonic() + 60.0
        while len(shards(folder)) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGKILL)
    before = shards(folder)
    assert 2 <= len(before) < 8
    (part,) = known(exhaustion(folder))
    assert format_extent(part).startswith("partial")
    assert done(exhaustion(folder)) == 8 - len(before)
    assert before.items() <= shards(folder).items()
    at_once = exhaustion(workplace / "at_once").run()
    assert facts(known(exhaustion(folder))) == facts(at_once)
    assert all(proof.is_proved for proof in at_once)


def test_a_shard_is_done_again_where_it_is_damaged_or_the_implementation_was_edited(
    workplace: Path, small_spaces: None
) -> None:
    """Shards of the previous implementation are not mixed with new ones."""
    (workplace / "fast.py").write_text(SOFTMAX, encoding="utf-8")
    assert done(exhaustion(workplace / "shards", "fast.py")) == 8
    assert done(exhaustion(workplace / "shards", "fast.py")) == 0
    (file, *_) = sorted((workplace / "shards").glob("*/*.json"))
    file.write_text(file.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    assert done(exhaustion(workplace / "shards", "fast.py")) == 1
    (workplace / "fast.py").write_text(SOFTMAX + "\n# edited\n", encoding="utf-8")
    assert done(exhaustion(workplace / "shards", "fast.py")) == 8


def test_an_interrupted_command_says_so_and_goes_on(harness: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code is 130. The run keeps the finished shards, and the same command completes it."""
    only = ("--dtypes", "bfloat16", "--layouts", "contiguous,spread")
    words = ("prove", "mine.py:softplus", "--contract", "softplus", *only, "--run", "it")
    finish = Shards.finish
    calls: list[int] = []

    def interrupted(self: Shards, shard: Shard) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        finish(self, shard)

    monkeypatch.setattr(Shards, "finish", interrupted)
    first = harness(*words, code=130)
    assert "interrupted, 2 not started; the same command continues" in first.stdout
    assert len(RunFolder(RUNS / "it").read(Proof)) == 2
    second = harness(*words, code=0)
    assert "proofs: all 4 proved" in second.stdout
    assert len(calls) == 3 + 2
    assert len(RunFolder(RUNS / "it").read(Proof)) == 4


def test_a_signal_to_the_command_ends_it_in_order(workplace: Path, python: str) -> None:
    """Ctrl-C while two processes work gives exit code 130, no traceback, and keeps all finished shards."""
    (workplace / "mine.py").write_text(SOFTPLUS, encoding="utf-8")
    words = [python, "-c", "from harness.cli import main; main()", "prove", "mine.py:softplus"]
    words += ["--contract", "softplus", "--jobs", "2", "--run", "it"]
    folder = workplace / RUNS / "it" / "shards"
    with subprocess.Popen(
        words, cwd=workplace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        deadline = time.monotonic() + 120.0
        while len(shards(folder)) < 1 and time.monotonic() < deadline:
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        output, errors = running.communicate(timeout=120.0)
    assert running.returncode == 130
    assert "Traceback" not in errors
    assert re.search(r"interrupted, \d+ not started; the same command continues", output)
    assert 1 <= len(shards(folder)) < 12


def test_two_processes_prove_what_one_does(workplace: Path) -> None:
    """All but the durations is equal."""
    (workplace / "mine.py").write_text(SOFTPLUS, encoding="utf-8")
    found = []
    for processes in (1, 2):
        only: dict[str, Any] = {"dtypes": ["float16"], "layouts": ["spread"]}
        plan = Exhaustion("mine.py:as_defined", "softplus", folder=workplace / str(processes), **only)
        found.append(facts(plan.run(processes=processes)))
    assert found[0] == found[1]
    assert len(found[0]) == 2


def test_the_command_proves_and_says_what_is_broken(harness: Command) -> None:
    """The exit code is 1, and output and record have the violation."""
    done = harness("prove mine.py:as_defined --contract softplus --dtypes float16 --layouts spread", code=1)
    assert "mine.as_defined breaks value [float16, spread]" in done.stdout
    assert "proofs: all 2 proved; 5 laws broken (131,072 inputs visited)" in done.stdout
    assert "the scalar loop" in done.stdout
    assert "value: broken: value [float16 spread]" in done.stdout
    assert "value: these laws hold on every input visited: monotone, " in done.stdout
    assert {proof.quantity for proof in RunFolder(RUNS / "prove").read(Proof)} == {"value", "gradient"}


def test_an_expired_time_limit_leaves_a_partial_proof(
    harness: Command, small_spaces: None, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partial proof is never called proved. Its exit code depends only on whether a law is broken."""
    (workplace / "slow.py").write_text(SOFTMAX, encoding="utf-8")
    line = "prove slow.py:softmax --contract softmax --dtypes float16 --layouts rows --of value"
    monkeypatch.setenv("PAUSE_S", "0.025")
    done = harness(line, "--seconds", "0.1", code=0)
    assert "proofs: 0 of 1 proved" in done.stdout
    assert "not finished; the same command continues" in done.stdout
    assert "partial" in done.stdout
    assert not any(proof.is_proved for proof in RunFolder(RUNS / "prove").read(Proof))
    monkeypatch.setenv("PAUSE_S", "0")
    assert harness(line).stdout.count("proved") >= 2
    monkeypatch.setenv("PAUSE_S", "0.025")
    fresh = harness(line, "--seconds", "0.1", "--fresh")
    assert "proofs: 0 of 1 proved" in fresh.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "mine.py:softplus --contract softplus --dtypes float64",
            "in `float64`: all inputs can be enumerated only in `float16`, `bfloat16`, `float32`",
        ),
        ("mine.py:softplus --contract logsumexp", "all inputs can be enumerated only for the contracts `sigmoid`"),
        (
            "mine.py:softplus --contract softplus --layouts rows",
            "unknown value `rows` of `--layouts`: choose from `contiguous`",
        ),
        (
            "mine.py:softplus --contract softplus --of slope",
            "unknown value `slope` of `--of`: choose from `value`, `gradient`",
        ),
        ("mine.py:softplus --contract softplus --seconds 0", "no part was finished"),
        (
            "mine.py:softplus --contract cross_entropy",
            "cannot prove anything about `mine.py:softplus`: a proof needs the loss of each row",
        ),
        ("mine.py:nothing --contract softplus", "no `nothing`"),
    ],
)
def test_a_question_that_cannot_be_answered_is_one_line(harness: Command, words: str, message: str) -> None:
    """The exit code is 2, without a traceback."""
    assert message in harness(f"prove {words}").refusal


def test_a_remote_proof_equals_a_local_proof(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen calls per transfer and single calls give the same numbers, for losses, gradients and every layout."""
    monkeypatch.setattr(pairs, "every_pair", lambda format_: small(format_.name, first=20, shards=1))
    (workplace / "both.py").write_text(BOTH, encoding="utf-8")
    limits = Limits()
    for name, call in (("softmax", None), ("shifted", "lambda f, x, dim: f(x, dim, 0.0)"), ("loss", None)):
        contract = "cross_entropy" if name == "loss" else "softmax"
        plan = Exhaustion(f"both.py:{name}", contract, call=call, folder=workplace / "here", dtypes=["bfloat16"])
        child = Child(limits, setup(plan.target, call, limits))
        try:
            there = replace(plan, folder=workplace / "there").load(RemoteHost(child))
            here = plan.load()
            assert [piece["title"] for piece in there.about()] == [piece["title"] for piece in here.about()]
            for index in range(len(here.every)):
                here.do(index)
                child.begin(limits.call_s, limits.first_call_s, 60.0)
                there.do(index)
            found = [[known.proof(i) for i in range(len(known.tasks))] for known in (here, there)]
            assert facts(found[0]) == facts(found[1])
        finally:
            child.close()
