"""Surveys give the same results on one process and two, in Python and on the command line, for user functions."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from samples.command import Command, Done
from torch import Tensor

import harness
from harness.error import UsageError
from harness.record import RUNS, Accumulator, Breaking, Profile, RunFolder, Worst
from harness.surveyor.discovery import Discoveries
from harness.surveyor.plan import Survey
from harness.wording.survey import format_certainty, format_result

HOMEWORK = """
import torch

def softmax(logits):
    e = logits.exp()
    return e / e.sum(-1, keepdim=True)

def stable(logits):
    e = (logits - logits.amax(-1, keepdim=True)).exp().double()
    return (e / e.sum(-1, keepdim=True)).to(logits.dtype)

def raising(logits):
    raise ValueError("no such luck")
"""

FILES = ("breakings.jsonl", "worst.jsonl", "profiles.jsonl", "passages.jsonl", "accumulators.jsonl")


@pytest.fixture
def command(workplace: Path, harness_command: Command) -> Command:
    """Run the command, in a folder with a student's file."""
    (workplace / "homework.py").write_text(HOMEWORK, encoding="utf-8")

    def run(line: str, *words: str, code: int | None = None) -> Done:
        return harness_command(line, *words, "--no-isolate", code=code)

    return run


def naive(logits: Tensor) -> Tensor:
    """The definition."""
    return logits.exp() / logits.exp().sum(-1, keepdim=True)


def test_two_processes_survey_the_same_as_one(command: Command) -> None:
    """All files of the run are equal byte for byte.

    The survey follows a ray of inputs and a ray of lengths, in a wide and a narrow format.
    """
    rays = ("--ray", "spike", "--ray", "length")
    options = ("--contract", "softmax", "--dtypes", "float32,float16", *rays, "--batches", "2", "--seed", "7")
    for name, jobs in (("one", "1"), ("two", "2")):
        command("survey", "homework.py:stable", *options, "--run", name, "--jobs", jobs)
    for file in FILES:
        one, two = ((RUNS / name / file).read_bytes() for name in ("one", "two"))
        assert one == two
        assert one


def test_the_command_prints_the_exact_number_its_closed_form_and_what_happens(command: Command) -> None:
    """The number is decimal and hexadecimal, with a replay.

    The exit code is 1, because the file declares no failure.
    """
    out = command("survey homework.py:softmax --contract softmax --dtypes float32 --batches 1", code=1).stdout
    for text in (
        "88.72283935546875",
        "0x1.62e43p+6",
        "ln(max + ulp/2)",
        "nan, expected 1",
        "86.64340209960938",
        "-ln(sub/2)",
    ):
        assert text in out
    assert "value holds to the end of: negative spike" in out
    assert "* first failure found" in out
    assert "sums: float32 in float32" in out
    replay = next(line for line in out.splitlines() if line.startswith("  replay"))
    printed = command(*shlex.split(replay.removeprefix("  replay"))[1:], code=1).stdout
    assert "88.72283935546875" in printed
    assert out.splitlines()[-1].startswith("survey: ")
    assert "undeclared failures: homework.softmax breaks value" in out.splitlines()[-1]


def test_a_sound_function_is_surveyed_with_exit_code_0(command: Command) -> None:
    """The worst deviation is a lower bound within the bound of the law, and the run is stored."""
    out = command(
        "survey homework.py:stable --contract softmax --dtypes bfloat16 --batches 2 --run mine", code=0
    ).stdout
    assert "* first failure found" not in out
    assert "searched: a lower bound" in out
    folder = RunFolder(RUNS / "mine")
    assert all(one.value is None for one in folder.read(Breaking))
    assert {one.objective for one in folder.read(Worst)} == {"deviation", "ratio"}
    assert not any(one.broken for one in folder.read(Worst))
    assert len(folder.read(Profile)) == len(folder.read(Accumulator)) == 1


