"""The action for GitHub and the job for GitLab: they pass for a good commit, and fail for a bad one."""

from pathlib import Path

import pytest
from junitparser import JUnitXml
from samples.command import Command
from samples.composite_action import run_action
from samples.gitlab_job import run_job
from samples.repository import commit_all, git

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


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a src layout, whose branch is at the commit of `origin/main`."""
    root = tmp_path / "repository"
    (root / "src" / "kern").mkdir(parents=True)
    (root / "src" / "kern" / "__init__.py").write_text("", encoding="utf-8")
    (root / "src" / "kern" / "ops.py").write_text(GOOD, encoding="utf-8")
    (root / "pyproject.toml").write_text(SETTINGS, encoding="utf-8")
    commit_all("Compute softmax", folder=root)
    git("update-ref", "refs/remotes/origin/main", "HEAD", folder=root)
    return root


def change(repository: Path, text: str) -> None:
    """Commit another implementation."""
    (repository / "src" / "kern" / "ops.py").write_text(text, encoding="utf-8")
    git("commit", "-q", "-a", "-m", "Change softmax", folder=repository)


def test_a_good_commit_passes(repository: Path, tmp_path: Path, python: str) -> None:
    """The summary has the verdict and the comparison with the base branch."""
    change(repository, f"{GOOD}\n# Stable.\n")
    job = run_action(repository, tmp_path, python, base_ref="main", install="false")
    assert job.passed, job.log
    assert "gate: pass (numerics: 1 unchanged" in job.log
    assert "verdict: no defect in 1 law" in job.summary
    assert "gate: pass" in job.summary
    assert Path(job.outputs["junit"]).is_file()
    assert "::error" not in job.log


def test_a_bad_commit_fails_with_annotations(repository: Path, tmp_path: Path, python: str) -> None:
    """Both steps fail: the law is broken, and it held on the base branch."""
    change(repository, BAD)
    job = run_action(repository, tmp_path, python, base_ref="main", install="false")
    assert job.codes == {"Check the laws": 1, "Compare with the base branch": 1}, job.log
    assert "::error file=src/kern/ops.py,line=2," in job.log
    assert "::error title=harness gate::gate: fail" in job.log
    assert "kern.ops.softmax value [float32]: holds in the baseline, broken now" in job.log


def test_a_project_without_settings_has_no_answer(repository: Path, tmp_path: Path, python: str) -> None:
    """The first step fails with a sentence, and the second compares nothing."""
    (repository / "pyproject.toml").unlink()
    job = run_action(repository, tmp_path, python, base_ref="main", install="false")
    assert job.codes == {"Check the laws": 2, "Compare with the base branch": 0}
    assert "harness init" in job.log


def test_the_job_of_gitlab_passes_for_a_good_commit(repository: Path, tmp_path: Path, python: str) -> None:
    """It installs torch, the requirement and the project, and writes the test report. It needs no bash."""
    with (repository / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("[build-system]\nrequires = []\n")
    job = run_job(repository, tmp_path, python, interpreter="sh", install="stability-harness>=0.2")
    assert job.code == 0, job.log
    installed = [line for line in job.log.splitlines() if line.startswith("pip ")]
    assert installed[0].startswith("pip install torch ")
    assert installed[1:] == ["pip install stability-harness>=0.2", "pip install -e ."]
    assert job.artifacts == {"laws.xml"}
    assert not JUnitXml.fromfile(str(repository / "laws.xml")).failures


def test_the_job_of_gitlab_fails_for_a_bad_commit(
    repository: Path, tmp_path: Path, python: str, harness_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The law is broken, and the comparison with the baseline runs all the same. Both are test reports."""
    monkeypatch.chdir(repository)
    harness_command("check", "--run", "first", "--no-isolate", code=0)
    harness_command("gate", "--run", "first", "--update", code=0)
    change(repository, BAD)
    job = run_job(repository, tmp_path, python, baseline="baseline.jsonl")
    assert job.code == 1, job.log
    assert "holds in the baseline, broken now" in job.log
    assert job.artifacts == {"laws.xml", "gate.xml"}
    (case,) = [case for suite in JUnitXml.fromfile(str(repository / "laws.xml")) for case in suite]
    assert case.result[0].message
    assert JUnitXml.fromfile(str(repository / "gate.xml")).failures == 1


def test_the_job_of_gitlab_without_settings_has_no_answer(repository: Path, tmp_path: Path, python: str) -> None:
    """The exit code is that of the check, which says how to start."""
    (repository / "pyproject.toml").unlink()
    job = run_job(repository, tmp_path, python, baseline="baseline.jsonl")
    assert job.code == 2
    assert "harness init" in job.log
    assert not job.artifacts
