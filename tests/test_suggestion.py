"""Suggestions for misspelt names."""

import pytest

from harness.error import did_you_mean, nearest


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


def test_the_suffix_of_a_file_makes_no_name_similar() -> None:
    """Files of Python have it in common."""
    assert nearest("homwork.py", ["mynorm.py", "homework.py"]) == ["homework.py"]
    assert nearest("homwork.py", ["mynorm.py"]) == []


def test_a_misspelled_name_gets_a_suggestion_or_another_remedy() -> None:
    """Without a similar name or another remedy there is none."""
    assert did_you_mean("sgdd", ["sgd", "add"]) == "did you mean `sgd`?"
    assert did_you_mean("sgm", ["sgd", "sgx"]) == "did you mean `sgd` or `sgx`?"
    assert did_you_mean("xyz", ["sgd"], "`harness list` shows them") == "`harness list` shows them"
    assert did_you_mean("xyz", ["sgd"]) is None
