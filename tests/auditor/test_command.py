"""``harness audit`` for users: its output and files, and one sentence if there is nothing to audit."""

import json
import re
from pathlib import Path

import pytest
from junitparser import JUnitXml
from samples.command import Command

from harness.record import Audit, RunFolder

TRAIN = """
import os
import time

import torch

torch.manual_seed(0)
model = torch.nn.Linear(4, 3)
X, y = torch.randn(8, 4, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 3


def softmax(logits):
    e = logits.exp()
    return e / e.sum(1, keepdim=True)


def step():
    print("epoch 1")
    loss = -softmax(200 * model(X))[range(8), y].log().mean()
    loss.backward()


def sound():
    torch.nn.functional.cross_entropy(model(X), y).backward()


def raises():
    (model(X) * 1e30).square().sum().backward()
    raise ValueError("no luck")


def leaves():
    raise SystemExit(3)


def exits():
    os._exit(4)


def hangs():
    time.sleep(60)


def needs(batch, labels, rate=0.1):
    return batch


def trains():
    model.zero_grad()
    torch.nn.functional.cross_entropy(model(X), y).backward()
    torch.optim.SGD(model.parameters(), 1e-5).step()


def refuses():
    loss = (1e4 * model(X)).square().sum()
    if not loss.isfinite():
        raise ValueError("not finite")
    loss.backward()


def computes_nothing():
    (X * 2).sum()


number = 3
"""

pytestmark = pytest.mark.usefixtures("train")

SENTENCES = {
    "raises": "cannot audit `train.py:raises`: the step raises ValueError: no luck (train.py, line 29)",
    "leaves": "cannot audit `train.py:leaves`: the step ends the program with exit code 3 (train.py, line 33)",
    "needs": "cannot audit `train.py:needs`: a step must take no arguments, got required arguments `batch`, `labels`",
    "computes_nothing": "nothing to audit in `train.py:computes_nothing`: its 2 operations compute no loss",
    "number": "cannot audit `train.py:number`: a step must be a function, got `int`",
    "absent": "no `absent` in `train.py`",
}


def test_the_line_is_named_with_the_number_from_which_on_it_overflows(
    workplace: Path, harness_command: Command
) -> None:
    """Terminal, run and all formats have the line. The step's output is printed unchanged."""
    words = ("--no-isolate", "--run", "mine", "--json", "a.json", "--junit", "a.xml", "--markdown", "a.md")
    done = harness_command("audit", "train.py:step", *words, code=1)
    assert "train.py:13 softmax: exp(" in done.stdout
    assert "overflows in float32: it is inf from 88.72283935546875 on" in done.stdout
    (audit,) = RunFolder(workplace / ".harness" / "runs" / "mine").read(Audit)
    assert (audit.case, audit.findings[0].line) == ("train.step", 13)
    assert json.loads(Path("a.json").read_text(encoding="utf-8"))["audits"][0]["findings"][0]["kind"] == "overflow"
    assert [len(list(suite)) for suite in JUnitXml.fromfile("a.xml")] == [len(audit.findings)]
    assert "| train.py:13 softmax | overflow |" in Path("a.md").read_text(encoding="utf-8")


def test_nothing_is_found_in_a_sound_step(harness_command: Command) -> None:
    """The exit code is 0, and the output has the number of right digits of the loss."""
    done = harness_command("audit", "train.py:sound", "--no-isolate", "--events", "--steps", "2", code=0)
    assert "train.sound: nothing found in" in done.stdout


@pytest.mark.parametrize(
    ("target", "expected", "code", "said"),
    [
        ("cases.softmax_regression.scratch:badly_scaled", "overflow", 0, "1 finding, as expected, in"),
        ("train.py:step", "masked", 1, "2 findings, but no masked, which was expected, in"),
        ("train.py:sound", "overflow", 1, "nothing found, but no overflow, which was expected, in"),
        ("train.py:sound", "explosion", 2, "`--expect` must be one of `data`"),
    ],
)
def test_a_step_that_is_there_to_go_wrong_passes_where_it_does(
    target: str, expected: str, code: int, said: str, harness_command: Command
) -> None:
    """It fails with another defect, or without any."""
    done = harness_command("audit", target, "--no-isolate", "--quiet", "--expect", expected, code=code)
    assert said in done.stdout + done.stderr


