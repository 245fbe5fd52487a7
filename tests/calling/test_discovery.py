"""A user's package ``cases`` is checked in place of the shipped one, and the output names its folder."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from samples.command import Command

import cases
from harness.calling.discovery import explain_origin, find_own_cases, is_shipped
from harness.calling.target import Target, load

DECLARED = """
from harness.case import Case

def softmax(x):
    return x.softmax(-1)

CASES = [Case(softmax, "softmax", breaks={"value_on_long_rows": "torch"})]
"""


@pytest.fixture
def own(workplace: Path) -> Iterator[Path]:
    """Write a package of cases in the working directory, and restore the shipped one afterwards."""
    (workplace / "cases").mkdir()
    (workplace / "cases" / "__init__.py").write_text(DECLARED, encoding="utf-8")
    before, path = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "cases"}, [*sys.path]
    yield workplace / "cases"
    for name in [name for name in sys.modules if name.split(".")[0] == "cases"]:
        del sys.modules[name]
    sys.modules.update(before)
    sys.path[:] = path


def test_the_package_of_the_working_directory_is_meant_and_is_foreign(own: Path) -> None:
    """The package and its members are found by name, so that replays find them too."""
    assert find_own_cases() == own
    assert not is_shipped("cases")
    assert not is_shipped("cases.family:function")
    assert Target().is_foreign
    assert [case.name for case in load("cases")] == ["cases.softmax"]
    assert [case.contract for case in load("cases:softmax", contract="softmax")] == ["softmax"]


def test_a_package_with_another_content_hides_no_shipped_case(own: Path) -> None:
    """Its functions are found all the same, and a module that only the shipped package has is the shipped one."""
    (own / "__init__.py").write_text(DECLARED.partition("CASES")[0], encoding="utf-8")
    assert not is_shipped("cases:softmax")
    assert is_shipped("cases.binary")
    assert is_shipped("cases")
    assert len(load("cases.binary")) > 2
    assert [case.name for case in load("cases:softmax", contract="softmax")] == ["cases.softmax"]
    (own / "binary.py").touch()
    assert not is_shipped("cases.binary:sigmoid")


def test_a_module_is_preferred_to_the_shipped_package(workplace: Path) -> None:
    """A file may have this name too."""
    (workplace / "cases.py").write_text(DECLARED, encoding="utf-8")
    assert find_own_cases() == workplace / "cases.py"
    assert explain_origin("cases:softmax") == "./cases.py"


def test_a_package_on_the_path_is_preferred_to_the_shipped_one(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be installed, or in a folder such as `src`."""
    monkeypatch.chdir(tmp_path.parent)
    monkeypatch.syspath_prepend(own.parent)
    assert find_own_cases() == own
    assert [case.name for case in load("cases")] == ["cases.softmax"]


def test_a_folder_without_one_means_the_shipped_cases(workplace: Path) -> None:
    """The folder may contain files with this name."""
    (workplace / "cases").mkdir()
    assert find_own_cases() is None
    assert is_shipped("cases.binary")
    assert len(load()) > 20


def test_a_checkout_of_this_project_means_what_is_installed(own: Path) -> None:
    """The project's name decides, whatever was edited: the jobs of tox test the wheel."""
    project = own.parent / "pyproject.toml"
    project.write_text('[project]\nname = "stability-harness"\n', encoding="utf-8")
    assert find_own_cases() is None
    project.write_text('[project]\nname = "homework"\n', encoding="utf-8")
    assert find_own_cases() == own
    project.write_text("no TOML", encoding="utf-8")
    assert find_own_cases() == own


def test_the_shipped_package_is_not_the_users_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory may be that of the installed packages."""
    assert cases.__file__ is not None
    monkeypatch.chdir(Path(cases.__file__).parents[1])
    assert find_own_cases() is None


def test_every_target_is_taken_from_somewhere(own: Path) -> None:
    """It is located without an import."""
    assert explain_origin("cases.family") == "./cases"
    assert explain_origin("homework.py:softmax") is None
    assert str(explain_origin("torch.nn.functional:softmax")).endswith("/torch")
    assert str(explain_origin("json:loads")).endswith("/json")
    assert explain_origin("sys:intern") is None
    assert explain_origin("no_such_package") is None


@pytest.mark.usefixtures("one_worker", "own")
def test_the_line_says_what_was_checked_and_from_where(harness_command: Command) -> None:
    """The package is foreign and runs in a separate process."""
    done = harness_command("check", "--law", "value", "--dtypes", "float64", code=0)
    assert "checked: cases (./cases), 1 case, 1 verdict" in done.stdout
