"""The time gate on live processes, in a small repository of cases."""

import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import psutil
import pytest
from samples.command import Command
from samples.repository import commit_all, git

from harness.bench.workload import is_timed, standard_inputs, workload
from harness.calling.modes import explain_missing_compiler
from harness.calling.target import load
from harness.case import Case
from harness.contracts import contracts
from harness.error import UsageError
from harness.gate.arm import Bench, CaseSource
from harness.gate.base import trees
from harness.gate.paired_timing import reserve_machine, steal_since
from harness.record import Comparison, GateFinding, RunFolder, Slices

KERNELS = '''"""Two kernels."""

import torch

from harness.case import Case


def softmax(logits):
    """Right, and all of the work."""
    return torch.softmax(logits, -1)


def entropy(logits):
    """Right, too."""
    log_p = logits.log_softmax(-1)
    return -(log_p.exp() * log_p).sum(-1)


CASES = [Case(softmax, "softmax", name="kernels.softmax"), Case(entropy, "entropy", name="kernels.entropy")]
'''


@pytest.fixture
def repository(workplace: Path) -> Path:
    """Make a Git repository with a package of two cases."""
    (workplace / "kernels").mkdir()
    (workplace / "kernels" / "__init__.py").write_text(KERNELS, encoding="utf-8")
    (workplace / "pyproject.toml").write_text('[tool.harness.gate]\ntarget = "kernels"\n', encoding="utf-8")
    commit_all("kernels")
    return workplace


def change(repository: Path, old: str, new: str) -> None:
    """Change the cases."""
    file = repository / "kernels" / "__init__.py"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


QUICK = "from harness.gate import paired_timing; paired_timing.MAX_SLICES = 5; from harness.cli import main; main()"
"""The command with couples an eighth as long, because the expected effect is twenty times their resolution."""


