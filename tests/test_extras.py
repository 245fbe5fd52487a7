"""The core works without any optional package, and each feature names the extra that it needs."""

import subprocess
import tomllib
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.error import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

Without = Callable[..., subprocess.CompletedProcess[str]]

CHECK = "from harness.cli import main; main()"
"""The command, in a process whose words follow."""

SESSION = """
import os, pytest
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
raise SystemExit(pytest.main(sys.argv[1:]))
"""
"""A session of pytest with our plugin only."""

MODULE = """
import torch

class Numbers:
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.ones(2), index

def log_softmax(x):
    return x.log_softmax(-1)
"""


def names(requirements: list[str]) -> set[str]:
    """Return the names of packages from their requirements."""
    return {requirement.partition(">")[0] for requirement in requirements}


@pytest.fixture
def without(python: str) -> Without:
    """Return a function that runs code in a process in which the packages of some extras cannot be imported."""

    def without(extras: list[str], code: str, *words: str) -> subprocess.CompletedProcess[str]:
        blocked = {module for extra in extras for module in EXTRAS[extra].values()}
        block = f"import sys; sys.modules.update(dict.fromkeys({sorted(blocked)!r}))\n"
        return subprocess.run([python, "-c", block + code, *words], capture_output=True, text=True, check=False)

    return without


def test_the_table_of_extras_is_that_of_the_project() -> None:
    """A package is added to both."""
    declared = {
        extra: names(packages) for extra, packages in PROJECT["optional-dependencies"].items() if extra != "all"
    }
    assert {extra: {*packages} for extra, packages in EXTRAS.items()} == declared


def test_the_extra_of_everything_omits_only_the_peers() -> None:
    """They are heavy, and only a comparison of loaders measures them."""
    (everything,) = PROJECT["optional-dependencies"]["all"]
    assert everything == f"stability-harness[{','.join(sorted({*EXTRAS} - {'peers'}))}]"


