"""The answers of ``harness same`` as records, in the formats for other programs, and in Python."""

import json
import math
from pathlib import Path

import pytest
import torch
from sameness.test_same import folder  # noqa: F401 - a fixture
from samples.command import Command
from samples.report import reported, run_of
from torch import Tensor

import harness
from harness.error import UsageError
from harness.record import Accuracy, Judgment, RunFolder, Sameness
from harness.sameness.change import read_change
from harness.sameness.comparison import compare_pair, list_pairs

pytestmark = pytest.mark.usefixtures("folder")

FILES = "--json it.json --junit it.xml --markdown it.md --run it"


def test_answers_are_records_and_files(harness_command: Command) -> None:
    """A run has what both sides are, how many rows differ, and both errors."""
    done = harness_command(f"same mine.py:textbook_softmax torch:softmax {FILES}", code=1)
    assert done.stdout.splitlines()[1:] == ["json: it.json", "junit: it.xml", "markdown: it.md"]
    (judgment,) = RunFolder.find("it").read(Judgment)
    assert (judgment.first, judgment.second, judgment.under) == ("mine.py:textbook_softmax", "torch:softmax", "")
    assert judgment.answer is Sameness.DIFFERENT
    assert 0 < (judgment.differing_rows or 0) < (judgment.rows or 0)
    assert judgment.largest_ulp == float("inf")
    assert [accuracy.share <= 1.0 for accuracy in judgment.accuracies] == [False, True]
    document = json.loads(Path("it.json").read_text(encoding="utf-8"))
    assert document["verdict"] == "same: 1 different"
    assert Judgment.model_validate(document["judgments"][0]) == judgment
    assert '<failure message="the result of call' in Path("it.xml").read_text(encoding="utf-8")
    assert "| different | mine.py:textbook_softmax and torch:softmax | the result" in Path("it.md").read_text("utf-8")


def test_a_difference_is_annotated_at_its_operation(harness_command: Command) -> None:
    """Rounding is no finding."""
    different = "same mine.py:textbook_softmax torch:softmax --output-format"
    concise = harness_command(f"{different} concise", code=1).stdout.splitlines()
    assert concise[0].startswith("mine.py:10:12: error: mine.py:textbook_softmax and torch:softmax: the result of call")
    assert concise[0].endswith(" [different]")
    assert concise[1] == "same: 1 different"
    assert "::error file=mine.py,line=10,col=12" in harness_command(f"{different} github", code=1).stdout
    log = json.loads(harness_command(f"{different} sarif", code=1).stdout)["runs"][0]
    assert [result["ruleId"] for result in log["results"]] == ["same/different"]
    done = harness_command("same mine.py:softmax torch:softmax --output-format concise", code=0)
    assert done.stdout == "same: 1 rounding\n"


def test_the_report_has_a_page_of_the_pairs(tmp_path: Path) -> None:
    """The errors of both sides are next to their bounds, and a change is in the place of the second target."""
    errors = (Accuracy(deviation=math.inf, bound=2.0), Accuracy(deviation=0.75, bound=3.5))
    judgments = (
        Judgment(
            first="cases.softmax_regression.scratch:softmax",
            second="cases.softmax_regression.concise:softmax",
            answer=Sameness.DIFFERENT,
            sentence="",
            rows=1000,
            differing_rows=7,
            largest_ulp=1.5,
            accuracies=errors,
            places=("exp (scratch.py:23)",),
        ),
        Judgment(first="train.py:step", under="resume", answer=Sameness.SAME_BITS, sentence=""),
    )
    report = reported(run_of(tmp_path / "run", *judgments))
    assert "## Is it the same?" in report.markdown
    assert "2 pairs: 1 same bits and 1 different" in report.markdown
    cells = [
        "differing rows",
        "7 of 1,000",
        "1.50",
        "inf of 2.00",
        "0.750 of 3.50",
        "exp (scratch.py:23)",
        "operation that differs",
    ]
    assert [cell for cell in cells if cell not in report.markdown] == []
    assert "under resume" in report.html
    assert "</td>" not in report.html


CASES = """\
from harness.case import Case
from own import concise, scratch

CASES = [
    Case(scratch.softmax, "softmax"{breaks}),
    Case(scratch.shifted_softmax, "softmax"),
    Case(concise.softmax, "softmax"),
    Case(concise.relu, "relu"),
]
"""
SCRATCH = """\
import torch

def softmax(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)

def shifted_softmax(x):
    return softmax(x - x.amax(-1, keepdim=True))
"""
CONCISE = """\
import torch

def softmax(x):
    return x.softmax(-1)

def relu(x):
    return x.relu()
"""


