"""Rules of the architecture that no other tool checks."""

import ast
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from lowest_versions import constraints
from samples.architecture_picture import PICTURE, drawn, groups

import harness
import harness.contracts
from harness.laws.contract import Contract

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


WITHOUT = {
    "harness, harness.case, harness.cli": ("torch", "pandas"),
    "harness.data.fashion_mnist, harness.data.idx": ("torch", "torchvision"),
    "harness.dtype, harness.gate.numerics": ("torch",),
    "harness.record.bench": ("torch", "pandas", "numpy"),
}
"""Modules, and what importing them does not import, because it takes seconds: most commands need only a part."""


@pytest.mark.parametrize("modules", WITHOUT)
def test_importing_a_module_imports_only_what_it_needs(modules: str) -> None:
    """Each declaration of a case imports the package, and the gate compares a run without importing its cases."""
    code = f"import sys, {modules}; sys.exit(bool(set({WITHOUT[modules]}) & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False, timeout=60).returncode == 0


def test_the_help_of_a_command_imports_no_torch() -> None:
    """It is therefore fast."""
    code = "import sys; from harness.cli import main; sys.argv[1:] = ['tune', '--help']; main()"
    last = "import atexit; atexit.register(lambda: sys.stderr.write(str('torch' in sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{last}; {code}"], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr == "False"


@pytest.mark.parametrize("name", ["harness", "cases", "harness.reports"])
def test_every_package_ships_the_marker_of_its_types(name: str) -> None:
    """The wheel has it too, if the tests run on a wheel."""
    package = import_module(name)
    assert package.__file__ is not None
    assert (Path(package.__file__).parent / "py.typed").is_file()


def test_every_package_has_its_place_in_the_layers() -> None:
    """A new package must be assigned to a layer."""
    rules = PROJECT["tool"]["importlinter"]["contracts"]
    (layers,) = [rule["layers"] for rule in rules if rule["type"] == "layers"]
    placed = {room.strip() for layer in layers for room in layer.split("|")}
    rooms = {f"harness.{module.name}" for module in pkgutil.iter_modules([str(ROOT / "harness")])}
    assert placed == rooms | {"cases", "reports"}


def test_the_picture_of_the_architecture_is_current() -> None:
    """Its page shows every package of the layers; ``python -m samples.architecture_picture`` draws it again."""
    assert sum(len(group.packages) for group in groups()) >= 30
    assert PICTURE.read_text(encoding="utf-8") == drawn()


def test_the_listing_of_the_harness_is_one_screen() -> None:
    """A newcomer sees the architecture in it: a package for each question, and the building blocks."""
    fixed = {"__pycache__", "__init__.py", "__main__.py", "py.typed"}
    listing = {path.name for path in (ROOT / "harness").iterdir()} - fixed
    assert len(listing) <= 37


@pytest.mark.parametrize(
    "module",
    [module for module in pkgutil.iter_modules(harness.contracts.__path__) if not module.ispkg],
    ids=lambda module: module.name,
)
def test_every_module_of_contracts_defines_one(module: pkgutil.ModuleInfo) -> None:
    """The module has a docstring, and its laws have sources."""
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


PUBLIC = {"_asdict", "_fields", "_make", "_replace", "_exit", "_getframe"}
"""Names with an underscore that the standard library documents: of named tuples, ``os`` and ``sys``."""

PRIVATE_MODULES = re.compile(r"(?:^|\.)(?:_(?!_)\w*|internal|popen_\w+)(?:\.|$)")


def private_names(text: str, own: set[str]) -> Iterator[str]:
    """Yield the private names of other projects that a module imports, or reads of an object."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if PRIVATE_MODULES.search(alias.name))
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith("harness") and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if PRIVATE_MODULES.search(name) and node.module != "__future__")
        elif isinstance(node, ast.Attribute) and is_private(node.attr) and node.attr not in own | PUBLIC:
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in PRIVATE_OF_TORCH:
            yield node.value


PRIVATE_OF_TORCH = {"torch._dynamo", "torch._C", "torch._inductor"}


def is_private(name: str) -> bool:
    """Whether a name begins with an underscore, and is none of Python's own."""
    return name.startswith("_") and not name.endswith("__")