def test_some_of_the_steps_are_audited_in_full(harness_command: Command) -> None:
    """The first step and every second one after it are audited. The others record events and headroom."""
    words = ("--steps", "4", "--sample", "2", "--json", "a.json")
    harness_command("audit", "train.py:sound", "--no-isolate", *words, code=0)
    audits = json.loads(Path("a.json").read_text(encoding="utf-8"))["audits"]
    assert [audit["mode"] for audit in audits] == ["full", "events", "full", "events"]
    assert [audit["loss_error"] is None for audit in audits] == [False, True, False, True]
    assert harness_command("audit", "train.py:sound", "--events", "--sample", "2").refusal


def test_every_format_is_held_beside_balls_where_it_is_asked(harness_command: Command) -> None:
    """Arithmetic that cannot overflow names the same line. Events cannot be combined with balls."""
    done = harness_command("audit", "train.py:sound", "--no-isolate", "--balls", "--json", "a.json", code=0)
    assert "; the loss agrees with exact arithmetic to" in done.stdout
    (audit,) = json.loads(Path("a.json").read_text(encoding="utf-8"))["audits"]
    assert (audit["mode"], audit["loss_in_balls"], audit["blind"]) == ("balls", True, {})
    assert harness_command("audit", "train.py:sound", "--events", "--balls").refusal


def test_what_would_be_is_said_beside_what_is_and_fails_nothing(harness_command: Command) -> None:
    """The forecast is in the terminal and in JSON, but not in a test report."""
    words = ("--what-if", "bfloat16", "--what-if", "autocast-float16", "--json", "a.json", "--junit", "a.xml")
    done = harness_command("audit", "train.py:trains", "--no-isolate", *words, code=0)
    lines = done.stdout.splitlines()
    assert lines[0].startswith("train.trains: nothing found in")
    at = lines.index("what if float32 were computed in bfloat16:")
    assert re.match(
        r"train.py:\d+ trains: 100 % of the weights do not change: .*, but bfloat16 resolves only 7.8e-03",
        lines[at + 1],
    )
    assert any(line.startswith("train.trains as if in bfloat16: 1 finding in") for line in lines)
    assert any(line.startswith("train.trains as if under autocast to float16: nothing found in") for line in lines)
    audits = json.loads(Path("a.json").read_text(encoding="utf-8"))["audits"]
    assert [audit["what_if"] for audit in audits] == [None, "bfloat16", "autocast-float16"]
    assert [suite.name for suite in JUnitXml.fromfile("a.xml")] == ["train.trains"]
    refuses = harness_command("audit", "train.py:refuses", "--no-isolate", "--what-if", "float16", code=0)
    assert refuses.stdout.splitlines()[-1].startswith("train.refuses as if in float16 raises ValueError: not finite")
    assert "unknown format `float61`" in harness_command("audit", "train.py:trains", "--what-if", "float61").refusal


@pytest.mark.parametrize("step", SENTENCES)
def test_a_step_that_cannot_be_audited_is_one_sentence(step: str, harness_command: Command) -> None:
    """Findings before the exception are shown."""
    done = harness_command("audit", f"train.py:{step}", "--no-isolate", code=2)
    assert SENTENCES[step] in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert ("overflows" in done.stdout) is (step == "raises")


@pytest.mark.parametrize(
    ("step", "sentence"),
    [("exits", "the step ends the process with exit code 4"), ("hangs", "a call did not return within 0.5 s")],
)
def test_a_step_that_takes_its_process_with_it_is_one_sentence(
    step: str, sentence: str, harness_command: Command
) -> None:
    """The command itself survives."""
    assert sentence in harness_command("audit", f"train.py:{step}", "--first-call-seconds", "0.5").refusal