def test_a_package_has_a_pair_for_each_contract(harness_command: Command) -> None:
    """A difference that a case declares as its failure does not fail."""
    package = Path("own")
    package.mkdir()
    (package / "scratch.py").write_text(SCRATCH, encoding="utf-8")
    (package / "concise.py").write_text(CONCISE, encoding="utf-8")
    declared = ', breaks={"value": "exp overflows"}'
    for breaks, code in (("", 1), (declared, 0)):
        (package / "__init__.py").write_text(CASES.format(breaks=breaks), encoding="utf-8")
        lines = harness_command("same own", code=code).stdout.splitlines()
        assert lines[0].startswith("DIFFERENT   own.scratch:softmax and own.concise:softmax: the result of call")
        assert lines[1].startswith("ROUNDING    own.scratch:shifted_softmax and own.concise:softmax: ")
        assert lines[2:] == ["same: 1 rounding, 1 different"]
        lines = harness_command("same own --under threads", code=0).stdout.splitlines()
        assert [line.split()[2] for line in lines[:-1] if line.startswith("SAME")] == [
            *("own.scratch:softmax", "own.scratch:shifted_softmax", "own.concise:softmax", "own.concise:relu"),
        ]
        assert lines[-1] == "same: 4 same bits"
    assert "cannot use `--contract` or `--shape` for a package" in harness_command("same own --shape 2").refusal
    (package / "__init__.py").write_text("from harness.case import Case\nCASES = [Case(abs, 'relu')]", encoding="utf-8")
    assert "no pairs in `own`: it must have cases from scratch" in harness_command("same own").refusal


def test_steps_trainings_fits_and_loaders_are_compared() -> None:
    """Half the loss at twice the rate is the same training; another convention of a function is a difference."""
    pairs = {pair.contract: pair for pair in list_pairs("cases", [], lambda _: None)}
    names = "linear_regression", "linear_regression_step", "least_squares", "learning_curves", "loader"
    judged = {name: compare_pair(pairs[name]) for name in (*names, "squared_error")}
    assert [name for name in names if not judged[name]] == []
    assert judged["squared_error"].answer is Sameness.DIFFERENT
    assert judged["squared_error"].is_declared
    assert "the second is 2 times the first" in judged["squared_error"].sentence


def test_cases_that_are_no_functions_are_compared_under_changes_that_keep_the_code() -> None:
    """Another release needs no function of tensors, and a batch of rows does."""
    for text, has_all in (("seed", True), ("batch", False)):
        contracts = {pair.contract for pair in list_pairs("cases", [read_change(text)], lambda _: None)}
        assert ({"loader", "learning_curves"} <= contracts) == has_all
        assert "softmax" in contracts


def test_an_error_leaves_the_other_answers(harness_command: Command) -> None:
    """The exit code says that an answer is missing."""
    done = harness_command("same mine.py:softmax --under processor=6502 --under threads", code=2)
    assert "threads=1: " in done.stdout
    assert done.stderr.startswith("harness: cannot apply `processor=6502`")


# In Python


def textbook(x: Tensor) -> Tensor:
    """The definition."""
    return x.exp() / x.exp().sum(-1, keepdim=True)


def shifted(x: Tensor) -> Tensor:
    """The stable form."""
    return textbook(x - x.amax(-1, keepdim=True))


def test_a_test_asserts_that_two_are_the_same() -> None:
    """A function of this process may be a lambda, and its random numbers are not touched."""
    state = torch.get_rng_state()
    assert harness.same(shifted, "torch:softmax", contract="softmax")
    judgment = harness.same(textbook, torch.softmax, contract="softmax")
    assert not judgment
    assert str(judgment).startswith("DIFFERENT   the result of call")
    assert repr(judgment) == str(judgment)
    assert judgment.sentence in str(judgment)
    assert harness.same(lambda x: x * 2.0, lambda x: x + x, shapes=[(4, 8)]).answer is Sameness.SAME_BITS
    assert not harness.same(lambda x: x * 2.0, lambda x: x * 2.001, shapes=[(4, 8)])
    assert torch.equal(torch.get_rng_state(), state)


def test_a_function_of_this_process_is_compared_under_a_change() -> None:
    """It is not imported again."""
    assert harness.same(lambda x: x.sum(-1), under="batch", shapes=[(8, 16)])
    judgment = harness.same(lambda x: x - x.mean(), under="batch", shapes=[(8, 16)])
    assert judgment.under == "batch"
    assert judgment.answer is Sameness.DIFFERENT


def test_a_step_is_a_target() -> None:
    """Each side imports it, so that both train their own model."""
    assert harness.same("full.py:step", under="threads=1")
    assert "0.25 times" in harness.same("full.py:step", "quarter.py:step").sentence

    def step() -> None:
        pass

    with pytest.raises(UsageError, match="each side imports a step separately"):
        harness.same(step, step)
