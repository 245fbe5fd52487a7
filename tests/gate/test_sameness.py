"""Pairs that a project keeps: the command compares them, and the gate compares their answers with the base's."""

import subprocess
from pathlib import Path

import pytest
from gate.test_base import git
from samples.command import Command

SETTINGS = """\
[tool.harness]
pythonpath = ["src"]

[tool.harness.same]
double = { a = "mine.py:double", b = "own:double", shapes = ["4,8"] }
half = { a = "mine.py:half", under = "batch", shapes = ["4,8"] }
"""
MINE = """\
def double(x):
    return x + x


def half(x):
    return x / 2.0
"""


@pytest.fixture
def project(workplace: Path) -> Path:
    """A repository with two pairs, on a branch ``ours`` of ``main``."""
    (workplace / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    (workplace / "mine.py").write_text(MINE, encoding="utf-8")
    (workplace / "src").mkdir()
    (workplace / "src" / "own.py").write_text("def double(x):\n    return x * 2.0\n", encoding="utf-8")
    git("init", "-q", "-b", "main")
    git("add", ".")
    git("commit", "-q", "-m", "first")
    git("checkout", "-q", "-b", "ours")
    return workplace


def test_the_command_compares_the_pairs_of_the_project(project: Path, harness_command: Command) -> None:
    """Their names are in the lines, and an error of one leaves the answer of the other."""
    done = harness_command("same --run it", code=0)
    lines = done.stdout.splitlines()
    assert lines[0] == "SAME BITS   double: all results of 2 calls are equal"
    assert lines[1].startswith(("SAME BITS   half: ", "ROUNDING    half: "))
    assert lines[2].startswith("same: ")
    (project / "mine.py").write_text(MINE.replace("def double", "def doubled"), encoding="utf-8")
    done = harness_command("same", code=2)
    assert "half: " in done.stdout
    assert done.stderr.startswith("harness: no `double` in `mine.py`")


@pytest.mark.parametrize(
    ("table", "refusal"),
    [
        ("", "nothing to compare: name two targets; or list pairs under `[tool.harness.same]` in pyproject.toml"),
        ('x = { a = "mine.py:double" }', "nothing to compare: name either two targets, or one and `--under CHANGE`"),
        ('x = { a = "mine.py:double", c = "own" }', "pyproject.toml: invalid `x.c`: extra inputs are not permitted"),
        ('x = { a = "mine.py:double", under = "bath" }', "unknown change `bath`"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_sentence(
    project: Path, harness_command: Command, table: str, refusal: str
) -> None:
    """It names the key."""
    (project / "pyproject.toml").write_text(f"[tool.harness.same]\n{table}\n", encoding="utf-8")
    assert refusal in harness_command("same").refusal


def run_gate(harness_command: Command, code: int) -> list[str]:
    """Return the lines of the gate about a run of one law."""
    harness_command("check mine.py:half --formula x/2 --law value --dtypes float32 --run it --fresh", code=0)
    if not Path("baseline.jsonl").exists():
        harness_command("gate --run it --update", code=0)
    return harness_command("gate --run it --base main", code=code).stdout.splitlines()


def test_a_pair_that_became_different_is_a_regression(project: Path, harness_command: Command) -> None:
    """Only such a pair is judged at the base."""
    lines = run_gate(harness_command, 0)
    assert any(line.startswith("unchanged     double is same bits: ") for line in lines)
    (project / "mine.py").write_text(MINE.replace("x + x", "x * 2.01"), encoding="utf-8")
    lines = run_gate(harness_command, 1)
    (line,) = [line for line in lines if "double" in line]
    assert line.startswith("regressed     double is different: the result of call 1: ")
    assert line.endswith("; it was same bits at main.")
    assert "sameness: 1 regressed, 1 unchanged" in lines[-1]


def test_a_pair_that_was_different_already_is_unchanged_and_a_new_one_is_listed(
    project: Path, harness_command: Command
) -> None:
    """A pair that the branch removes is a regression."""
    (project / "mine.py").write_text(MINE.replace("x + x", "x * 2.01"), encoding="utf-8")
    subprocess.run(["git", "checkout", "-q", "main"], check=True)
    git("commit", "-q", "-a", "-m", "different")
    git("checkout", "-q", "-B", "ours")
    table = SETTINGS.replace("half =", "third =")
    (project / "pyproject.toml").write_text(table, encoding="utf-8")
    lines = run_gate(harness_command, 1)
    assert any(line.startswith("unchanged     double is different: ") for line in lines)
    assert any(line.startswith("new           third is ") for line in lines)
    assert "regressed     The branch removes the pair half from [tool.harness.same]." in lines


def test_a_pair_without_an_answer_gives_no_verdict(project: Path, harness_command: Command) -> None:
    """The finding says why."""
    (project / "mine.py").write_text(MINE.replace("def double", "def doubled"), encoding="utf-8")
    lines = run_gate(harness_command, 2)
    assert any(line.startswith("no verdict    double cannot be compared: no `double` in `mine.py`") for line in lines)
