"""A branch cannot switch the gate off: the policy, and that baselines exist, come from the base."""

from pathlib import Path

import pytest
from samples.baseline import CASE, law, of
from samples.command import Command
from samples.repository import commit_all, git

from harness.gate.base import Base, read_base
from harness.gate.baseline import Baseline, write_baseline
from harness.gate.policy import Policy, read_policy
from harness.isolation import environment
from harness.record import Outcome

POLICY = '[tool.harness.gate]\ntarget = "kernels.py:softmax"\nulp = 1.0\n'


@pytest.fixture
def project(workplace: Path) -> Path:
    """Make a repository with a policy and a baseline, on a branch ``ours`` of ``main``."""
    (workplace / "pyproject.toml").write_text(POLICY, encoding="utf-8")
    write_baseline(workplace / "baseline.jsonl", Baseline({}).update(of(law())))
    commit_all("first")
    git("checkout", "-q", "-b", "ours")
    return workplace


def judged(base: Base, project: Path, largest: float = 3.0) -> list[tuple[Outcome, str]]:
    """Return outcome and sentence of the findings about the baselines, for a run with some deviation."""
    found = base.judge_baselines(project / "baseline.jsonl", of(law(largest=largest)), Policy())
    return [(one.outcome, one.sentence) for one in found]


def test_a_branch_that_changes_nothing_has_no_finding(project: Path) -> None:
    """The policy is the same, and so is the baseline."""
    base = read_base("main", project)
    policy, findings = base.judge_policy(read_policy(project))
    assert (policy, findings) == (read_policy(project), [])
    assert judged(base, project) == []


def test_a_deleted_baseline_is_a_failure_that_names_it(project: Path) -> None:
    """The run is still compared with the one of the base."""
    (project / "baseline.jsonl").unlink()
    base = read_base("main", project)
    assert base.baseline(project / "baseline.jsonl") is not None
    ((outcome, sentence),) = judged(base, project)
    assert outcome is Outcome.REGRESSED
    assert sentence.startswith("The branch deletes the baseline `baseline.jsonl` in ")
    assert sentence.endswith("restore it with `git checkout main -- FILE`.")


def test_a_case_that_is_removed_from_the_baseline_is_a_failure(project: Path) -> None:
    """It would otherwise count as new."""
    write_baseline(project / "baseline.jsonl", Baseline({}))
    found = judged(read_base("main", project), project)
    assert (Outcome.REGRESSED, f"The branch removes {CASE} from the baseline only.") in found


def test_an_update_of_the_baseline_is_listed(project: Path) -> None:
    """It is for a person to accept, so it does not fail."""
    write_baseline(project / "baseline.jsonl", Baseline({}).update(of(law(largest=9.0))))
    ((outcome, sentence),) = judged(read_base("main", project), project, largest=9.0)
    assert outcome is Outcome.NEW
    assert "the largest deviation is 9, was 3" in sentence
    assert sentence.endswith("Accepted.")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ulp = 1.0", "ulp = 1e9", "`ulp` is 1e+09, was 1"),
        ("ulp = 1.0", "ulp = 1.0\ntolerance = 0.5", "`tolerance` is 0.5, was 0.05"),
        ("ulp = 1.0", 'ulp = 1.0\ntimed = ["none"]', "`timed` lacks '*'"),
        ("kernels.py:softmax", "others.py:softmax", "`target` is 'others.py:softmax', was 'kernels.py:softmax'"),
        ("ulp = 1.0", 'ulp = 1.0\nbaseline = "empty.jsonl"', "`baseline` is 'empty.jsonl', was None"),
        ("ulp = 1.0", 'ulp = 1.0\n[tool.harness.gate.cases]\n"*" = { growth = 1.0 }', "`growth` of '*' is 1, was 0"),
    ],
)
def test_a_looser_policy_has_no_effect_and_is_a_failure(project: Path, old: str, new: str, words: str) -> None:
    """The policy of the base counts, and one sentence says what is looser."""
    before = read_policy(project)
    (project / "pyproject.toml").write_text(POLICY.replace(old, new), encoding="utf-8")
    policy, (finding,) = read_base("main", project).judge_policy(read_policy(project))
    assert policy == before
    assert finding.outcome is Outcome.REGRESSED
    assert finding.sentence == (f"The branch loosens [tool.harness.gate], and the gate uses the one of main: {words}.")


