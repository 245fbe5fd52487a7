"""Closed standard streams, a missing folder for temporary files, and signals: one sentence, and the right exit code."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

MAIN = "from harness.__main__ import main; main()"

MODULE = """
import torch

def softmax(x):
    return torch.softmax(x, -1)

def naive(x):
    return x.exp() / x.exp().sum(-1, keepdim=True)
"""

CHECK = ["--contract", "softmax", "--law", "value", "--dtypes", "float32"]


@pytest.fixture
def module(workplace: Path) -> Path:
    """A right and a wrong function in the working directory."""
    file = workplace / "mine.py"
    file.write_text(MODULE, encoding="utf-8")
    return file


Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(python: str) -> Run:
    """Run the command in a shell, with redirected streams."""

    def run(words: Sequence[str], redirect: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        shell = ["sh", "-c", f'exec "$@" {redirect}', "sh", python, "-c", MAIN, *words]
        environment = {**os.environ, **variables}
        return subprocess.run(shell, capture_output=True, text=True, check=False, env=environment)

    return run


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("redirect", "function", "code"), [("2>&-", "softmax", 0), (">&-", "naive", 1), ("<&- >&- 2>&-", "naive", 1)]
)
def test_the_exit_code_does_not_depend_on_open_streams(run: Run, redirect: str, function: str, code: int) -> None:
    """The connection to the user's code does not get the number of a standard stream."""
    done = run(["check", f"mine.py:{function}", *CHECK], redirect)
    assert (done.returncode, done.stderr) == (code, "")
    assert ("verdict:" in done.stdout) == (">&-" not in redirect.replace("2>&-", ""))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["learn"]])
def test_a_command_without_standard_output_prints_nothing(workplace: Path, run: Run, words: list[str]) -> None:
    """It ends as usual."""
    done = run(words, ">&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_refusal_needs_no_stream(workplace: Path, run: Run) -> None:
    """The exit code says that there is no answer."""
    for redirect in (">&-", "2>&-", ">&- 2>&-", "2>/dev/full", ">/dev/full 2>/dev/full"):
        assert run(["report", "missing"], redirect).returncode == 2, redirect


def test_a_full_disk_is_named_in_one_sentence(workplace: Path, run: Run) -> None:
    """Nothing is printed twice."""
    done = run(["--version"], ">/dev/full")
    assert (done.returncode, done.stderr) == (
        2,
        "harness: cannot write to standard output: no space left on device\n",
    )


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    "words", [["check", "mine.py:softmax"], ["list"], ["init"], ["learn"], ["report"]], ids=lambda words: words[0]
)
def test_a_missing_folder_for_temporary_files_is_named_in_one_sentence(run: Run, words: list[str]) -> None:
    """Every command says it, whether it needs one or not."""
    done = run(words, TMPDIR="/nowhere")
    sentence = "the folder for temporary files, `/nowhere`, does not exist; set `TMPDIR` to another folder"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"harness: {sentence}\n")


AT_THE_END = """
import atexit, os, signal
atexit.register(lambda: os.kill(os.getpid(), {number}))
from harness.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_after_the_end_of_a_command_changes_nothing(number: signal.Signals) -> None:
    """The exit code is the command's, and Python reports no exception while it cleans up."""
    program = AT_THE_END.format(number=int(number))
    done = subprocess.run([sys.executable, "-c", program, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


IGNORING = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]


def test_nohup_keeps_its_meaning() -> None:
    """An ignored SIGHUP stays ignored, unlike SIGINT, which a script ignores for all its background commands."""
    program = "import os; from harness.execution.interrupt import interruptible\n"
    program += "with interruptible(): os.kill(os.getpid(), 1)"
    assert subprocess.run([*IGNORING, sys.executable, "-c", program], check=False).returncode == 0
