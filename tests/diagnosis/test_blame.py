"""The blamed expression is found in the source without importing it."""

from pathlib import Path

import pytest

from harness.case import Case
from harness.diagnosis import blame_expression
from harness.diagnosis.marks import Mark, calls, no_axis, number, other_axis

SOURCE = '''"""A module."""
import torch

EPS = 1e-5


class Norm(torch.nn.Module):
    def __init__(self):
        super().__init__()

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(x.var(-1, keepdim=True) + 1e-6)


class Stable(torch.nn.Module):
    def __init__(self, eps=1e-8):
        super().__init__()
        self.eps = eps

    def scale(self, x):
        return torch.ones(x.shape)

    def forward(self, x):
        return torch.log(x + self.eps) * self.scale(x)


def logarithm(x, floor=1e-7):
    return torch.log(x.clamp(min=floor)) + torch.log(x + EPS)


def softmax(x):
    """Größe: é takes two bytes."""
    é = torch.exp(x); return é / é.sum(dim=0, keepdim=True)


def total(x):
    return torch.exp(x) / torch.sum(torch.exp(x))
'''


def blame(folder: Path, name: str, mark: Mark, value: float | None = None) -> tuple[int, str] | None:
    """Return the line and the text of the blamed expression."""
    file = folder / "own.py"
    file.write_text(SOURCE, encoding="utf-8")
    found = blame_expression(Case(lambda x: x, "softmax", target=f"{file}:{name}", name="own"), (mark,), value)
    return None if found is None else (int(found.place.rpartition(":")[2]), found.line[found.start : found.end])


@pytest.mark.parametrize(("name", "mark", "value", "expected"), [
    ("Norm", calls("var"), None, (13, "x.var(-1, keepdim=True)")),
    ("Norm", number, 1e-6, (13, "x.var(-1, keepdim=True) + 1e-6")),
    ("softmax", other_axis, None, (34, "é.sum(dim=0, keepdim=True)")),
    ("total", no_axis, None, (38, "torch.sum(torch.exp(x))")),
    ("total", calls("var"), None, (38, "")),
    ("Stable", number, 1e-8, (25, "x + self.eps")),
    ("Stable", calls("var"), None, (25, "")),
    ("logarithm", number, 1e-7, (29, "x.clamp(min=floor)")),
    ("logarithm", number, 1e-5, (29, "x + EPS")),
])  # fmt: skip
def test_the_expression_is_found(
    tmp_path: Path, name: str, mark: Mark, value: float | None, expected: tuple[int, str]
) -> None:
    """A number may have a name. Without a match, the line is the return, in a class that of the called method."""
    assert blame(tmp_path, name, mark, value) == expected


def test_what_has_no_source_has_no_line(tmp_path: Path) -> None:
    """An unknown function or an unreadable file is not an error."""
    assert blame(tmp_path, "missing", calls("var")) is None
    (tmp_path / "own.py").write_text("def f(:\n")
    case = Case(lambda x: x, "softmax", target=f"{tmp_path / 'own.py'}:f", name="own")
    assert blame_expression(case, (calls("var"),), None) is None
