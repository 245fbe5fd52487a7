"""``harness init`` on three layouts: its findings and its files; it imports and overwrites nothing."""

import ast
import io
import json
import shlex
import subprocess
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from samples.command import Command

from harness.adoption.generated_files import Source, find_this_version
from harness.adoption.project import Layout, find_functions, find_layout
from harness.adoption.settings import find_project, importable

STABLE = """
raise SystemExit("imported")

def softmax(x):
    e = (x - x.amax(-1, keepdim=True)).exp().double()
    return (e / e.sum(-1, keepdim=True)).to(x.dtype)
"""
KERNELS = f"""
import torch
{STABLE}

def layer_norm(x, normalized_shape):
    return torch.nn.functional.layer_norm(x, normalized_shape)

class FusedSoftmax(torch.nn.Module):
    def forward(self, x):
        return x.softmax(-1)

def mean(values: list[float]):
    return sum(values) / len(values)

def cross_entropy(model, data, loader, device):
    return 0

def _softmax(x):
    return x

def quick_gelu(x):
    return x
"""
CELLS = (
    ["import torch\n", "%matplotlib inline\n", "data = torch.load('missing')\n", "EPS = 1e-8"],
    ["def logsumexp(x):\n", "    return torch.logsumexp(x, -1)"],
    ["!pip list"],
)


def write_src(root: Path) -> None:
    """Write a package in a src layout."""
    (root / "src" / "kern").mkdir(parents=True)
    (root / "src" / "kern" / "__init__.py").write_text("", encoding="utf-8")
    (root / "src" / "kern" / "ops.py").write_text(KERNELS, encoding="utf-8")
    (root / "pyproject.toml").write_text('[build-system]\nrequires = []\n\n[project]\nname = "kern"', encoding="utf-8")


def write_flat(root: Path) -> None:
    """Write modules without a package."""
    (root / "homework.py").write_text(KERNELS, encoding="utf-8")
    (root / "test_old.py").write_text("def softmax(x): ...", encoding="utf-8")


def write_notebook(root: Path) -> None:
    """Write a notebook."""
    cells = [{"cell_type": "code", "source": list(lines)} for lines in CELLS]
    (root / "analysis.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")


LAYOUTS = {
    Layout.SRC: (write_src, ["kern.ops:softmax", "kern.ops:layer_norm", "kern.ops:FusedSoftmax"]),
    Layout.FLAT: (write_flat, ["homework.py:softmax", "homework.py:layer_norm", "homework.py:FusedSoftmax"]),
    Layout.NOTEBOOKS: (write_notebook, ["analysis.ipynb:logsumexp"]),
}


def contents(root: Path) -> dict[str, bytes]:
    """Return the content of every file."""
    return {str(file.relative_to(root)): file.read_bytes() for file in root.rglob("*") if file.is_file()}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_second_run_changes_nothing(layout: Layout, workplace: Path, harness_command: Command) -> None:
    """The files of the user stay, the written ones are valid, and the settings name the functions found."""
    make, targets = LAYOUTS[layout]
    make(workplace)
    (workplace / ".git").mkdir()
    (workplace / ".gitignore").write_text("build/", encoding="utf-8")
    before = contents(workplace)
    assert find_layout(workplace) is layout
    assert harness_command("init", "--dry-run").returncode == 0
    assert contents(workplace) == before
    harness_command("init", code=0)
    after = contents(workplace)
    assert all(after[name].startswith(text) for name, text in before.items())
    project = find_project(workplace)
    assert project is not None
    assert [one.target for one in project.targets] == targets
    workflow = yaml.safe_load(after[".github/workflows/numerics.yml"])
    assert "harness check" in json.dumps(workflow["jobs"])
    assert after[".gitignore"] == b"build/\n.harness/\n"
    assert ("tests/test_laws.py" in after) == (layout is not Layout.NOTEBOOKS)
    again = harness_command("init", code=0)
    assert "nothing changed" in again.stdout
    assert contents(workplace) == after


