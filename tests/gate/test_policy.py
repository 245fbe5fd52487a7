"""The policy of the gate: the table of a project, its tolerances and its errors."""

from pathlib import Path
from typing import Any

import pytest

from harness.error import UsageError
from harness.gate.policy import Policy, read_policy

A, B = "family.scratch.a", "family.scratch.b"


def project(folder: Path, table: str) -> Path:
    """Write a project with a policy."""
    (folder / "pyproject.toml").write_text(table, encoding="utf-8")
    return folder


def test_a_project_without_a_table_has_the_defaults(tmp_path: Path) -> None:
    """A folder without a project has them too."""
    assert read_policy(tmp_path) == Policy()
    assert read_policy(project(tmp_path, "[tool.other]\n")) == Policy()
    assert read_policy(tmp_path, Policy(timed=("*.a",))).timed == ("*.a",)


def test_allowances_are_by_pattern_and_the_last_counts(tmp_path: Path) -> None:
    """A pattern matches a case, a family or all cases."""
    table = """
    [tool.harness.gate]
    tolerance = 0.08
    [tool.harness.gate.cases]
    "family.*" = { tolerance = 0.2 }
    "*.a" = { tolerance = 0.3, margin = 0.1 }
    """
    policy = read_policy(project(tmp_path, table))
    assert [policy.allows("tolerance", case) for case in (A, B, "other.c")] == [0.3, 0.2, 0.08]
    assert [policy.allows("margin", case) for case in (A, B)] == [0.1, 0.02]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("budgets = 3", "`budgets`"),
        ("budget_s = 'long'", "`budget_s`"),
        ("budget_s = 2024-02-29", "`budget_s`"),
        ("margin = 2.0", "`margin`"),
        ("timed = 'all'", "`timed`"),
        ("cases = {'*' = {tolerence = 1.0}}", "`cases.*.tolerence`"),
    ],
)
def test_a_wrong_key_or_value_is_one_plain_message(tmp_path: Path, line: str, told: str) -> None:
    """It names the key, the value and the file."""
    with pytest.raises(UsageError, match="invalid key or value of") as error:
        read_policy(project(tmp_path, f"[tool.harness.gate]\n{line}\n"))
    assert told in str(error.value)
    assert str(tmp_path / "pyproject.toml") in str(error.value)


def test_a_damaged_project_file_is_one_plain_message(tmp_path: Path) -> None:
    """It quotes the parser."""
    with pytest.raises(UsageError, match=r"invalid TOML in .*: Expected"):
        read_policy(project(tmp_path, "[tool"))


@pytest.mark.parametrize("table", [{"timed": ("*.a", "*.c")}, {"cases": {"*.c": {"ulp": 1.0}}}])
def test_a_pattern_that_matches_no_case_is_refused(table: dict[str, Any]) -> None:
    """A misspelled exception would have no effect."""
    with pytest.raises(UsageError, match=r"`\*\.c` under `(timed|cases)` of .* matches no case"):
        Policy(**table).reject_unknown([A, B])


def test_the_baseline_lies_beside_the_target_unless_it_is_named(tmp_path: Path) -> None:
    """It is in the folder of the package or file."""
    root = tmp_path
    for package in ("cases", "my/kernels"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").touch()
    assert Policy().baseline_file(root) == root / "cases" / "baseline.jsonl"
    assert Policy(target="my.kernels").baseline_file(root) == root / "my" / "kernels" / "baseline.jsonl"
    assert Policy(target="my/kernels.py:softmax").baseline_file(root) == root / "my" / "baseline.jsonl"
    assert Policy(baseline="b.jsonl").baseline_file(root) == root / "b.jsonl"