def own_names(text: str) -> Iterator[str]:
    """Yield the private names that a module defines, in whatever scope."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg


def test_private_names_of_dependencies_are_in_one_package() -> None:
    """A new release of a dependency is looked through there, and each name has the public way that is missing."""
    texts = {
        str(file.relative_to(ROOT)): file.read_text(encoding="utf-8")
        for folder in ("harness", "cases", "reports")
        for file in (ROOT / folder).rglob("*.py")
    }
    own = {name for text in texts.values() for name in own_names(text)}
    uses = {file: sorted(set(private_names(text, own))) for file, text in texts.items()}
    assert {file: names for file, names in uses.items() if names and not file.startswith("harness/compat/")} == {}
    assert len([name for file, names in uses.items() if file.startswith("harness/compat/") for name in names]) > 20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from torch.utils._pytree import tree_map", "torch.utils._pytree.tree_map"),
        ("from torch.autograd.graph import _engine_run_backward", "torch.autograd.graph._engine_run_backward"),
        ("import hypothesis.internal.conjecture", "hypothesis.internal.conjecture"),
        ("from multiprocessing import popen_spawn_posix", "multiprocessing.popen_spawn_posix"),
        ("key = storage._cdata", "_cdata"),
        ("sys.modules.get('torch._dynamo')", "torch._dynamo"),
    ],
)
def test_a_private_name_of_a_dependency_is_found(text: str, name: str) -> None:
    """It is found as a module, as a name of one, as an attribute, and as a text."""
    assert list(private_names(text, {"_own"})) == [name]
    assert (
        list(private_names("from harness.record import _part\nself._own = entry._replace(kind=os._exit)", {"_own"}))
        == []
    )


def test_contracts_share_only_building_blocks() -> None:
    """No contract imports another, but the masked softmax is the softmax of filled logits and has its bounds."""
    (folder,) = map(Path, harness.contracts.__path__)
    imports = {
        (file.stem, other)
        for file in folder.rglob("*.py")
        for other in re.findall(r"^from harness\.contracts\.(?!building_blocks)(\w+)", file.read_text("utf-8"), re.M)
    }
    assert imports == {("masked_softmax", "softmax")}


def test_modules_are_short() -> None:
    """At least 95 % have fewer than 400 lines, and none has more than 600."""
    folders = ("harness", "cases", "reports", "tests")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*.py")]
    lines = {str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines()) for file in files}
    assert [name for name, count in lines.items() if count > 600] == []
    assert sum(count >= 400 for count in lines.values()) <= 0.05 * len(lines)


def test_specimens_do_not_import_the_harness() -> None:
    """Only the declaration of a family does."""
    for file in (ROOT / "cases").glob("*/*.py"):
        if file.name != "__init__.py":
            assert not re.search(
                r"^\s*(from|import) (harness|reports|cases)", file.read_text(encoding="utf-8"), re.M
            ), file


def test_every_environment_the_documents_name_is_in_tox_ini() -> None:
    """README and CONTRIBUTING name no missing environment."""
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    for document in ("README.md", "CONTRIBUTING.md"):
        for name in re.findall(r"tox run -e (\w+)", (ROOT / document).read_text(encoding="utf-8")):
            assert re.search(rf"\[testenv:{name}(-py\{{.*\}})?\]", tox)


def test_every_file_that_contributing_names_exists() -> None:
    """Its table says where to make a change, so it has to name files that exist."""
    named = re.findall(
        r"`((?:harness|reports|tests|docs)/[\w/.*]+)`", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    )
    assert len(named) > 25
    assert [name for name in named if not list(ROOT.glob(name))] == []


def test_the_hooks_run_tools_of_the_job_lint() -> None:
    """A commit is checked by the same tools as in CI, and a push by the job itself."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    tools = {line.split()[0] for line in tox["testenv:lint"]["commands"].split("\n") if line}
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    *before_commit, before_push = [hook["entry"] for hook in local["hooks"]]
    assert {entry.split()[0] for entry in before_commit} <= tools
    assert before_push == "tox run -e lint"


