"""The README is correct: its commands run on a page or in CI, and print the shown output."""

import re
from pathlib import Path

from harness.calling.target import load
from harness.gate.baseline import read_baseline
from harness.verdict.job import list_jobs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]
IN_CI = {"pip install tox", "tox run -e report", "tox run -e tests"}


def test_it_is_short() -> None:
    """A newcomer reads all of it; details are on the pages in ``docs``."""
    assert len(README.splitlines()) <= 120


def test_every_command_is_run_on_a_page_or_in_ci() -> None:
    """``test_docs`` runs the commands of the harness; CI runs the others."""
    here = [command for command in COMMANDS if command.startswith("harness ")]
    assert set(COMMANDS) == {*here, *IN_CI}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert '"$tox" run -e report' in script
    assert '"$tox" run -e tests' in script


def test_the_verdict_line_it_shows_counts_the_laws_there_are() -> None:
    """A newcomer sees the same number."""
    shown = re.search(r"verdict: no undeclared defect in ([\d,]+) laws \(([\d,]+) verdicts", README)
    assert shown is not None
    laws, verdicts = (int(number.replace(",", "")) for number in shown.groups())
    listed = list_jobs(load())
    baseline = read_baseline(ROOT / "cases" / "baseline.jsonl")
    does_not_apply = {
        (entry.snapshot.case, law)
        for entries in baseline.cases.values()
        for entry in entries
        for law, row in entry.snapshot.laws.items()
        if all(figures is None or figures[0] == "skipped" for figures in row)
    }
    decided = {(job.case.name, job.law.name) for job in listed} - does_not_apply
    assert (laws, verdicts) == (len(decided), len(listed))


def test_every_folder_it_names_is_there() -> None:
    """Every link to a file is valid, and every subpackage of the harness is in the table."""
    named = re.findall(r"`(\w+(?:/\w+)*)/`", README)
    assert all((ROOT / folder).is_dir() for folder in named)
    packages = {f"harness/{path.parent.name}" for path in (ROOT / "harness").glob("*/__init__.py")}
    assert {*named} >= {"harness", "cases", "reports", "docs", "tests", *packages}
    for file in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / file).is_file(), file