def test_the_written_tests_name_contract_and_adapter(workplace: Path, harness_command: Command) -> None:
    """A module outside a package is imported from the folder of the project."""
    write_flat(workplace)
    assert harness_command("init", "--no-workflow", "--function", "homework.py:layer_norm").returncode == 0
    text = (workplace / "tests" / "test_laws.py").read_text(encoding="utf-8")
    assert '@harness.parametrize_laws("layer_norm", dtypes=DTYPES, call="lambda f, x: f(x, x.shape[-1:])")' in text
    assert "from homework import layer_norm  # noqa: E402" in text
    assert "softmax" not in text
    ast.parse(text)
    table = tomllib.loads((workplace / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["harness"]
    call = "lambda f, x: f(x, x.shape[-1:])"
    assert table["targets"] == [{"target": "homework.py:layer_norm", "contract": "layer_norm", "call": call}]
    assert not (workplace / ".github").exists()


def test_a_package_of_cases_is_inside_the_package(workplace: Path, harness_command: Command) -> None:
    """It declares the dtypes, and the settings name it alone."""
    write_src(workplace)
    assert harness_command("init", "--cases").returncode == 0
    text = (workplace / "src" / "kern" / "laws" / "__init__.py").read_text(encoding="utf-8")
    assert "from kern.ops import FusedSoftmax, layer_norm, softmax\n" in text
    assert '    Case(softmax, "softmax", dtypes=DTYPES),\n' in text
    table = tomllib.loads((workplace / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["harness"]
    assert table == {"targets": ["kern.laws"], "pythonpath": ["src"]}
    assert not (workplace / "tests").exists()


def test_files_of_the_user_are_kept(workplace: Path, harness_command: Command) -> None:
    """The command says why, and still writes the others."""
    write_flat(workplace)
    (workplace / "tests").mkdir()
    (workplace / "tests" / "test_laws.py").write_text("mine", encoding="utf-8")
    (workplace / "pyproject.toml").write_text("[tool.harness.gate]\nmargin = 0.1\n", encoding="utf-8")
    done = harness_command("init")
    assert "kept tests/test_laws.py (exists already)" in done.stdout
    assert (workplace / "tests" / "test_laws.py").read_text(encoding="utf-8") == "mine"
    project = find_project(workplace)
    assert project is not None
    assert project.settings.gate == {"margin": 0.1}
    assert len(project.targets) == 3


@pytest.mark.usefixtures("one_worker")
def test_a_baseline_is_that_of_a_first_check(workplace: Path, harness_command: Command) -> None:
    """Settings of the user apply. A second run keeps the baseline."""
    (workplace / "homework.py").write_text("def relu(x):\n    return x.relu()\n", encoding="utf-8")
    table = '[tool.harness]\ntargets = ["homework.py:relu"]\nlaw = ["value"]\nexamples = 2\n'
    (workplace / "pyproject.toml").write_text(table, encoding="utf-8")
    done = harness_command("init", "--yes", "--baseline", code=0)
    assert "$ harness check --run init --fresh\n" in done.stdout
    assert "baseline: baseline.jsonl\n" in done.stdout
    before = contents(workplace)
    assert "kept baseline.jsonl (exists already)" in harness_command("init", "--yes", "--baseline").stdout
    assert contents(workplace) == before


def test_a_terminal_is_asked(workplace: Path, harness_command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answers are: a package of cases, no workflow, no baseline."""
    write_flat(workplace)
    terminal = io.StringIO("y\nn\nn\n")
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    assert harness_command("init").returncode == 0
    assert (workplace / "laws" / "__init__.py").is_file()
    assert not (workplace / ".github").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("missing", "cannot read `missing`: no such folder"),
        ("--function homework.py:sofmax", "did you mean `homework.py:softmax`"),
    ],
)
def test_mistakes_are_one_sentence(words: str, message: str, workplace: Path, harness_command: Command) -> None:
    """Nothing is written."""
    write_flat(workplace)
    assert message in harness_command(f"init {words}").refusal
    assert not (workplace / "pyproject.toml").exists()


def test_a_project_without_known_functions_is_told_how_to_go_on(workplace: Path, harness_command: Command) -> None:
    """The message names the command for a single function."""
    assert "--contract NAME" in harness_command("init").refusal


def test_functions_on_other_arrays_get_an_adapter(workplace: Path) -> None:
    """The imports of the file decide; torch comes first."""
    text = "import numpy as np\n\ndef sigmoid(x):\n    return 1 / (1 + np.exp(-x))\n"
    (workplace / "arrays.py").write_text(text, encoding="utf-8")
    (workplace / "both.py").write_text(f"import torch\n{text}", encoding="utf-8")
    assert [(one.target, one.call) for one in find_functions(workplace)[0]] == [
        ("arrays.py:sigmoid", "numpy"),
        ("both.py:sigmoid", ""),
    ]


def test_a_notebook_gives_its_definitions_only(workplace: Path) -> None:
    """Statements that call something are not run, and the file follows the notebook."""
    write_notebook(workplace)
    place = importable("analysis.ipynb:logsumexp")
    assert place == ".harness/notebooks/analysis.py:logsumexp"
    text = Path(place.partition(":")[0]).read_text(encoding="utf-8")
    assert "import torch\n\nEPS = 1e-8\n\n# cell 2\ndef logsumexp(x):" in text
    assert "missing" not in text
    assert "matplotlib" not in text
    assert importable("homework.py:softmax") == "homework.py:softmax"


@pytest.mark.parametrize(
    ("version", "origin", "requirement"),
    [
        ("1.2.0", None, "stability-harness==1.2.0"),
        ("1.2.1.dev3+g1a2b3c4", None, "stability-harness"),
        ("1.2.1.dev3+g1a2b3c4", {"url": "file:///home/me/clone", "dir_info": {}}, "stability-harness"),
        ("1.2.1", {"url": "file:///tmp/h-1.2.1-py3-none-any.whl", "archive_info": {}}, "stability-harness"),
        ("1.2.1", {"url": "file:///me/h.git", "vcs_info": {"vcs": "git", "commit_id": "1a2b3c4"}}, "stability-harness"),
        (
            "1.2.1.dev3+g1a2b3c4",
            {"url": "https://example.org/h.git", "vcs_info": {"vcs": "git", "commit_id": "1a2b3c4"}},
            "stability-harness @ git+https://example.org/h.git@1a2b3c4",
        ),
        (
            "1.2.1",
            {"url": "https://example.org/h-1.2.1-py3-none-any.whl", "archive_info": {}},
            "stability-harness @ https://example.org/h-1.2.1-py3-none-any.whl",
        ),
    ],
    ids=["release", "between releases", "clone", "wheel", "local repository", "repository", "file"],
)
def test_the_workflow_installs_what_is_installed_here(
    version: str, origin: dict[str, object] | None, requirement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It cannot install a clone or a wheel on this machine, so it takes the newest release instead, and says why."""
    files = {"direct_url.json": json.dumps(origin)} if origin else {}
    installed = SimpleNamespace(version=version, read_text=files.get)
    monkeypatch.setattr("harness.adoption.generated_files.distribution", {"stability-harness": installed}.__getitem__)
    source = find_this_version()
    assert source.requirement == requirement
    assert bool(source.caveat) == (requirement == "stability-harness")
    assert origin is None or not source.caveat or f"from `{origin['url']}`" in source.caveat


@pytest.mark.parametrize("words", ["", "--install stability-harness==1.2.0"], ids=["default", "named"])
def test_a_note_names_the_source_that_the_workflow_installs(
    words: str, workplace: Path, harness_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user may need another one. There is no note if the user has named it, or if no workflow is written."""
    local = Source(
        "stability-harness", "this version was installed from `file:///h.whl`, which only this machine can read"
    )
    monkeypatch.setattr("harness.adoption.generated_files.find_this_version", lambda: local)
    write_flat(workplace)
    note = (
        "note: the workflow installs the newest release of `stability-harness`, because this version was installed from"
    )
    assert (note in harness_command(f"init {words}").stdout) == (not words)
    assert "note:" not in harness_command(f"init {words}").stdout


SOFTMAX = """
import torch

def softmax(x):
    return torch.softmax(x, -1)
"""

ODD_FILES = ["my-losses.py", "class.py", "2d.py", "a\\\"b'.py", "lib/ops.py", "oddly/ops.py", "oddly/with.py"]
"""Files that no import statement can name, except for the one in a package."""


def test_files_whose_names_are_no_identifiers_are_imported_by_path(
    workplace: Path, harness_command: Command, python: str
) -> None:
    """The written tests pass, and so does a check of the project. Equal names get different ones."""
    for name in ODD_FILES:
        (workplace / name).parent.mkdir(exist_ok=True)
        (workplace / name).write_text(SOFTMAX, encoding="utf-8")
    (workplace / "oddly" / "__init__.py").write_text("", encoding="utf-8")
    pair = "def fused_softmax(x):\n    return x.softmax(-1)\n\n\nclass FusedSoftmax(torch.nn.Module):\n"
    pair += "    def forward(self, x):\n        return x.softmax(-1)\n"
    (workplace / "oddly" / "more.py").write_text(f"import torch\n\n\n{pair}", encoding="utf-8")
    harness_command("init", "--install", "stability-harness @ https://example.org/h.whl", code=0)
    text = (workplace / "tests" / "test_laws.py").read_text(encoding="utf-8")
    tests = [node.name for node in ast.parse(text).body if isinstance(node, ast.FunctionDef) and node.name != "load"]
    assert len(set(tests)) == len(tests) == len(ODD_FILES) + 2
    assert 'my_losses_softmax = load(ROOT / "my-losses.py").softmax' in text
    assert "from oddly.ops import softmax as ops_softmax" in text
    project = find_project(workplace)
    assert project is not None
    assert len(project.targets) == len(tests)
    workflow = yaml.safe_load((workplace / ".github" / "workflows" / "numerics.yml").read_text(encoding="utf-8"))
    (install,) = [step["run"] for step in workflow["jobs"]["laws"]["steps"] if step.get("name") == "Install"]
    assert shlex.split(install)[-1] == "stability-harness @ https://example.org/h.whl"
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "rows_sum_to_one and float32", "tests"]
    ran = subprocess.run([python, *words], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert f"{len(tests)} passed" in ran.stdout
    assert harness_command("check", "--law", "rows_sum_to_one", "--no-isolate").returncode == 0


LEFT_OUT = """
import torch

def rms_norm(x, weight, eps):
    return x

def huber_loss(y_hat, y, delta):
    return y

def mean(values: list[float]):
    return 0

def now():
    return 0

def softmax(x):
    return x.softmax(-1)

class LayerNorm(torch.nn.Module):
    def __init__(self, size):
        super().__init__()

    def forward(self, x):
        return x

def _hidden(x):
    return x
"""


def test_functions_that_are_left_out_are_listed_with_the_reason(workplace: Path, harness_command: Command) -> None:
    """Each public function is named; private ones and other classes are not."""
    (workplace / "kernels.py").write_text(LEFT_OUT, encoding="utf-8")
    lines = harness_command("init", "--dry-run", code=0).stdout.splitlines()
    start = lines.index("left out:")
    reasons = dict(line.split(maxsplit=1) for line in lines[start + 1 : start + 6])
    assert [*reasons] == [f"kernels.py:{name}" for name in ("rms_norm", "huber_loss", "mean", "now", "LayerNorm")]
    assert "missing a required argument: 'weight'" in reasons["kernels.py:rms_norm"]
    assert "`huber_loss`" in reasons["kernels.py:huber_loss"]
    assert reasons["kernels.py:mean"].startswith("its parameter `values` is no tensor")
    assert reasons["kernels.py:now"] == "it takes no tensors  (kernels.py:13)"
    assert reasons["kernels.py:LayerNorm"] == "its constructor needs arguments  (kernels.py:19)"


def test_a_requirement_of_several_lines_is_refused(workplace: Path, harness_command: Command) -> None:
    """It would end the line of the workflow."""
    write_flat(workplace)
    assert "must be one line" in harness_command("init", "--install", "a\nb").refusal
