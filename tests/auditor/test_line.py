"""The source line of a finding, with the columns of its operation if it occurs once."""

from pathlib import Path

import pytest
from samples.audit import finding, room

from harness.auditor.line import add_source
from harness.wording.audit import excerpt, finding_lines

CODE = (
    """import torch


def softmax(x):
    e = torch.exp(x) / torch.exp(x).sum()
    f = 1 / x.exp_()
    \u00e9 = x.exp()
    g = torch.exp(
        x)
    return """
    + "x" * 300
    + "\n"
)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """Return the path of a file."""
    path = tmp_path / "train.py"
    path.write_text(CODE, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("line", "operation", "shown"),
    [
        (5, "exp", ["e = torch.exp(x) / torch.exp(x).sum()"]),
        (5, "div", ["e = torch.exp(x) / torch.exp(x).sum()", "    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"]),
        (5, "sum", ["e = torch.exp(x) / torch.exp(x).sum()", "                   ^^^^^^^^^^^^^^^^^^"]),
        (6, "exp", ["f = 1 / x.exp_()", "        ^^^^^^^^"]),
        (6, "division", ["f = 1 / x.exp_()", "    ^^^^^^^^^^^^"]),
        (6, "log", ["f = 1 / x.exp_()"]),
        (7, "exp", ["\u00e9 = x.exp()", "    ^^^^^^^"]),
        (8, "exp", ["g = torch.exp("]),
        (10, "exp", []),
        (99, "exp", []),
    ],
)
def test_the_carets_are_under_the_operation(file: str, line: int, operation: str, shown: list[str]) -> None:
    """An operation that occurs twice, on several lines or not at all has no carets; a long line is not shown."""
    assert excerpt(add_source(finding(file=file, line=line).model_copy(update={"operation": operation}))) == shown


def test_the_excerpt_follows_the_sentence(file: str) -> None:
    """The terminal shows it as a check does."""
    sentence, code, carets, *_ = finding_lines(add_source(finding(file=file, line=6)))
    assert sentence.endswith("(255 of 256 rows)")
    assert (code, carets) == ("    f = 1 / x.exp_()", "            ^^^^^^^^")


def test_a_file_that_is_gone_has_no_excerpt() -> None:
    """The finding stays as it is; so does the headroom of a notebook's cell."""
    assert add_source(finding()) == finding()
    assert add_source(room()) == room()