def test_each_package_provides_its_module() -> None:
    """The names differ for some packages, such as pillow."""
    provided = packages_distributions()
    for packages in EXTRAS.values():
        for package, module in packages.items():
            if find_spec(module) is not None:
                assert any(name.lower().replace("_", "-").startswith(package) for name in provided[module])


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a module with a function and a data set, in the working directory."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "own.py"
    file.write_text(MODULE, encoding="utf-8")
    return file


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["check", "own.py:log_softmax", "--law", "value", "--dtypes", "float32", "--run", "it", "--markdown", "it.md"],
        ["check", "own.py:log_softmax", "--formula", "x - log(sum(exp(x)))", "--law", "value", "--dtypes", "float32"],
        ["explain", "rows_sum_to_one"],
        ["list"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_the_core_needs_no_extra(without: Without, words: list[str]) -> None:
    """Functions, formulas, documents, runs and the glossary work without optional packages."""
    done = without([*EXTRAS], CHECK, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("module")
def test_the_list_says_why_it_has_no_cases(without: Without) -> None:
    """The rest of the overview is there."""
    lines = without([*EXTRAS], CHECK, "list").stdout.splitlines()
    assert lines[0].startswith("cases: the package of shipped cases needs ")
    assert lines[0].endswith("install `stability-harness[cases]`")
    assert any(line.startswith("  contracts") for line in lines)
    assert not any(line.startswith("  cases") for line in lines)


@pytest.mark.usefixtures("module")
def test_the_plugin_needs_no_extra(without: Without, tmp_path: Path) -> None:
    """One law becomes one passed test."""
    test = """
import harness
from own import log_softmax

@harness.parametrize_laws("log_softmax", laws=["value"], dtypes=["float32"])
def test_it(check):
    check(log_softmax)
"""
    (tmp_path / "test_own.py").write_text(test, encoding="utf-8")
    words = ["-q", "-p", "harness.plugin", "-p", "no:cacheprovider", "--import-mode=prepend", "test_own.py"]
    done = without([*EXTRAS], SESSION, *words)
    assert done.returncode == 0, done.stdout
    assert "1 holds" in done.stdout


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("extra", "words", "sentence"),
    [
        ("report", ["report", "it"], "the report needs cloudpickle, jinja2, matplotlib, pandas, pillow and pyarrow"),
        ("bench", ["bench", "operations"], "`harness bench` needs jaxtyping, pytest-benchmark and torchvision"),
        ("cases", ["check", "cases"], "the package of shipped cases needs jaxtyping and torchvision"),
        (
            "loaders",
            ["bench", "loaders", "--data-sets", "parquet"],
            "`harness bench --data-sets` needs jaxtyping, pillow, pyarrow, pytest-benchmark and torchvision",
        ),
        (
            "dask",
            ["check", "own.py:log_softmax", "--executor", "dask://localhost:1"],
            "the executor `dask://localhost:1` needs distributed",
        ),
    ],
)
def test_a_missing_extra_is_named_in_one_sentence(
    without: Without, extra: str, words: list[str], sentence: str
) -> None:
    """The exit code is 2, and nothing else is printed."""
    done = without([extra], CHECK, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"harness: {sentence}; install `stability-harness[{extra}]`\n"


def closure(extra: str) -> set[str]:
    """Return the packages that an installation of the core and one extra has."""
    known: set[str] = set()
    remaining = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    while remaining:
        requirement = Requirement(remaining.pop())
        name = canonicalize_name(requirement.name)
        if name in known or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        known.add(name)
        with suppress(PackageNotFoundError):
            remaining += requires(name) or []
    return known


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("extra", "commands"),
    [
        ("report", ["check own.py:log_softmax --law value --dtypes float32 --run it", "report it"]),
        ("cases", ["check cases.log_domain --law value --dtypes float32"]),
        ("bench", ["bench vectorization --seconds 0.01 --run it"]),
        ("loaders", ["bench loaders --data-sets parquet --batch-sizes 8 --workers 0 --seconds 0.01 --run it"]),
    ],
)
def test_each_extra_alone_runs_what_it_promises(python: str, extra: str, commands: list[str]) -> None:
    """It needs no package of the other extras, except for those that its own packages need."""
    installed = closure(extra)
    others = {module: package for packages in EXTRAS.values() for package, module in packages.items()}
    hidden = sorted(module for module, package in others.items() if package not in installed)
    block = f"import sys; sys.modules.update(dict.fromkeys({hidden!r}))\n"
    for command in commands:
        words = [python, "-c", block + CHECK, *command.split()]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_the_package_of_the_report_names_its_extra(without: Without) -> None:
    """A script imports it without the command."""
    done = without(["report"], "from harness import reports")
    assert done.stderr.splitlines()[-1].endswith("; install `stability-harness[report]`")


def test_a_notebook_shows_the_sentence_in_place_of_a_drawing(without: Without) -> None:
    """The rest of the card stays."""
    code = "from harness.surveyor.discovery import Discoveries; print(Discoveries()._repr_html_())"
    done = without(["report"], code)
    assert done.returncode == 0, done.stderr
    assert "the drawing needs cloudpickle, jinja2, matplotlib, pandas, pillow and pyarrow" in done.stdout
    assert "No breaking point" in done.stdout


def test_a_missing_peer_is_skipped_with_its_extra() -> None:
    """Peers are measured only if they are installed."""
    from harness.bench.suites.peers import PEERS

    assert {peer.package for peer in PEERS.values()} <= {*EXTRAS["peers"]}
    absent = [peer.absence for peer in PEERS.values() if find_spec(peer.module) is None]
    assert all(reason is not None and reason.endswith("install the extra `peers`") for reason in absent)


def test_python_does_not_need_pytest_for_a_check(without: Without) -> None:
    """Only the plugin imports it."""
    code = "import harness.api; raise SystemExit('pytest' in sys.modules)"
    assert without([], code).returncode == 0
