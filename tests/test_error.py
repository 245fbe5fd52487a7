"""User errors: lists of the accepted names, and the refusal of Windows."""

import sys

import pytest

import harness
from harness.__main__ import main
from harness.error import UsageError, did_you_mean, listed, nearest


def test_names_are_listed_in_their_order_each_in_backquotes() -> None:
    """A mapping is listed by its keys, and an empty list gives an empty text."""
    assert listed({"softmax": 1, "add": 2}) == "`softmax`, `add`"
    assert listed(["one"]) == "`one`"
    assert listed(()) == ""


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("softmx", ["softmax"]),
        ("SoftMax", ["softmax"]),
        ("layer-norm", ["layer_norm"]),
        ("log_softmx", ["log_softmax"]),
        ("nothing like it", []),
    ],
)
def test_a_nearly_right_name_is_suggested(typed: str, meant: list[str]) -> None:
    """The nearest name comes first, regardless of capitals and hyphens."""
    assert nearest(typed, ["softmax", "log_softmax", "layer_norm", "add"]) == meant


def test_a_misspelled_name_gets_a_suggestion_or_another_remedy() -> None:
    """Without a similar name or another remedy there is none."""
    assert did_you_mean("sgdd", ["sgd", "add"]) == "did you mean `sgd`?"
    assert did_you_mean("sgm", ["sgd", "sgx"]) == "did you mean `sgd` or `sgx`?"
    assert did_you_mean("xyz", ["sgd"], "`harness list` shows them") == "`harness list` shows them"
    assert did_you_mean("xyz", ["sgd"]) is None


def test_windows_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command exits with 2 before it imports a module that Windows lacks; a check from Python says the same."""
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err.endswith("use the Windows Subsystem for Linux (WSL)\n")
    with pytest.raises(UsageError, match="does not run on Windows"):
        harness.check  # noqa: B018 - the access loads it
