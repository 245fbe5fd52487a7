"""User errors: lists of the accepted names, and the refusal of Windows."""

import sys

import pytest

import harness
from harness.error import UsageError, join_names
from harness.execution.interrupt import run_command


def test_names_are_listed_in_their_order_each_in_backquotes() -> None:
    """A mapping is listed by its keys, and an empty list gives an empty text."""
    assert join_names({"softmax": 1, "add": 2}) == "`softmax`, `add`"
    assert join_names(["one"]) == "`one`"
    assert join_names(()) == ""


def test_windows_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command exits with 2 before it imports a module that Windows lacks; a check from Python says the same."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as end:
        run_command("harness.cli")
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("use the Windows Subsystem for Linux (WSL)\n")
    with pytest.raises(UsageError, match="does not run on Windows"):
        harness.check  # noqa: B018 - the access loads it


def test_a_notebook_shows_the_message_without_frames_of_the_harness() -> None:
    """IPython prints what an exception gives it in place of a traceback."""
    with pytest.raises(UsageError) as raised:
        harness.check(abs, "softmxa")
    (line,) = raised.value._render_traceback_()
    assert line.startswith("UsageError: unknown contract `softmxa`; did you mean `softmax`")