def test_the_newest_and_the_oldest_releases_run_every_week_and_before_a_release() -> None:
    """Nothing of the project changes when a dependency does, so that no commit starts these jobs."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert {"schedule", "workflow_dispatch"} <= workflow[True].keys()  # YAML reads the key `on` as a truth value
    jobs = {entry["job"] for entry in workflow["jobs"]["releases"]["strategy"]["matrix"]["include"]}
    checklist = (ROOT / "RELEASING.md").read_text(encoding="utf-8")
    assert jobs == set(re.findall(r"tox run -e (\w+)`", checklist.partition("2. **")[0])) == {"newest", "oldest"}


def test_the_lowest_versions_are_those_of_the_project() -> None:
    """Each package of the core has a lower bound, which the job `oldest` installs."""
    lowest = dict(constraint.split("==") for constraint in constraints())
    core = [re.split("[<>=]", requirement)[0] for requirement in PROJECT["project"]["dependencies"]]
    assert [name for name in core if name not in lowest] == []
    assert f"torch>={lowest['torch']}" in PROJECT["project"]["dependencies"]


@pytest.mark.parametrize("job", ["gate", "mutants", "laws", "types", "judged"])
def test_ci_runs_the_commands_of_a_job_in_a_shared_environment(job: str) -> None:
    """The commands, their order, and the selection of test modules are the same."""
    tox = ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    lines = tox[f"testenv:{job}"]["commands"].split("\n")
    commands = [line.removesuffix(" {posargs}") for line in lines if line and "source_mutants" not in line]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    run = re.findall(r"^ *(?:folder='(\S+)' )?within \w+ (.*)$", script, re.M)
    for command in commands:
        (path,) = [folder for folder, line in run if line.startswith(command)]
        assert f"PYTHONPATH = {path}" == next(
            (line for line in tox[f"testenv:{job}"].get("set_env", "").split("\n") if "PYTHONPATH" in line),
            "PYTHONPATH = ",
        )


def test_the_workflow_runs_what_the_project_s_own_machine_runs_in_part() -> None:
    """A third of the judged sets, and no mutants of the source, are for a machine that does all jobs."""
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    assert {"judged", "mutants"} <= {*workflow["jobs"]["tox"]["strategy"]["matrix"]["job"]}


def test_the_page_has_the_same_limit_wherever_it_is_made() -> None:
    """A page that is too large fails CI on this project's machine and in the workflow."""
    limit = 'test "$(wc -c < .harness/runs/report/report/report.html)" -le 2000000'
    for file in (".ci/run", ".github/workflows/ci.yml"):
        assert (ROOT / file).read_text(encoding="utf-8").count(limit) == 1


def test_the_counts_in_the_readme_are_those_of_the_code() -> None:
    """The README states the numbers of contracts and laws."""
    known = harness.contracts.contracts()
    laws = sum(len(contract.laws) for contract in known.values())
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(known) == 33
    assert f"{len(known)} contracts with {laws} laws" in " ".join(text.split())


def test_the_changelog_has_the_form_of_keep_a_changelog() -> None:
    """Unreleased changes come first, then the version of the package, and it stays short."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    first, *released = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.M)
    assert first == "Unreleased"
    assert PROJECT["tool"]["hatch"]["version"]["fallback-version"] in released
    assert {*re.findall(r"^### (.+)$", text, re.M)} <= {
        *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"),
    }
    assert all(len(line) <= 120 for line in text.splitlines())
