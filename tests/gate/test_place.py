"""The place of the baseline, and targets that cannot be called, tested through the command."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from samples.command import Command

from harness.error import UsageError
from harness.gate.baseline import baseline_of, refuse_foreign
from harness.record import GateFinding, RunFolder

PACKAGE = '''"""A kernel."""

from harness import Case


def softmax(logits):
    """Return the probabilities."""
    return logits.softmax(-1)


CASES = [Case(softmax, "softmax")]
'''


def written(file: Path, text: str = PACKAGE) -> Path:
    """Write a file and its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def test_the_baseline_of_a_package_in_a_src_layout_stands_next_to_its_source(workplace: Path) -> None:
    """The processes import the package like an installation, and no new folder shadows it."""
    written(workplace / "pyproject.toml", '[project]\nname = "their-kernels"\n')
    package = written(workplace / "src" / "their_kernels" / "__init__.py").parent
    paths = [str(workplace / "src"), str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}

    def harness(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "harness", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    check = harness("check", "their_kernels", "--law", "value", "--dtypes", "float32", "--run", "pull")
    assert check.returncode == 0, check.stderr
    update = harness("gate", "their_kernels", "--run", "pull", "--update")
    assert update.returncode == 0, update.stderr
    assert f"baseline: {Path('src', 'their_kernels', 'baseline.jsonl')}" in update.stderr + update.stdout
    assert (package / "baseline.jsonl").is_file()
    assert sorted(path.name for path in workplace.iterdir()) == [".harness", "pyproject.toml", "src"]
    again = harness("gate", "their_kernels", "--run", "pull")
    assert again.returncode == 0, again.stderr
    assert "gate: pass" in again.stdout + again.stderr


def test_a_project_with_its_package_at_the_root_keeps_the_baseline_there(tmp_path: Path) -> None:
    """The target is a package, a subpackage, a module, or a file."""
    for name in ("flat/__init__.py", "flat/below/__init__.py", "flat/plain.py"):
        written(tmp_path / name)
    places = {"flat": "flat", "flat.below": "flat/below", "flat.plain": "flat", "flat/plain.py:softmax": "flat"}
    for target, folder in places.items():
        assert baseline_of(target, tmp_path) == tmp_path / folder / "baseline.jsonl", target


def test_a_folder_without_source_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An earlier version left such a folder at the root of a project. Namespace packages behave alike."""
    written(tmp_path / "their_spaces" / "baseline.jsonl", "")
    written(tmp_path / "src" / "their_spaces" / "kernels" / "__init__.py")
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.syspath_prepend(str(tmp_path))
    assert baseline_of("their_spaces", tmp_path) == tmp_path / "src" / "their_spaces" / "baseline.jsonl"
    expected = tmp_path / "src" / "their_spaces" / "kernels" / "baseline.jsonl"
    assert baseline_of("their_spaces.kernels", tmp_path) == expected


def test_a_module_without_a_folder_is_one_plain_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module does not exist, is built in, or is in a zip file."""
    with zipfile.ZipFile(tmp_path / "their.zip", "w") as archive:
        archive.writestr("their_zipped/__init__.py", PACKAGE)
    monkeypatch.syspath_prepend(str(tmp_path / "their.zip"))
    for module in ("no_such_package", "no_such_package.below", "sys", "their_zipped"):
        with pytest.raises(UsageError, match=rf"cannot place the baseline: `{module}` has no folder.*`--baseline`"):
            baseline_of(module, tmp_path)


def test_an_installed_package_is_not_written_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next installation would remove the baseline. A read-only folder is refused too."""
    with pytest.raises(UsageError, match=r"into an installed package.*`--baseline`"):
        refuse_foreign(Path(sysconfig.get_paths()["purelib"]) / "their_kernels" / "baseline.jsonl")
    refuse_foreign(tmp_path / "baseline.jsonl")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(UsageError, match=r"cannot write the baseline: got a read-only folder.*`--baseline`"):
        refuse_foreign(tmp_path / "baseline.jsonl")


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
    written(workplace / "mine.py", UNCALLABLE)
    words = ("--contract", "softmax", "--law", "value", "--dtypes", "float32", "--run", "pull")
    assert harness_command("check", "mine.py:fine", *words).returncode == 0
    return workplace


@pytest.mark.parametrize(
    ("name", "why"), [("softmax", "int"), ("none", "TypeError: none() takes 0"), ("broken", "ValueError: not today")]
)
def test_no_baseline_is_made_of_a_case_that_cannot_be_called(
    run_of_fine: Path, harness_command: Command, name: str, why: str
) -> None:
    """The output is one sentence, with exit code 2."""
    done = harness_command("gate", f"mine.py:{name}", "--contract", "softmax", "--run", "pull", "--update")
    assert done.returncode == 2
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
    done = harness_command(*target)
    assert done.returncode == 2
    found = RunFolder(Path(".harness", "runs", "pull")).read(GateFinding)
    assert {(str(one.gate), str(one.outcome)) for one in found} == {("numerics", "unchanged"), ("counts", "no verdict")}
    (sentence,) = (one.sentence for one in found if one.gate == "counts")
    assert sentence == f"mine.fine cannot be counted: calling it raises {why}."


def test_a_target_that_is_no_function_is_one_sentence(run_of_fine: Path, harness_command: Command) -> None:
    """It is refused without an update too."""
    done = harness_command("gate", "mine.py:softmax", "--contract", "softmax", "--run", "pull")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
