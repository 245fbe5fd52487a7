"""Counts of the gate: a case that cannot be called is reported, and one without a compiler does not fail."""

from pathlib import Path

import pytest
from samples.command import Command

from harness.gate.finding import exit_code
from harness.gate.snapshot import Counts
from harness.record import GateFinding, RunFolder


def test_a_case_that_cannot_be_called_is_no_verdict() -> None:
    """It may be slower or faster, because it was not counted."""
    findings = Counts(failures={"a.b": "ValueError: no"}).findings
    assert [one.sentence for one in findings] == ["a.b cannot be counted: calling it raises ValueError: no."]
    assert exit_code(findings) == 2


def test_a_case_without_a_compiler_is_inconclusive() -> None:
    """The reason is given, and the gate passes."""
    findings = Counts(uncompiled={"a.b": "torch.compile finds no compiler on this machine"}).findings
    assert [one.sentence for one in findings] == [
        "a.b is not counted: torch.compile finds no compiler on this machine."
    ]
    assert (exit_code(findings), exit_code(findings, strict=True)) == (0, 3)


# Cases that cannot be called

UNCALLABLE = '''"""Functions that do not work."""

softmax = 3


def none():
    """Take no argument."""


def broken(logits):
    """Raise."""
    raise ValueError("not today")


def fine(logits):
    """Work."""
    return logits.softmax(-1)
'''


@pytest.fixture
def run_of_fine(workplace: Path, harness_command: Command) -> Path:
    """Return a folder with a run, and with functions that fail."""
    (workplace / "mine.py").write_text(UNCALLABLE, encoding="utf-8")
    words = ("--contract", "softmax", "--law", "value", "--dtypes", "float32", "--run", "pull")
    harness_command("check", "mine.py:fine", *words, code=0)
    return workplace


@pytest.mark.parametrize(
    ("name", "why"), [("softmax", "int"), ("none", "TypeError: none() takes 0"), ("broken", "ValueError: not today")]
)
def test_no_baseline_is_made_of_a_case_that_cannot_be_called(
    run_of_fine: Path, harness_command: Command, name: str, why: str
) -> None:
    """The output is one sentence, with exit code 2."""
    done = harness_command("gate", f"mine.py:{name}", "--contract", "softmax", "--run", "pull", "--update", code=2)
    assert not done.stdout
    assert len(done.stderr.splitlines()) == 1
    assert why in done.stderr
    assert not (run_of_fine / "baseline.jsonl").exists()


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("return logits.softmax(-1)", "return 1 / 0", "ZeroDivisionError: division by zero"),
        ("def fine(logits)", "def fine()", "TypeError: fine() takes 0 positional arguments but 1 was given"),
    ],
)
def test_a_case_that_cannot_be_called_hides_no_other_finding(
    run_of_fine: Path, harness_command: Command, old: str, new: str, why: str
) -> None:
    """The counts have no verdict, laws are compared as usual, and the exit code is 2."""
    target = ("gate", "mine.py:fine", "--contract", "softmax", "--run", "pull")
    assert harness_command(*target, "--update").returncode == 0
    text = (run_of_fine / "mine.py").read_text(encoding="utf-8")
    assert old in text
    (run_of_fine / "mine.py").write_text(text.replace(old, new), encoding="utf-8")
    harness_command(*target, code=2)
    found = RunFolder(Path(".harness", "runs", "pull")).read(GateFinding)
    assert {(str(one.gate), str(one.outcome)) for one in found} == {("numerics", "unchanged"), ("counts", "no verdict")}
    (sentence,) = (one.sentence for one in found if one.gate == "counts")
    assert sentence == f"mine.fine cannot be counted: calling it raises {why}."


def test_a_target_that_is_no_function_is_one_sentence(run_of_fine: Path, harness_command: Command) -> None:
    """It is refused without an update too."""
    assert harness_command("gate", "mine.py:softmax", "--contract", "softmax", "--run", "pull").refusal
