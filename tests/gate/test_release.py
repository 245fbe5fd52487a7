"""Tests of verdicts that only another release of torch changed: in the terminal, on the page and in the gate."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from samples.baseline import CASE, law, of
from samples.command import Command
from samples.repository import commit_all, git

from harness.gate.baseline import Baseline, read_baseline, write_baseline
from harness.gate.finding import exit_code
from harness.gate.numerics import compare
from harness.gate.policy import Policy
from harness.gate.release import Releases, attribute_to_releases, release_of
from harness.gate.snapshot import Summary
from harness.record import GateFinding, Outcome, Status, Verdict

NOW = release_of(version("torch"))

KERNELS = '''"""A softplus that is wrong at zero, whatever derivative at its bound torch chooses for clamp."""

import torch


def softplus(x):
    return x.clamp(min=0) + torch.log1p(torch.exp(-x.abs()))
'''


def backdate(file: Path) -> None:
    """Let a baseline say that every law held, with torch 2.0.0."""
    old = read_baseline(file)
    (key, (entry, *_)), *_ = old.cases.items()
    laws = {
        name: tuple(figures and figures._replace(status=Status.HOLDS) for figures in row)
        for name, row in entry.snapshot.laws.items()
    }
    (origin,) = old.origins
    before = origin.model_copy(update={"torch": "2.0.0+cpu"})
    held = entry._replace(snapshot=entry.snapshot.model_copy(update={"laws": laws}), origins=frozenset({before}))
    write_baseline(file, Baseline({key: (held,)}, (before,)))


def test_terminal_page_and_gate_name_the_operation_and_the_releases(
    workplace: Path, harness_command: Command, tmp_path: Path
) -> None:
    """The gate does not count it as a regression of the branch."""
    (workplace / "kernels.py").write_text(KERNELS, encoding="utf-8")
    (workplace / ".gitignore").write_text(".harness\n", encoding="utf-8")
    check = "check kernels.py:softplus --law gradient --dtypes float32 --run one"
    harness_command(check, code=1)
    harness_command("gate kernels.py:softplus --contract softplus --run one --update", code=0)
    backdate(workplace / "baseline.jsonl")
    commit_all("kernels")
    x = torch.zeros((), requires_grad=True)
    (slope,) = torch.autograd.grad(x.clamp(min=0), x)
    cause = f"held with torch 2.0.0, breaks with {NOW}: the gradient of clamp at its bound is {float(slope):g}"
    cause += " (kernels.py:7): "

    done = harness_command(f"{check} --fresh", "--markdown", "laws.md", "--junit", "laws.xml", code=1)
    assert f"DEFECT {cause}" in " ".join(done.stdout.split())
    assert cause in " ".join((workplace / "laws.md").read_text(encoding="utf-8").split())
    assert cause in (workplace / "laws.xml").read_text(encoding="utf-8")

    done = harness_command("gate kernels.py:softplus --contract softplus --run one", code=0)
    assert f"release       kernels.softplus gradient [float32]: {cause}" in done.stdout
    assert "gate: pass" in done.stdout

    harness_command("report one", "--output", str(tmp_path / "page"), code=0)
    for name in ("report.md", "report.html"):
        page = " ".join((tmp_path / "page" / name).read_text(encoding="utf-8").split())
        assert f"kernels.softplus: {cause[:-2]}" in page


# What counts as a change of the source

FILES = {
    "softmax_regression/__init__.py": "CASES = []\n",
    "softmax_regression/scratch.py": "from .shared import largest\n",
    "softmax_regression/shared.py": "def largest(x): ...\n",
    "softmax_regression/concise.py": "import torch\n",
    "pyproject.toml": '[tool.harness]\ntargets = ["cases"]\n\n[tool.harness.gate]\nulp = 0.0\n',
}


@pytest.fixture
def project(workplace: Path) -> Path:
    """Make a Git repository with the files of a case, and a baseline of torch 2.0.0."""
    for name, text in FILES.items():
        (workplace / name).parent.mkdir(exist_ok=True)
        (workplace / name).write_text(text, encoding="utf-8")
    write_baseline(workplace / "baseline.jsonl", Baseline({}).update(run(law())))
    commit_all("kernels")
    return workplace


def run(verdict: Verdict, torch_: str = "2.0.0+cpu", **changes: Any) -> Summary:
    """Return the summary of a run with a release of torch."""
    summary = of(verdict)
    return summary._replace(origin=summary.origin.model_copy(update={"torch": torch_, **changes}))


BROKEN = law(status=Status.BROKEN, largest=3.0, reason=None)


def gate(project: Path, verdict: Verdict = BROKEN, **changes: Any) -> GateFinding:
    """Compare a verdict of this release with the baseline, and return the finding about the law."""
    known, now = read_baseline(project / "baseline.jsonl"), run(verdict, f"{NOW}+cpu", **changes)
    releases = Releases(known, project / "baseline.jsonl", project)
    findings = attribute_to_releases(
        compare(known, now, Policy()), [verdict], releases, Policy(), now.origin.hypothesis
    )
    return next(finding for finding in findings if finding.subject == "value [float32]")


@pytest.mark.parametrize("status", [Status.BROKEN, Status.ERROR, Status.UNCLAIMED])
def test_a_law_that_a_release_breaks_is_no_regression(project: Path, status: Status) -> None:
    """The finding has both releases, and the gate passes."""
    finding = gate(project, law(status=status, largest=3.0, reason="it raises"))
    assert finding.outcome is Outcome.RELEASE
    assert finding.sentence.startswith(f"{CASE} value [float32]: held with torch 2.0.0, breaks with {NOW}: ")
    assert exit_code([finding]) == 0


CHANGED = f"torch changed from 2.0.0 to {NOW}, but the source may have changed, too."


@pytest.mark.parametrize("name", ["softmax_regression/__init__.py", "softmax_regression/scratch.py",
                                  "softmax_regression/shared.py"])  # fmt: skip
@pytest.mark.parametrize("is_committed", [False, True])
def test_a_change_of_the_case_or_of_what_it_imports_remains_a_regression(
    project: Path, name: str, *, is_committed: bool
) -> None:
    """A branch cannot hide a regression behind a release."""
    (project / name).write_text(f"{FILES[name]}# changed\n", encoding="utf-8")
    if is_committed:
        commit_all("kernels")
    finding = gate(project)
    assert finding.outcome is Outcome.REGRESSED
    assert finding.sentence == f"{CASE} value [float32]: holds in the baseline, broken now; {CHANGED}"


def test_a_note_of_the_run_does_not_count(project: Path) -> None:
    """The source may have changed since the run, so the gate decides anew."""
    (project / "softmax_regression" / "scratch.py").write_text("# changed\n", encoding="utf-8")
    assert gate(project, BROKEN.model_copy(update={"releases": ("2.0.0", NOW)})).outcome is Outcome.REGRESSED


def test_changes_of_other_cases_and_of_the_policy_do_not_count(project: Path) -> None:
    """A pull request usually changes something."""
    (project / "softmax_regression" / "concise.py").write_text("import numpy\n", encoding="utf-8")
    (project / "pyproject.toml").write_text(FILES["pyproject.toml"].replace("0.0", "1.0"), encoding="utf-8")
    assert gate(project).outcome is Outcome.RELEASE


@pytest.mark.parametrize(
    ("file", "text"),
    [("pyproject.toml", '[tool.harness]\ntargets = ["cases"]\nstrict = true\n'), ("fused.cpp", "int x;\n")],
)
def test_changed_options_and_compiled_code_count(project: Path, file: str, text: str) -> None:
    """Options decide what a case claims, and any case may call compiled code."""
    (project / file).write_text(text, encoding="utf-8")
    git("add", "--intent-to-add", ".")
    assert gate(project).outcome is Outcome.REGRESSED


def test_without_history_nothing_is_put_down_to_a_release(project: Path, tmp_path: Path) -> None:
    """The last commit of a shallow clone is not the one of the baseline."""
    (project / "softmax_regression" / "scratch.py").write_text("", encoding="utf-8")
    commit_all("kernels")
    git("clone", "-q", "--depth", "1", f"file://{project}", str(tmp_path / "shallow"))
    assert gate(tmp_path / "shallow").sentence.endswith(CHANGED)
    git("clone", "-q", f"file://{project}", str(tmp_path / "whole"))
    (tmp_path / "whole" / "baseline.jsonl").rename(project.parent / "outside.jsonl")
    (project.parent / "outside.jsonl").rename(tmp_path / "whole" / "renamed.jsonl")
    assert Releases(read_baseline(project / "baseline.jsonl"), tmp_path / "whole" / "renamed.jsonl",
                    tmp_path / "whole").have_source(CASE) is False  # fmt: skip


def test_other_inputs_may_be_the_reason(project: Path) -> None:
    """Another Hypothesis draws other inputs, on which a law may have been broken before."""
    finding = gate(project, hypothesis="9.9.9")
    assert finding.outcome is Outcome.REGRESSED
    assert finding.sentence.endswith("but Hypothesis may have changed, too.")


def test_a_baseline_of_the_same_release_has_a_plain_regression(project: Path) -> None:
    """A law that holds with this release on another machine was not broken by the release."""
    other = run(law(), f"{NOW}+cpu", instructions="another processor")
    write_baseline(project / "baseline.jsonl", read_baseline(project / "baseline.jsonl").update(other))
    commit_all("kernels")
    finding = gate(project)
    assert finding.outcome is Outcome.REGRESSED
    assert finding.sentence == f"{CASE} value [float32]: holds in the baseline, broken now."


def test_a_verdict_that_was_worse_before_is_not_put_down_to_a_release(project: Path) -> None:
    """A declared failure that is no longer declared is a change of the branch."""
    declared = run(law(status=Status.EXPECTED, largest=3.0))
    write_baseline(project / "baseline.jsonl", Baseline({}).update(declared))
    commit_all("kernels")
    assert gate(project).outcome is Outcome.REGRESSED
    finding = gate(project, law(status=Status.UNEXPECTED, reason="it overflows"))
    assert f"failed with torch 2.0.0, holds with {NOW}: declared failure of value not found" in finding.sentence
