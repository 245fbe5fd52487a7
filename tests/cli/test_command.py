"""The ``harness`` command for users: output, exit codes, plain messages."""

import re
import shlex
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
from junitparser import JUnitXml
from samples.command import Command

from harness.bench import experiment
from harness.calling.target import load
from harness.command import options
from harness.contracts import contracts
from harness.data.fashion_mnist import VARIABLE
from harness.record import RUNS, RunFolder, Verdict

HOMEWORK = """
def softmax(logits):
    e = logits.exp()
    return e / e.sum(-1, keepdim=True)

def stable(logits):
    e = (logits - logits.amax(-1, keepdim=True)).exp().double()
    return (e / e.sum(-1, keepdim=True)).to(logits.dtype)

stable_softmax = recipe = stable
constant = 3
"""

HERE = "--no-isolate"
"""Checks in this process are faster, and messages about names of the harness are the same in both."""


@pytest.fixture
def harness(harness_command: Command, one_worker: None) -> Command:
    """Run the command, with one worker."""
    return harness_command


@pytest.fixture
def homework(workplace: Path) -> Path:
    """A student's file in the working directory."""
    file = workplace / "homework.py"
    file.write_text(HOMEWORK, encoding="utf-8")
    return file


def test_list_names_every_case_contract_and_law_with_its_statement(
    workplace: Path, harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines are not wrapped."""
    monkeypatch.setattr(options, "PLAIN_WIDTH", 2000)
    done = harness("list", "--cases", "--contracts", "--laws", code=0)
    for case in load():
        assert case.name in done.stdout
    for contract in contracts().values():
        assert contract.signature in done.stdout
        for law in contract.laws:
            assert law.name in done.stdout
            assert law.statement in done.stdout


def test_the_list_is_one_screen_that_leads_to_the_rest(
    workplace: Path, harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names every contract; a contract has its laws and cases."""
    monkeypatch.setattr(options, "PLAIN_WIDTH", 80)
    lines = harness("list", code=0).stdout.splitlines()
    assert len(lines) <= 23
    assert max(map(len, lines)) <= 80
    assert {*contracts()} <= {*re.findall(r"\w+", " ".join(lines))}
    assert f"cases       {len(load())}: " in "\n".join(lines)
    softmax = harness("list", "softmax", code=0).stdout
    assert all(law.name in softmax for law in contracts()["softmax"].laws)
    assert "softmax_regression.scratch.shifted_softmax" in softmax
    assert "did you mean `softmax`?" in harness("list", "sofmax").refusal
    assert harness("list", "selu", code=0).stdout.startswith("selu  ")


def test_a_naive_softmax_in_a_file_is_broken_with_its_reason(homework: Path, harness: Command) -> None:
    """The output has exit code 1, the exact threshold, the remedy, and a replay that reproduces it."""
    laws = ("--law", "value", "--law", "rows_sum_to_one", "--dtypes", "float32")
    done = harness("check", "homework.py:softmax", "--contract", "softmax", *laws, "-v", code=1)
    assert "88.72283935546875" in done.stdout
    assert "subtract the row maximum first" in done.stdout
    assert re.search(r"verdict: \d+ defects? in homework.softmax breaks? \d+ of \d+ laws", done.stdout)
    replay = next(line for line in done.stdout.splitlines() if line.startswith("  replay     harness"))
    again = harness(*shlex.split(replay.removeprefix("  replay").strip())[1:], code=1)
    assert "88.72283935546875" in again.stdout


def test_the_name_of_a_function_implies_its_contract(homework: Path, harness: Command) -> None:
    """Without `--contract`, the output states that the contract was inferred."""
    claimed = harness("check", "homework.py:stable_softmax", "--law", "value", "--dtypes", "float64", code=0)
    assert "checked as softmax (from its name; use `--contract` to change it)" in claimed.stdout


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            "check homework.py:softmax --no-isolate --contract softmax --example '{'",
            "cannot read `--example`: it must be JSON",
        ),
        (
            "check homework.py:softmax --no-isolate --contract softmax --example '{\"x\": [[1]]}'",
            "the example has no `logits`",
        ),
        ("check homework.py:softmax --contract softmax --declare x", "NAME=VALUE"),
        ("train --data no/such/folder", "no/such/folder"),
        ("bench loaders --prefetch 2", "cannot use `--prefetch` without a data set"),
        ("bench loaders --pin", "pass `--dataset`"),
        ("bench loaders --workers 0,-1", "cannot read `--workers`: it must be whole numbers from 0"),
        ("bench loaders --dataset a:b --prefetch 0", "cannot read `--prefetch`: it must be whole numbers from 1"),
        (
            "bench steps --dataset a:b",
            "cannot use `--dataset` without the suite `loaders`; use `harness bench loaders`",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_value_of_an_option_is_one_plain_message(
    homework: Path, harness: Command, words: str, text: str
) -> None:
    """The message has the rule, the value and the remedy, without a traceback."""
    assert text in harness(words).refusal


def test_a_data_folder_named_by_the_environment_must_exist(
    workplace: Path, harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no silent fallback to another folder."""
    monkeypatch.setenv(VARIABLE, "gone")
    refusal = harness("train").refusal
    assert VARIABLE in refusal
    assert "gone" in refusal


def test_a_law_is_explained(workplace: Path, harness: Command) -> None:
    """Each contract with the law has an explanation."""
    done = harness("explain", "rows_sum_to_one", code=0)
    for label in ("statement", "bound", "source", "look at"):
        assert label in done.stdout


def test_a_law_of_a_formula_is_explained(workplace: Path, harness: Command) -> None:
    """The formula is an option, or in the catalog."""
    done = harness("explain", "value_at_infinities", "--formula", "x * sigmoid(1.702 * x)", code=0)
    assert "equals x * sigmoid(1.702 * x) if IEEE 754 arithmetic gives a finite value" in done.stdout
    assert "finite of mish" in harness("explain", "finite", "--contract", "mish").stdout
    assert "pass `--formula` for the laws of a formula" in harness("explain", "no_such_law").stderr


def test_the_chain_from_case_to_page_on_the_stand_in(
    workplace: Path, harness: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three commands fill one run. Page and terminal show its results and its data set.

    This test trains once for two epochs; the job of the report trains in full.
    """
    briefly = partial(experiment.softmax_regression, settings=experiment.Training(epochs=2))
    monkeypatch.setattr(experiment, "softmax_regression", briefly)
    two = ("--dtypes", "float32,float16")
    checked = harness("check", "cases", "--law", "rows_sum_to_one", *two, "--run", "chain", "--fresh", code=0)
    trained = harness("train", "cases.softmax_regression", "--data", "synthetic", "--run", "chain", code=0)
    assert "softmax_regression.concise" in trained.stdout
    assert "synthetic stand-in" in trained.stdout
    reported = harness("report", "chain", code=0)
    page = Path(reported.stdout.splitlines()[0].removeprefix("report: "))
    assert reported.stdout.splitlines()[1] == checked.stdout.splitlines()[-1]
    html = page.read_text(encoding="utf-8")
    assert "synthetic stand-in" in html
    assert "rows_sum_to_one" in html
    assert len(RunFolder(RUNS / "chain").head().commands) == 2
    harness("check", "cases", "--law", "rows_sum_to_one", "--dtypes", "float32", "--run", "later")
    both = harness("report", str(RUNS), "--junit", "verdicts.xml", code=0)
    assert both.stdout.splitlines()[0] == f"report: {RUNS / 'later' / 'report' / 'report.html'}"
    assert "Since chain: " in both.stdout
    assert " not measured" in both.stdout
    assert len(JUnitXml.fromfile("verdicts.xml")) == len({it.case for it in RunFolder(RUNS / "later").read(Verdict)})


@pytest.mark.parametrize("command", [["-m", "harness"], ["-c", "from harness.cli import main; main()"]])
def test_the_command_says_which_version_it_is(command: list[str]) -> None:
    """The module prints it too, for users without installed commands on the path."""
    done = subprocess.run([sys.executable, *command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"harness {version('stability-harness')}\n"
