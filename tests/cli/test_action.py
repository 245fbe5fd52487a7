"""The composite action: its steps pass for a good commit, and fail with annotations for a bad one."""

import subprocess
from pathlib import Path

import pytest
import yaml
from samples.composite_action import run_action

ROOT = Path(__file__).parents[2]
SETTINGS = """
[tool.harness]
targets = ["kern.ops:softmax"]
dtypes = ["float32"]
law = ["value"]
examples = 5
pythonpath = ["src"]
"""
GOOD = """def softmax(x):
    e = (x - x.amax(-1, keepdim=True)).exp().double()
    return (e / e.sum(-1, keepdim=True)).to(x.dtype)
"""
BAD = """def softmax(x):
    e = x.exp()
    return e / e.sum(-1, keepdim=True)
"""


def git(repository: Path, *words: str) -> None:
    """Run git as somebody."""
    person = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    subprocess.run(["git", *person, *words], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a src layout, whose branch is at the commit of `origin/main`."""
    root = tmp_path / "repository"
    (root / "src" / "kern").mkdir(parents=True)
    (root / "src" / "kern" / "__init__.py").write_text("", encoding="utf-8")
    (root / "src" / "kern" / "ops.py").write_text(GOOD, encoding="utf-8")
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "Compute softmax")
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    return root


def change(repository: Path, text: str) -> None:
    """Commit another implementation."""
    (repository / "src" / "kern" / "ops.py").write_text(text, encoding="utf-8")
    git(repository, "commit", "--quiet", "--all", "--message", "Change softmax")


def test_a_good_commit_passes(repository: Path, tmp_path: Path) -> None:
    """The summary has the verdict and the comparison with the base branch."""
    change(repository, f"{GOOD}\n# Stable.\n")
    job = run_action(repository, tmp_path, base_ref="main", install="false")
    assert job.passed, job.log
    assert "gate: pass (numerics: 1 unchanged" in job.log
    assert "verdict: no defect in 1 law" in job.summary
    assert "gate: pass" in job.summary
    assert Path(job.outputs["junit"]).is_file()
    assert "::error" not in job.log


def test_a_bad_commit_fails_with_annotations(repository: Path, tmp_path: Path) -> None:
    """Both steps fail: the law is broken, and it held on the base branch."""
    change(repository, BAD)
    job = run_action(repository, tmp_path, base_ref="main", install="false")
    assert job.codes == {"Check the laws": 1, "Compare with the base branch": 1}, job.log
    assert "::error file=src/kern/ops.py,line=2," in job.log
    assert "::error title=harness gate::gate: fail" in job.log
    assert "kern.ops.softmax value [float32]: holds in the baseline, broken now" in job.log


def test_a_project_without_settings_has_no_answer(repository: Path, tmp_path: Path) -> None:
    """The first step fails with a sentence, and the second compares nothing."""
    (repository / "pyproject.toml").unlink()
    job = run_action(repository, tmp_path, base_ref="main", install="false")
    assert job.codes == {"Check the laws": 2, "Compare with the base branch": 0}
    assert "harness init" in job.log


def test_the_templates_are_yaml_with_commands_that_exist() -> None:
    """The hook and the job of GitLab run `harness check`."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert hook["entry"] == "harness check"
    _, template = yaml.safe_load_all((ROOT / "templates" / "check.yml").read_text(encoding="utf-8"))
    assert any("harness check" in line for line in template["numerical-laws"]["script"])
