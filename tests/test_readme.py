"""The README keeps its word: its commands run, here, on a page or in CI, and print what it shows."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from harness import cli
from harness.calling.discovery import load
from harness.verdict.job import jobs

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.S)
    for line in block.splitlines()
    if line.startswith("$ ")
]
IN_CI = {"pip install tox", "tox run -e report", "tox run -e tests"}


def test_every_command_is_run_here_or_in_ci() -> None:
    """And CI runs those that it is said to."""
    here = [command for command in COMMANDS if command.startswith("harness ")]
    assert set(COMMANDS) == {*here, *IN_CI}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert '"$tox" run -e report' in script
    assert '"$tox" run -e tests' in script


def test_the_proof_it_shows_ends_with_the_line_it_shows(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every number of float16 through torch's softplus."""
    (command,) = [command for command in COMMANDS if command.startswith("harness prove")]
    monkeypatch.setattr(sys, "argv", shlex.split(command))
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    shown = re.search(r"```text\n(proofs: .*)\n```", README)
    assert shown is not None
    assert capsys.readouterr().out.splitlines()[-1] == shown.group(1)


def test_the_verdict_line_it_shows_counts_the_laws_there_are() -> None:
    """So that a newcomer sees the same number."""
    shown = re.search(r"verdict: no undeclared defect in ([\d,]+) laws", README)
    assert shown is not None
    assert int(shown.group(1).replace(",", "")) == len(jobs(load()))


def test_every_folder_it_names_is_there() -> None:
    """And every link to a file leads somewhere."""
    for folder in re.findall(r"^\| `(\w+(?:/\w+)*)/`", README, re.M):
        assert (ROOT / folder).is_dir()
    for file in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / file).is_file(), file