def test_a_run_is_added_to_and_a_survey_of_the_same_replaces(command: Command) -> None:
    """Another dtype adds records; the same dtype replaces them."""
    for dtypes in ("float16", "bfloat16", "float16"):
        words = ("survey", "homework.py:stable", "--contract", "softmax", "--dtypes", dtypes)
        command(*words, "--batches", "0", "--ray", "spike", "--run", "mine")
    found = RunFolder(RUNS / "mine").read(Breaking)
    assert sorted((one.dtype, one.law) for one in found) == sorted({(one.dtype, one.law) for one in found})
    assert {one.dtype for one in found} == {"float16", "bfloat16"}
    assert {one.ray for one in found} == {"spike"}


def test_shipped_cases_break_where_they_are_declared_to(command: Command) -> None:
    """The exit code is 0, and the closed forms are counted."""
    out = command("survey", "--contract", "sgd", "--batches", "0", code=0).stdout
    assert "8 of 8 declared closed forms agree" in out
    assert "2.9802322387695312e-08" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("homework.py:softmax --contract softmax --ray spice", "unknown ray `spice`"),
        ("homework.py:softmax --contract softmax --law sums", "unknown law `sums`"),
        ("homework.py:softmax --contract softmax --dtypes int8", "unknown dtype `int8`"),
        ("homework.py:softmax --contract accuracy", "a survey needs a contract with rays, got `accuracy`"),
        ("homework.py:nothing", "no `nothing`"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_impossible_survey_is_one_plain_message(command: Command, words: str, text: str) -> None:
    """The exit code is 2, without a traceback."""
    assert text in command(f"survey {words}").refusal


def test_a_function_that_raises_is_reported_and_fails_the_survey(command: Command) -> None:
    """The message of the exception is printed."""
    out = command("survey", "homework.py:raising", "--contract", "softmax", "--dtypes", "float32", code=1).stdout
    assert "no such luck" in out


def test_a_law_that_is_named_is_followed_whatever_its_group() -> None:
    """Algebraic laws are not followed by default."""
    every, named = (
        Survey("cases", contract="softmax", laws=laws, dtypes=["float16"], batches=0)
        for laws in ([], ["rows_sum_to_one"])
    )
    laws = [{part.job.law.name for part in survey.load().parts} for survey in (every, named)]
    assert "value" in laws[0]
    assert "rows_sum_to_one" not in laws[0]
    assert laws[1] == {"rows_sum_to_one"}


def test_python_gives_findings_with_a_frame_and_a_sentence() -> None:
    """The function is an object, not a name."""
    found = harness.survey(naive, "softmax", dtypes=["float32"], batches=1)
    assert isinstance(found, Discoveries)
    frame = found.to_frame()
    spike = frame[(frame["law"] == "value") & (frame["ray"] == "spike")].iloc[0]
    assert spike["value"] == 88.72283935546875
    assert str(found).startswith("survey: ")
    record = next(one for one in found.breakings if (one.law, one.ray) == ("value", "spike"))
    assert format_result(record) == "nan, expected 1"
    assert format_certainty(record) == "first of the tried values"


def test_python_names_a_contract_without_rays() -> None:
    """It is a user error."""
    with pytest.raises(UsageError, match="`one_hot`"):
        harness.survey(torch.nn.functional.one_hot, "one_hot")


def test_a_form_that_only_16_bits_know_is_taken_for_a_coincidence() -> None:
    """The form is dropped unless a wider format also shows it on the same ray."""
    forms = []
    for dtypes in (["float32", "bfloat16"], ["bfloat16"]):
        discoveries = Discoveries()
        only: dict[str, Any] = {"laws": ["value"], "rays": ["spike"], "dtypes": dtypes}
        for _, found in Survey("cases.softmax_regression.scratch:softmax", "softmax", batches=0, **only).run():
            discoveries.add(found)
        forms += [one.form for one in discoveries.breakings if one.dtype == "bfloat16"]
    assert forms == ["ln(max + ulp/2)", None]