def test_a_stricter_policy_and_names_of_cases_are_no_failure(project: Path) -> None:
    """The names belong to the code of the branch, so they count at once; the rest counts after the merge."""
    text = POLICY.replace("ulp = 1.0", 'ulp = 0.5\nretired = { "a" = "gone" }\nrenamed = { "b" = "c" }')
    (project / "pyproject.toml").write_text(text, encoding="utf-8")
    policy, findings = read_base("main", project).judge_policy(read_policy(project))
    assert findings == []
    assert (policy.ulp, policy.retired, policy.renamed) == (1.0, {"a": "gone"}, {"b": "c"})


def test_a_branch_cannot_show_a_variable_that_the_base_hides(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The patterns of both count."""
    monkeypatch.setattr(environment, "_of_the_base", set())
    for name in ("ACME_LOGIN", "OUR_LOGIN", "OTHER_LOGIN"):
        monkeypatch.setenv(name, "1")
    git("checkout", "-q", "main")
    (project / "pyproject.toml").write_text(f'[tool.harness]\nhide = ["ACME_*"]\n{POLICY}', encoding="utf-8")
    git("commit", "-q", "-a", "-m", "hide")
    git("checkout", "-q", "-b", "theirs")
    (project / "pyproject.toml").write_text(f'[tool.harness]\nhide = ["OUR_*"]\n{POLICY}', encoding="utf-8")
    environment.hidden_patterns.cache_clear()
    assert {"ACME_LOGIN", "OTHER_LOGIN"} <= environment.user_environment().keys()
    read_base("main", project)
    seen = environment.user_environment().keys()
    assert "OTHER_LOGIN" in seen
    assert not {"ACME_LOGIN", "OUR_LOGIN"} & seen


def test_a_damaged_file_of_the_base_is_one_plain_message(project: Path, harness_command: Command) -> None:
    """It names the base."""
    (project / "pyproject.toml").write_text("[tool", encoding="utf-8")
    git("commit", "-q", "-a", "-m", "damaged")
    git("checkout", "-q", "-b", "theirs")
    (project / "pyproject.toml").write_text(POLICY, encoding="utf-8")
    refusal = harness_command("gate", "--run", "any", "--base", "ours").refusal
    assert "invalid TOML in `pyproject.toml` of ours" in refusal


def test_the_command_fails_for_a_branch_that_deletes_the_baseline_and_breaks_a_law(
    workplace: Path, harness_command: Command
) -> None:
    """What broke comes first. Without a baseline at the base, there is nothing to compare, and no failure."""
    kernels = workplace / "kernels.py"
    kernels.write_text("def softmax(x):\n    return x.softmax(-1)\n", encoding="utf-8")
    (workplace / "pyproject.toml").write_text("[project]\nname = 'kernels'\n", encoding="utf-8")
    commit_all("first")
    check = ("check", "kernels.py:softmax", "--no-isolate", "--law", "value", "--dtypes", "float32", "--run", "ci")
    harness_command(*check, code=0)
    text = harness_command("gate", "--run", "ci", "--base", "main", code=0).stdout
    assert "Nothing was compared: neither main nor the branch has `baseline.jsonl`" in text
    harness_command("gate", "--run", "ci", "--update", code=0)
    git("add", "baseline.jsonl")
    git("commit", "-q", "-m", "baseline")
    git("checkout", "-q", "-b", "ours")
    (workplace / "baseline.jsonl").unlink()
    kernels.write_text("def softmax(x):\n    return x.exp() / x.exp().sum(-1, keepdim=True)\n", encoding="utf-8")
    harness_command(*check, code=1)
    first, second, *_ = harness_command("gate", "--run", "ci", "--base", "main", code=1).stdout.splitlines()
    assert "kernels.softmax value [float32]: holds in the baseline, broken now" in first
    assert "The branch deletes the baseline `baseline.jsonl`" in second
