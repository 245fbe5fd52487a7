"""The rules of the architecture that no other tool checks."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

import harness
import harness.contracts
from harness.laws.law import Contract

SHARED = {"binary_logits", "entropy_bound", "labelled_logits", "logistic_function", "logits", "masked_rays", "moments"}
"""Modules beside the contracts that hold what several of them share."""

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_importing_the_package_imports_no_torch() -> None:
    """Torch costs seconds, and the package is imported by whatever declares a case."""
    code = "import harness, harness.case, harness.record, harness.cli, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["harness", "cases", "reports"])
def test_every_package_ships_the_marker_of_its_types(name: str) -> None:
    """In the wheel too, where this runs against one."""
    package = import_module(name)
    assert package.__file__ is not None
    assert (Path(package.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize(("name", "allowed"), [("reports", {"record", "error"}), ("cases", {"case"})])
def test_the_rules_of_imports_know_every_module_of_the_instrument(name: str, allowed: set[str]) -> None:
    """A new module is forbidden to specimens and reports until somebody allows it."""
    modules = {module.name for module in pkgutil.iter_modules([str(ROOT / "harness")])}
    (rule,) = [rule for rule in PROJECT["tool"]["importlinter"]["contracts"] if rule["source_modules"] == [name]]
    forbidden = {path.removeprefix("harness.") for path in rule["forbidden_modules"] if path.startswith("harness.")}
    assert forbidden == modules - allowed


@pytest.mark.parametrize(
    "module",
    [found for found in pkgutil.iter_modules(harness.contracts.__path__) if found.name not in SHARED],
    ids=lambda module: module.name,
)
def test_every_module_of_contracts_defines_one(module: pkgutil.ModuleInfo) -> None:
    """With a docstring that says what it is about, and laws that say where they come from."""
    loaded = import_module(f"harness.contracts.{module.name}")
    defined = [value for value in vars(loaded).values() if isinstance(value, Contract)]
    assert defined
    assert loaded.__doc__
    for contract in defined:
        assert contract.laws
        for law in contract.laws:
            assert law.statement.endswith(".")
            assert law.source
            assert law.bound
            assert law.cause


@pytest.mark.parametrize("folder", ["harness", "cases", "reports"])
def test_no_module_is_longer_than_four_hundred_lines(folder: str) -> None:
    """An idea that needs more is two ideas."""
    long = [
        str(file.relative_to(ROOT))
        for file in (ROOT / folder).rglob("*.py")
        if len(file.read_text(encoding="utf-8").splitlines()) > 400
    ]
    assert long == []


def test_specimens_import_nothing_of_ours() -> None:
    """Only a family's declaration does."""
    for file in (ROOT / "cases").glob("*/*.py"):
        if file.name != "__init__.py":
            assert not re.search(
                r"^\s*(from|import) (harness|reports|cases)", file.read_text(encoding="utf-8"), re.M
            ), file


def test_every_environment_the_documents_name_is_in_tox_ini() -> None:
    """README and CONTRIBUTING promise nothing that is not there."""
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for document in ("README.md", "CONTRIBUTING.md"):
        for name in re.findall(r"tox run -e (\w+)", (ROOT / document).read_text(encoding="utf-8")):
            assert f"[testenv:{name}]" in tox


def test_the_counts_in_the_changelog_are_those_of_the_code() -> None:
    """Contracts and laws."""
    known = harness.contracts.contracts()
    laws = sum(len(contract.laws) for contract in known.values())
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert len(known) == 31
    assert f"Thirty-one contracts with {laws} laws" in text