def gate(python: str, *arguments: str) -> tuple[int, str]:
    """Run the command in a separate process, since it forks."""
    done = subprocess.run([python, "-c", QUICK, "gate", *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_three_times_the_work_is_a_regression_and_the_rest_is_none(repository: Path, python: str) -> None:
    """The live run has exit code 1, one sentence, and records with its evidence."""
    change(repository, "return torch.softmax(logits, -1)", "return sum(torch.softmax(logits, -1) for _ in range(3))")
    code, text = gate(python, "--against", "HEAD", "--budget", "300", "--markdown", "gate.md")
    assert code == 1, text
    assert "kernels.softmax got slower: +" in text
    assert "kernels.entropy got slower" not in text
    run = RunFolder(Path(".harness", "runs", "gate"))
    assert {one.arm for one in run.read(Comparison)} == {"candidate", "null", "control"}
    counts: dict[tuple[int, str, int], set[int]] = {
        (one.couple, one.case, one.iterations // 10): set() for one in run.read(Slices)
    }
    for one in run.read(Slices):
        counts[one.couple, one.case, one.iterations // 10].add(len(one.minima_s))
    assert all(len(sizes) == 1 for sizes in counts.values()), "arms have equally many slices"
    assert "kernels.softmax got slower" in Path("gate.md").read_text(encoding="utf-8")
    assert "got slower" in " ".join(one.sentence for one in run.read(GateFinding))
    assert not list(Path().glob(".git/worktrees/*")), "the base's worktree is removed"


def test_a_renamed_and_a_raising_case_are_no_verdict_and_named(repository: Path, harness_command: Command) -> None:
    """The exit code is 2, and each has a sentence."""
    change(repository, 'name="kernels.entropy"', 'name="kernels.shannon"')
    change(repository, "return torch.softmax(logits, -1)", "raise ValueError('not today')")
    text = harness_command("gate", "--against", "HEAD", "--budget", "300", code=2).stdout
    assert "kernels.entropy is missing; if its new name is kernels.shannon, add it under `renamed`" in text
    assert "kernels.softmax cannot be timed: in the candidate, it raises ValueError: not today." in text


def test_a_tree_whose_cases_cannot_be_loaded_is_no_verdict(repository: Path, harness_command: Command) -> None:
    """The exit code is 2, with the reason."""
    change(repository, "import torch\n", "import no_such_module\n")
    text = harness_command("gate", "--against", "HEAD", "--budget", "300", code=2).stdout
    assert "The cases cannot be loaded" in text
    assert "no_such_module" in text


def test_an_unknown_commit_is_one_plain_message(repository: Path, harness_command: Command) -> None:
    """The exit code is 2, without a traceback."""
    assert harness_command("gate", "--against", "no-such-branch").refusal.startswith(
        "harness: `git rev-parse --verify --quiet no-such-branch^{commit}` failed: no such commit; name a commit"
    )


def test_a_folder_without_a_repository_is_one_plain_message(workplace: Path, harness_command: Command) -> None:
    """The exit code is 2."""
    assert "not a git repository" in harness_command("gate", "--against", "HEAD").refusal


def test_a_budget_of_a_second_says_what_would_do(repository: Path, harness_command: Command) -> None:
    """It is too little for two blocks of couples."""
    text = harness_command("gate", "--against", "HEAD", "--budget", "1", "--allow-noise", code=2).stdout
    too_small = "No case out of 2 was measured within the budget: the fastest needs about `--budget "
    assert too_small in text or "start-up takes longer than the budget of 1 s; use a larger `--budget`" in text


def test_the_base_is_where_the_branches_part(repository: Path) -> None:
    """Later changes on the other branch do not count."""
    git("branch", "ours")
    change(repository, "Two kernels", "Two old kernels")
    git("commit", "-q", "-am", "theirs")
    git("branch", "theirs")
    git("checkout", "-q", "ours")
    with trees("theirs") as both:
        assert "Two kernels" in (both.base / "kernels" / "__init__.py").read_text(encoding="utf-8")
        assert (both.candidate / "kernels").resolve() == repository / "kernels"
        assert len(str(both.base)) == len(str(both.candidate))


def test_one_measurement_runs_at_a_time() -> None:
    """The second one waits, and gives up with a message."""
    with (
        reserve_machine(),
        pytest.raises(UsageError, match="another measurement is already running"),
        reserve_machine(patience_s=0.0),
    ):
        pass


def test_the_share_of_stolen_time_is_between_none_and_all() -> None:
    """It may be unknown."""
    steal = steal_since(psutil.cpu_times())
    assert steal is None or 0.0 <= steal <= 1.0


# Arms and workloads


def test_an_arm_times_the_cases_of_its_tree_and_refuses_anothers(tmp_path: Path) -> None:
    """A case imported from another tree would be timed under a wrong name."""
    own = tmp_path / "own" / "their_kernels"
    own.mkdir(parents=True)
    (own / "__init__.py").write_text(KERNELS, encoding="utf-8")
    bench = Bench(CaseSource(tmp_path / "own", "their_kernels", None, tmp_path, tmp_path / "compiled"))
    assert bench.cases() == {"kernels.softmax": "softmax", "kernels.entropy": "entropy"}
    assert bench.prepare("kernels.softmax") > 0.0
    minimum_s, median_s, cpu_s, _ = bench.slice("kernels.softmax", 5, 2)
    assert 0.0 < minimum_s <= median_s
    assert cpu_s > 0.0
    (tmp_path / "other").mkdir()
    other = Bench(CaseSource(tmp_path / "other", "their_kernels", None, tmp_path, tmp_path / "compiled"))
    with pytest.raises(Exception, match="is imported from"):
        other.cases()


def test_an_arm_finds_a_package_in_a_src_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports the package from its tree, although another is installed."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    for tree in ("installed", "base"):
        package = tmp_path / tree / "src" / "their_src_kernels"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(KERNELS, encoding="utf-8")
    sys.path.insert(0, str(tmp_path / "installed" / "src"))
    bench = Bench(CaseSource(tmp_path / "base", "their_src_kernels", None, tmp_path, tmp_path / "compiled"))
    assert set(bench.cases()) == {"kernels.softmax", "kernels.entropy"}
    assert Path(sys.modules["their_src_kernels"].__file__ or "").is_relative_to(tmp_path / "base")


def test_the_contract_of_a_function_follows_from_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate and the doctor take the same function as the check; a name that says nothing is one sentence."""
    monkeypatch.setattr(sys, "path", sys.path[:])
    (tmp_path / "their_own_softmax.py").write_text("def softmax(x):\n    return x.softmax(-1)\n\n\nfine = softmax\n")
    softmax, fine = (
        Bench(CaseSource(tmp_path, f"their_own_softmax.py:{name}", None, tmp_path, tmp_path / "compiled"))
        for name in ("softmax", "fine")
    )
    assert softmax.cases() == {"their_own_softmax.softmax": "softmax"}
    with pytest.raises(UsageError, match="cannot infer the contract of `fine`"):
        fine.cases()


def test_an_environment_in_the_tree_is_not_the_trees_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed packages are imported once for all arms.

    Otherwise each would import torch and start 70 times slower.
    """
    packages = tmp_path / ".venv" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "their_dependency.py").write_text("", encoding="utf-8")
    (tmp_path / "their_own.py").write_text("", encoding="utf-8")
    head = "import sys\n\nsys.path[:0] = [{!r}, {!r}]\nimport their_dependency\nimport their_own\n"
    cases = tmp_path / "their_cases.py"
    cases.write_text(head.format(str(packages), str(tmp_path)) + KERNELS, encoding="utf-8")
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr("sysconfig.get_paths", lambda: dict.fromkeys(sysconfig.get_path_names(), str(packages)))
    imports = Bench(
        CaseSource(tmp_path, "their_cases.py:softmax", "softmax", tmp_path, tmp_path / "compiled")
    ).imports()
    assert "their_dependency" in imports
    assert "their_own" not in imports


def test_every_shipped_case_in_float32_is_timed() -> None:
    """There are one and a half dozen contracts, including trainers and loaders."""
    assert all(is_timed(case) for case in load() if "float32" in case.dtypes)
    assert not is_timed(Case(len, "softmax", dtypes=("float64",)))


def inputs_of(contract: str) -> list[Any]:
    """Return the standard inputs of a contract, in the order of its signature."""
    found = standard_inputs(contracts()[contract])
    assert found is not None
    return list(found.values())


def test_inputs_follow_from_the_signature() -> None:
    """Shapes, integers, booleans and numbers are as the contract requires."""
    logits, keep = inputs_of("masked_softmax")
    assert logits.shape == keep.shape == (256, 10)
    assert str(keep.dtype) == "torch.bool"
    _, labels = inputs_of("cross_entropy")
    assert labels.shape == (256,)
    assert int(labels.max()) < 10
    log_q, p = inputs_of("kl_divergence")
    assert log_q.shape == p.shape
    assert float(p.sum(-1).sub(1.0).abs().max()) < 1e-6


@pytest.mark.parametrize("case", [case for case in load() if case.contract != "loader"], ids=lambda case: case.name)
def test_the_workload_of_every_shipped_case_runs(case: Case, tmp_path: Path) -> None:
    """It runs twice, as in a measurement."""
    timed = workload(case, tmp_path)
    try:
        timed()
    except Exception as error:
        if reason := explain_missing_compiler(error):
            pytest.skip(reason)
        raise
    timed()
