"""The help of every command: recorded at 80 columns, in panels, with common options on the first screen."""

import re
import signal
import sys
from collections.abc import Set
from pathlib import Path

import pytest
import typer
from samples.command import Command
from samples.help_texts import NAMES, RECORDED, file_of, help_of

from harness.cli import app
from harness.execution.interrupt import INTERRUPTED, SIGNALS, Interrupt
from harness.exit_code import ExitCode
from harness.gate.finding import ENDINGS

ROOT = Path(__file__).parents[2]
SCREEN = 24
"""Lines of the smallest usual terminal."""


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print for 80 columns, independent of the terminal of the tests."""
    monkeypatch.setenv("COLUMNS", "80")


@pytest.mark.parametrize("name", NAMES, ids=lambda name: name or "harness")
def test_help_is_as_recorded(name: str) -> None:
    """``python -m samples.help_texts`` in the folder ``tests`` records an intended change.

    No line is too long, and no option lacks a placeholder for its value.
    """
    text = help_of(name)
    assert text == file_of(name).read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80
    assert "VALUE " not in text.replace("NAME=VALUE", "")


def test_each_recorded_help_has_a_command() -> None:
    """A removed command leaves no file behind."""
    assert {file.name for file in RECORDED.iterdir()} == {file_of(name).name for name in NAMES}


def test_the_first_screen_of_check_shows_what_most_users_need() -> None:
    """The 24 lines have usage, a sentence, examples, and the common options."""
    screen = "\n".join(help_of("check").splitlines()[:SCREEN])
    for words in ("Usage: harness check [OPTIONS] [TARGET]", "Check which", "  harness check homework.py:softmax\n"):
        assert words in screen
    for option in ("TARGET", "--contract", "--formula", "--dtypes", "--law", "--watch", "--call"):
        assert f"\n  {option} " in screen


def test_every_option_has_a_help_text() -> None:
    """Each is a phrase that ends with a period, with its default in brackets after it."""
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        for param in command.params:
            assert param.help, (command.name, param.name)
            assert param.help.endswith((".", "]")), (command.name, param.name)


def test_help_of_a_command_is_what_the_command_prints(harness_command: Command) -> None:
    """A pipe receives it without the codes of a terminal."""
    done = harness_command("check", "--help", code=0)
    assert done.stdout == file_of("check").read_text(encoding="utf-8")


def test_headings_are_bold_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing else differs. ``NO_COLOR`` and a dumb terminal disable it."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    bold = help_of("check")
    assert "\x1b[1mExamples:\x1b[0m" in bold
    assert bold.replace("\x1b[1m", "").replace("\x1b[0m", "") == file_of("check").read_text(encoding="utf-8")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in help_of("check")
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in help_of("check")


@pytest.mark.parametrize(
    ("page", "codes"),
    [
        ("README.md", {ExitCode.PASSED, ExitCode.FAILED, ExitCode.NO_ANSWER}),
        ("docs/find-where-it-breaks.md", {ExitCode.PASSED, ExitCode.FAILED, ExitCode.NO_ANSWER}),
        ("docs/gate-a-pull-request.md", ENDINGS.keys()),
        ("docs/read-a-verdict.md", {*ExitCode} - {ExitCode.INCONCLUSIVE}),
    ],
)
def test_the_tables_of_exit_codes_are_complete(page: str, codes: Set[int]) -> None:
    """A page lists the codes that its command gives; only the gate has one for an inconclusive comparison."""
    (table,) = re.findall(
        r"^\| (?:exit )?code \|.*\n\|.*\n((?:\|.*\n)+)", (ROOT / page).read_text("utf-8"), re.MULTILINE
    )
    listed = [row.split("|")[1].split(",") for row in table.splitlines()]
    assert sorted(int(code) for row in listed for code in row) == sorted(codes)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_exit_code_of_a_signal_is_in_the_table(number: signal.Signals) -> None:
    """It is that of a shell, and says that finished results are kept."""
    number_of = {code.value: code for code in ExitCode}
    code = number_of[int(str(Interrupt(number).exit_code(INTERRUPTED)))]
    assert code.meaning.endswith("finished results are kept")


def test_a_command_states_only_known_exit_codes_in_its_help() -> None:
    """The meanings of one command are in its help; if it says nothing else, a question has no answer with code 2."""
    for name in NAMES:
        stated = {int(code): text for code, text in re.findall(r"^  (\d)  (.*)$", help_of(name), re.MULTILINE)}
        assert not stated or {ExitCode.PASSED, ExitCode.NO_ANSWER} <= stated.keys() <= {*ExitCode}, name
    assert "  2  the question could not be answered\n" in help_of("check")


def test_a_narrow_terminal_wraps_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    """Usage, sentence and options are wrapped; examples stay on one line, so that they can be pasted."""
    monkeypatch.setenv("COLUMNS", "60")
    text = help_of("check")
    assert (
        max(len(line) for line in text.split("\nMore examples:")[0].splitlines() if "harness check" not in line) <= 60
    )
