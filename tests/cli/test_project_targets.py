"""``harness check`` without a target: the targets of the nearest ``pyproject.toml``."""

import json
from pathlib import Path

import pytest
from junitparser import JUnitXml
from samples.command import Command

from harness.record import RUNS, RunFolder, Verdict

KERNELS = """
def softmax(x):
    return x.softmax(-1)

def relu(x):
    return x
"""
TABLE = """
[tool.harness]
targets = ["kernels.py:softmax", { target = "kernels.py:relu", examples = 2 }]
dtypes = ["float32"]
law = ["value"]
"""
HERE = "--no-isolate"


@pytest.fixture
def project(workplace: Path) -> Path:
    """A project with a good and a bad function."""
    (workplace / "kernels.py").write_text(KERNELS, encoding="utf-8")
    (workplace / "pyproject.toml").write_text(TABLE, encoding="utf-8")
    return workplace


@pytest.mark.usefixtures("one_worker")
def test_every_target_is_checked_and_the_files_are_joined(
    project: Path, harness_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect does not end the check. A command in a subfolder writes its files there, and the run in the project."""
    (project / "below").mkdir()
    monkeypatch.chdir(project / "below")
    files = ("--json", "laws.json", "--junit", "laws.xml", "--markdown", "laws.md")
    done = harness_command("check", HERE, "--run", "ci", *files, code=1)
    assert "project: 2 targets (1 passed, 1 failed)" in done.stdout
    document = json.loads(Path("laws.json").read_text(encoding="utf-8"))
    assert [(one["case"], one["dtype"]) for one in document["verdicts"]] == [
        ("kernels.softmax", "float32"),
        ("kernels.relu", "float32"),
    ]
    assert "1 defect" in document["verdict"]
    assert [suite.name for suite in JUnitXml.fromfile("laws.xml")] == ["kernels.softmax", "kernels.relu"]
    assert Path("laws.md").read_text(encoding="utf-8").count("### ") == 2
    assert {one.case for one in RunFolder(project / RUNS / "ci").read(Verdict)} == {"kernels.softmax", "kernels.relu"}


@pytest.mark.usefixtures("one_worker")
def test_the_command_line_comes_first(project: Path, harness_command: Command) -> None:
    """A target on the command line is checked alone; an option replaces that of the table."""
    done = harness_command("check", HERE, "kernels.py:softmax", "--law", "value", "--dtypes", "float64", code=0)
    assert "project:" not in done.stdout
    words = ("--dtypes", "float64", "--law", "rows_sum_to_one", "--json", "laws.json")
    done = harness_command("check", HERE, *words, code=2)
    document = json.loads(Path("laws.json").read_text(encoding="utf-8"))
    assert [(one["law"], one["dtype"]) for one in document["verdicts"]] == [("rows_sum_to_one", "float64")]
    # The second target has no such law.
    assert "project: 2 targets (1 passed, 1 gave no answer)" in done.stdout


def test_without_settings_the_command_says_how_to_start(workplace: Path, harness_command: Command) -> None:
    """The message names the next command."""
    assert "run `harness init`, or name a function" in harness_command("check").refusal


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("target = []", "did you mean `targets`?"),
        ("targets = [{ target = 'a.py:f', contrat = 'softmax' }]", "did you mean `contract`?"),
        ("targets = 'kernels.py:softmax'", "invalid key or value of `targets`"),
        ("targets = [", "invalid TOML"),
    ],
)
def test_a_wrong_table_is_one_sentence(table: str, message: str, workplace: Path, harness_command: Command) -> None:
    """It names the file."""
    (workplace / "pyproject.toml").write_text(f"[tool.harness]\n{table}\n", encoding="utf-8")
    refusal = harness_command("check").refusal
    assert message in refusal
    assert "pyproject.toml" in refusal


@pytest.mark.parametrize("option", ["--watch", "--fix", "--example '{}'"])
def test_options_for_one_function_need_one_target(option: str, project: Path, harness_command: Command) -> None:
    """The message names the option."""
    assert f"cannot use `{option.split()[0]}` for several targets" in harness_command(f"check {option}").refusal


@pytest.mark.usefixtures("one_worker")
def test_the_gate_compares_the_targets(project: Path, harness_command: Command) -> None:
    """The baseline is next to the settings. A law that breaks is a regression; the time is not compared."""
    harness_command("check", HERE, "--run", "ci", code=1)
    harness_command("gate", "--run", "ci", "--update", code=0)
    assert (project / "baseline.jsonl").is_file()
    harness_command("gate", "--run", "ci", code=0)
    text = (project / "kernels.py").read_text(encoding="utf-8")
    (project / "kernels.py").write_text(text.replace("x.softmax(-1)", "x.exp()"), encoding="utf-8")
    harness_command("check", HERE, "--run", "ci")
    done = harness_command("gate", "--run", "ci", code=1)
    assert "kernels.softmax value [float32]: holds in the baseline, broken now" in done.stdout
    assert "list the functions in `CASES`" in harness_command("gate", "--run", "ci", "--against", "HEAD").refusal
