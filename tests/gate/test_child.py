"""The gate imports the code of a branch in a child only, so that no import decides its verdict."""

import sys
import time
from pathlib import Path

import pytest
from samples.command import Command

from harness.gate.baseline import baseline_of

SOFTMAX = "def softmax(x):\n    return x.softmax(-1)\n"


@pytest.fixture
def checked(workplace: Path, harness_command: Command) -> Path:
    """Return the file of a function with a run and a baseline."""
    (workplace / "pyproject.toml").write_text("[project]\nname = 'kernels'\n", encoding="utf-8")
    kernels = workplace / "kernels.py"
    kernels.write_text(SOFTMAX, encoding="utf-8")
    words = ("--no-isolate", "--law", "value", "--dtypes", "float32", "--run", "one")
    harness_command("check", "kernels.py:softmax", *words, code=0)
    sys.modules.pop("kernels")  # which the check without isolation imported
    return kernels


def test_the_run_knows_target_and_contract(checked: Path, harness_command: Command) -> None:
    """The gate and its update need only the name of the run. With a target, the contract comes from the run."""
    assert harness_command("gate", "--run", "one", "--update", code=0).stdout == "baseline: baseline.jsonl\n" + (
        "unchanged     1 verdict of 1 case compared with the baseline.\n"
        "unchanged     2 counts compared with the baseline.\n"
        "gate: pass (numerics: 1 unchanged; counts: 1 unchanged)\n"
    )
    assert "gate: pass" in harness_command("gate", "kernels.py:softmax", "--run", "one", code=0).stdout
    assert "kernels" not in sys.modules, "the judge has not imported it"


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import os\nos._exit(0)\n", "the import ends the process with exit code 0"),
        ("1 / 0\n", "ZeroDivisionError: division by zero"),
    ],
    ids=["exits", "raises"],
)
def test_an_import_that_fails_is_never_a_pass(
    checked: Path, harness_command: Command, code: str, sentence: str
) -> None:
    """The exit code is 2, with one sentence. The tests of isolation have the other ways in which an import fails."""
    checked.write_text(code + SOFTMAX, encoding="utf-8")
    refusal = harness_command("gate", "--run", "one", "--update").refusal
    assert refusal.startswith("harness: cannot import `kernels.py`: ")
    assert sentence in refusal
    assert not checked.with_name("baseline.jsonl").exists()


def test_code_sees_no_secret_and_shadows_no_module_of_the_judge(
    workplace: Path, harness_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A project's file has the name of a package that the harness imports, and comes first for the project only."""
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_PATH", str(workplace / "path"))
    source = workplace / "src"
    source.mkdir()
    look = "import os\nfrom pathlib import Path\nPath('seen').write_text(' '.join(os.environ))\n"
    (source / "kernels.py").write_text(look + SOFTMAX, encoding="utf-8")
    settings = '[tool.harness]\ntargets = ["kernels:softmax"]\npythonpath = ["src"]\n'
    (workplace / "pyproject.toml").write_text(settings, encoding="utf-8")
    harness_command("check", "--law", "value", "--dtypes", "float32", "--run", "one", code=0)
    (workplace / "seen").unlink()
    for name in ("tabulate", "hypothesis", "typer", "pydantic", "rich"):
        (source / f"{name}.py").write_text("from pathlib import Path\nPath('shadowed').write_text(__name__)\n")
    harness_command("gate", "--run", "one", "--update", code=0)
    seen = (workplace / "seen").read_text(encoding="utf-8").split()
    assert "PATH" in seen
    assert not {"GITHUB_TOKEN", "GITHUB_PATH"} & set(seen)
    assert not (workplace / "shadowed").exists()
    places = {str(getattr(module, "__file__", "")) for module in [*sys.modules.values()]}
    assert not [place for place in places if place.startswith(str(source))]


def test_the_place_of_a_baseline_is_found_without_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package below a folder of ``pythonpath`` would end the process if it was imported."""
    package = tmp_path / "lib" / "their_exit" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").write_text("import os\nos._exit(0)\n", encoding="utf-8")
    folders = [str(tmp_path / "lib")]
    assert baseline_of("their_exit.inner", tmp_path, folders) == package / "baseline.jsonl"
    assert baseline_of("their_exit:f", tmp_path, folders) == package.parent / "baseline.jsonl"


def test_a_hang_at_import_ends_within_the_budget_of_the_time_gate(workplace: Path, harness_command: Command) -> None:
    """The doctor is the same measurement, and its message says what to do."""
    Path("kernels.py").write_text(f"import time\ntime.sleep(600)\n{SOFTMAX}", encoding="utf-8")
    start = time.monotonic()
    refusal = harness_command("doctor", "kernels.py:softmax", "--budget", "2").refusal
    assert refusal == ("harness: cannot load the cases: start-up takes longer than the budget; use a larger `--budget`")
    assert time.monotonic() - start < 60.0


def test_an_exit_at_import_is_no_verdict_of_the_doctor(workplace: Path, harness_command: Command) -> None:
    """The exit code is 2, whatever the one of the code."""
    Path("kernels.py").write_text(f"import os\nos._exit(0)\n{SOFTMAX}", encoding="utf-8")
    refusal = harness_command("doctor", "kernels.py:softmax").refusal
    assert "cannot load the cases: the import ends the process with exit code 0; correct the cases" in refusal
