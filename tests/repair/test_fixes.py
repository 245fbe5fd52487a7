"""Fixes: candidates keep the layout and the axis, and only a candidate that the laws accept is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from repair.faulty import FAULTY, Faulty
from torch import Tensor

from harness.contracts import contract_named
from harness.diagnosis.search import make_examples
from harness.error import UsageError
from harness.record import Status, Verdict
from harness.repair.candidates import Candidate, list_candidates
from harness.repair.code import find_function
from harness.repair.law_judge import IsolatedJudge, find_fix, make_temporary_sibling
from harness.repair.proposal import FixOptions, FixRequest, apply
from harness.repair.search import list_edits
from harness.verdict.campaign import Campaign
from harness.wording.fix import make_diff

TORCH = "import torch\nimport torch.nn.functional as F\n\n\n"


def rewritten(source: str, name: str = "f", *, unsafe: bool = False, mistakes: Sequence[str] = ()) -> list[str]:
    """Return the texts of the candidates, without the imports."""
    found = list_candidates(TORCH + source, name, mistakes, unsafe=unsafe)
    return [one.text.removeprefix(TORCH) for one in found]


@pytest.mark.parametrize("one", FAULTY, ids=lambda one: one.name)
def test_the_first_candidate_is_the_fix(one: Faulty) -> None:
    """The first candidate contains the repaired expression, and no assignment that became useless."""
    first, *_ = list_candidates(one.text, one.name, one.mistakes, unsafe=one.unsafe)
    assert all(part in first.text for part in one.fixed), first.text
    body = first.text.partition(":\n")[2]
    assert not any(part in body for part in one.gone), first.text
    assert first.is_safe is not one.unsafe


@pytest.mark.parametrize("one", [one for one in FAULTY if one.unsafe], ids=lambda one: one.name)
def test_a_changed_meaning_needs_the_option(one: Faulty) -> None:
    """Without `--unsafe-fixes`, every candidate is equal to the function over the real numbers."""
    assert all(candidate.is_safe for candidate in list_candidates(one.text, one.name, one.mistakes))


@pytest.mark.parametrize(("body", "sentence", "fixed"), [
    ("x + 0.044175 * x ** 3", "0.044175 takes the place of 0.044715; the formula is ...", "x + 0.044715 * x ** 3"),
    ("F.silu(y) * x", "`x` and `y` are exchanged; the formula is ...", "F.silu(x) * y"),
    ("0.1 * x + 0.9 * y", "`0.1` and `0.9` are exchanged; the formula is ...", "0.9 * x + 0.1 * y"),
    ("x.mean(-1)", "mean", "x.sum(-1)"),
    ("torch.sum(x, -1)", "sum", "torch.mean(x, -1)"),
])  # fmt: skip
def test_numbers_inputs_and_reductions_of_a_sentence_are_put_right(body: str, sentence: str, fixed: str) -> None:
    """The first unsafe candidate undoes the change that the diagnosis found; without the option there is none."""
    source = f"def f(x, y):\n    return {body}\n"
    first, *_ = rewritten(source, unsafe=True, mistakes=[sentence])
    assert first == source.replace(body, fixed)
    assert not any(fixed in text for text in rewritten(source, mistakes=[sentence]))


def test_a_file_that_does_not_import_torch_gets_a_working_fix() -> None:
    """A method stays a method. A function of torch is imported below the docstring and the imports of `__future__`."""
    (method, *_) = (
        found.text for found in list_candidates("def f(x):\n    e = x.exp()\n    return e / e.sum(-1)\n", "f")
    )
    assert method == "def f(x):\n    e = (x - x.amax(-1, keepdim=True)).exp()\n    return e / e.sum(-1)\n"
    head = '"""Words."""\nfrom __future__ import annotations\n'
    (function, *_) = (
        found.text for found in list_candidates(f"{head}def f(x):\n    return (1 + x.exp()).log()\n", "f")
    )
    assert function.startswith(f"{head}import torch\n")
    assert function.count("import torch") == 1


def test_the_axis_is_carried_over() -> None:
    """The shift uses the axis of the sum."""
    body = "        e = torch.exp(x)\n        return e / e.sum(self.dim, keepdim=True)\n"
    source = f"class M:\n    def forward(self, x):\n{body}"
    assert "torch.exp(x - x.amax(self.dim, keepdim=True))" in rewritten(source, "M")[0]
    assert "log_softmax(x, dim=axis)" in rewritten("def f(x, axis):\n    return F.softmax(x, axis).log()\n")[0]


def test_layout_and_comments_stay() -> None:
    """Only the expression changes."""
    source = "def f( x ):\n    # a comment\n    y = ( torch.log( 1+torch.exp(x) ) )   # another\n\n\n    return y*2\n"
    changed = rewritten(source)[0]
    assert changed == source.replace("( torch.log( 1+torch.exp(x) ) )", "F.softplus(x)")


def test_a_name_that_is_assigned_again_is_not_looked_through() -> None:
    """The value of `p` is no longer a softmax of the current `x`."""
    source = "def f(x):\n    p = torch.softmax(x, -1)\n    x = x * 2\n    return torch.log(p) + x\n"
    assert not any("log_softmax" in text for text in rewritten(source))


def test_a_name_that_is_still_read_stays() -> None:
    """The probabilities are also returned."""
    source = "def f(x):\n    p = torch.softmax(x, -1)\n    return torch.log(p) * p\n"
    changed = rewritten(source)[0]
    assert "p = torch.softmax(x, -1)" in changed


def test_a_module_without_functional_gets_the_whole_name() -> None:
    """The rewrite needs no new import."""
    found = list_candidates("import torch as t\n\n\ndef f(x):\n    return t.log(t.sigmoid(x))\n", "f")
    assert "return t.nn.functional.logsigmoid(x)" in found[0].text


@pytest.mark.parametrize("source", [
    "def f(x):\n    return torch.log(2 + torch.exp(x))\n",
    "def f(x):\n    return torch.exp(x) - 2\n",
    "def f(x):\n    return torch.log(x.sum(-1))\n",
    "def f(x):\n    return torch.exp(x) / torch.exp(2 * x).sum(-1, keepdim=True)\n",
    "def f(x, y):\n    return (x ** 2).mean(-1) - y.mean(-1) ** 2\n",
    "def f(x, y):\n    return x * torch.log(y)\n",
])  # fmt: skip
def test_what_is_not_the_expression_stays(source: str) -> None:
    """Expressions that look alike are not rewritten."""
    assert rewritten(source) == []


@pytest.mark.parametrize(("body", "fixed"), [
    ("torch.sqrt((x ** 2).sum(-1, keepdim=True))", "torch.linalg.vector_norm(x, dim=-1, keepdim=True)"),
    ("(x * x).sum() ** 0.5", "torch.linalg.vector_norm(x)"),
    ("torch.sqrt(x**2 + y.square())", "torch.hypot(x, y)"),
    ("1 - torch.cos(x - y)", "2 * torch.sin((x - y) / 2) ** 2"),
    ("torch.exp(g(x)) / torch.exp(g(x)).sum(1, keepdim=True)", "torch.softmax(g(x), dim=1)"),
    ("torch.log(torch.sigmoid(x @ y))", "F.logsigmoid(x @ y)"),
    ("1 - torch.tanh(x)", "2 * torch.sigmoid(-2 * x)"),
    (
        "F.binary_cross_entropy(torch.sigmoid(x), y, reduction='sum')",
        "F.binary_cross_entropy_with_logits(x, y, reduction='sum')",
    ),
])  # fmt: skip
def test_further_expressions_are_known(body: str, fixed: str) -> None:
    """Norms at zero, complements that cancel, and a loss of probabilities."""
    source = "def f(x, y):\n    return {}\n"
    assert rewritten(source.format(body))[0] == source.format(fixed)


@pytest.mark.parametrize(("body", "fixed"), [
    ("x.sum(0)", ["x.sum(0, dtype=torch.float32).to(x.dtype)"]),
    ("(x ** 2).mean()", ["(x ** 2).mean(dtype=torch.float32)", "(x.to(torch.float32) ** 2).mean()"]),
    ("x.float().sum(dtype=torch.float64)", []),
])  # fmt: skip
def test_a_wider_format_is_tried_where_it_is_asked_for(body: str, fixed: list[str]) -> None:
    """A sum keeps the format of its result; without the request there is no such candidate."""
    text = f"import torch\n\n\ndef f(x):\n    return {body}\n"
    found = [
        one.text.splitlines()[-1].removeprefix("    return ") for one in list_candidates(text, "f", wider="float32")
    ]
    assert found == fixed
    assert list_candidates(text, "f") == []


LINES = """import torch


class Net(torch.nn.Module):
    def forward(self, x):
        p = torch.softmax(x, 1)
        q = torch.log(1 + x.exp())

        def inner():
            return torch.log(torch.sigmoid(x))

        return -torch.log(p).sum() + q.sum() + inner().sum()
"""


@pytest.mark.parametrize(("line", "name", "changed"), [
    (6, "Net.forward", "-torch.log_softmax(x, dim=1).sum() + q.sum() + inner().sum()"),
    (7, "Net.forward", "q = torch.nn.functional.softplus(x)"),
    (10, "Net.forward.inner", "return torch.nn.functional.logsigmoid(x)"),
    (12, "Net.forward", "-torch.log_softmax(x, dim=1).sum() + q.sum() + inner().sum()"),
])  # fmt: skip
def test_only_the_line_of_a_finding_is_rewritten(line: int, name: str, changed: str) -> None:
    """The value of a name belongs to the lines that read it; other faulty lines stay."""
    assert find_function(LINES, line) == name
    first, *_ = list_candidates(LINES, name, line=line)
    others = [text for text in ("log(1 + x.exp())", "sigmoid(x))", "log(p)") if text in first.text]
    assert changed in first.text
    assert len(others) == 2


def test_a_line_outside_of_functions_has_no_function() -> None:
    """A file that Python cannot read has none either."""
    assert find_function(LINES, 1) is None
    assert find_function("def f(:\n", 1) is None


@pytest.mark.parametrize("one", [one for one in FAULTY if not one.unsafe], ids=lambda one: one.name)
def test_a_safe_fix_keeps_ordinary_results(one: Faulty) -> None:
    """In float64, the function and its first three candidates agree within rounding on ordinary inputs."""
    contract = contract_named(one.contract)
    given = make_examples(contract, dtype=torch.float64)
    before = results(one.text, one.name, given)
    for candidate in list_candidates(one.text, one.name)[:3]:
        for was, now in zip(before, results(candidate.text, one.name, given), strict=True):
            assert torch.allclose(was, now, rtol=1e-9, atol=1e-12, equal_nan=True)


def results(text: str, name: str, given: Sequence[Sequence[Any]]) -> list[Tensor]:
    """Return the results of the function in a module."""
    module: dict[str, Any] = {}
    exec(text, module)  # noqa: S102 - the functions of this test
    return [module[name](*inputs) for inputs in given]


# Searching


def verdict(law: str, status: Status) -> Verdict:
    """A verdict on a law in float32."""
    return Verdict(
        case="m.f",
        family="m",
        style="foreign",
        contract="softmax",
        law=law,
        group="value",
        dtype="float32",
        device="cpu",
        status=status,
        statement="",
        source="",
        examples=1,
        rows=1,
        duration_s=0.0,
    )


BEFORE = [verdict("value", Status.ERROR), verdict("finite", Status.ERROR), verdict("shape", Status.HOLDS)]


def judged(after: dict[str, list[Verdict]]) -> object:
    """A judge that knows the verdicts on each text."""
    return lambda text, laws, _: [one for one in after[text] if laws is None or one.law in laws]


def fix_of(**after: str) -> tuple[str, str] | None:
    """Return the text of the fix and its sentence; verdicts are letters: h holds, b broken, l loses digits."""
    status = {"h": Status.HOLDS, "b": Status.ERROR, "l": Status.LOST}
    laws = ("value", "finite", "shape")
    known = {
        text: [verdict(law, status[one]) for law, one in zip(laws, said, strict=True)] for text, said in after.items()
    }
    tried = [Candidate(text, (text,), is_safe=True) for text in known]
    found = find_fix(tried, BEFORE, judged(known))  # type: ignore[arg-type]
    return None if found is None else (found.candidate.text, found.sentence)


@pytest.mark.parametrize(("after", "expected"), [
    ({"a": "bbh", "b": "hhh", "c": "hhh"}, ("b", "verified: 3 of 3 laws hold; was 1")),
    ({"a": "hhb"}, None),
    ({"a": "bbh", "b": "bhh"}, None),
    ({"a": "hhl"}, ("a", "verified: 2 of 3 laws hold; was 1; now loses digits: shape")),
])  # fmt: skip
def test_the_first_whole_fix_wins(after: dict[str, str], expected: tuple[str, str] | None) -> None:
    """A candidate that breaks no law ends the search; it must remove the first finding and break no other law."""
    assert fix_of(**after) == expected


def test_a_candidate_has_the_files_beside_it(tmp_path: Path) -> None:
    """The copy can import the neighboring files, and the user's folder does not change."""
    (tmp_path / "own.py").write_text("import beside\n")
    (tmp_path / "beside.py").write_text("a = 1\n")
    with make_temporary_sibling(tmp_path / "own.py", "changed = 1\n") as copy:
        assert copy.name == "own.py"
        assert copy.read_text() == "changed = 1\n"
        assert (copy.parent / "beside.py").read_text() == "a = 1\n"
    assert (tmp_path / "own.py").read_text() == "import beside\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["beside.py", "own.py"]
    assert not copy.exists()


def test_a_judge_decides_each_law_once(tmp_path: Path) -> None:
    """The second question returns the same verdicts, and another text is another module."""
    file = tmp_path / "own.py"
    file.write_text("")
    asked = Campaign(f"{file}:f", "softmax", laws=("value", "no_rows"), dtypes=("float32",), examples=2, seconds=0.3)
    with IsolatedJudge(asked) as judge:
        source = "import torch\ndef f(x):\n    e = torch.exp(x{})\n    return e / e.sum(-1, keepdim=True)\n"
        (first,) = judge(source.format(""), ["value"], ["float32"])
        again, other = judge(source.format(""), None, None)
        assert again is first
        assert (first.status, other.status) == (Status.BROKEN, Status.HOLDS)
        repaired = judge(source.format(" - x.amax(-1, keepdim=True)"), None, None)
        assert [one.status for one in repaired] == [Status.HOLDS, Status.HOLDS]
    assert file.read_text() == ""


# Asking


@pytest.mark.parametrize(("target", "asked_for", "words"), [
    ("own.py:f", {"fix": False, "write": True, "unsafe_fixes": False}, "cannot use `--write` without `--fix`"),
    ("own.py:f", {"fix": False, "write": False, "unsafe_fixes": True}, "cannot use `--unsafe-fixes` without `--fix`"),
    ("cases", {"fix": True, "write": False, "unsafe_fixes": False}, "`--fix` needs `file.py:function`"),
    ("torch:softmax", {"fix": True, "write": False, "unsafe_fixes": False}, "`--fix` needs `file.py:function`"),
    ("missing.py:f", {"fix": True, "write": False, "unsafe_fixes": False}, "file not found: `missing.py`"),
])  # fmt: skip
def test_a_question_that_cannot_be_answered_is_refused(target: str, asked_for: dict[str, bool], words: str) -> None:
    """Each error is a single sentence."""
    with pytest.raises(UsageError) as refused:
        FixOptions(**asked_for).request(target)
    assert words in str(refused.value)


# Writing


def asked(file: Path, text: str) -> FixRequest:
    """Return the options of a user for a file."""
    return FixRequest(file, "f", text, write=True, unsafe=False)


def test_the_fix_is_written_with_the_mode_of_the_file(tmp_path: Path) -> None:
    """Line endings and permissions stay."""
    file = tmp_path / "own.py"
    file.write_bytes(b"a = 1\r\n")
    file.chmod(0o700)
    apply(asked(file, "a = 1\r\n"), "a = 2\r\n")
    assert file.read_bytes() == b"a = 2\r\n"
    assert file.stat().st_mode & 0o777 == 0o700


def test_a_file_that_changed_is_not_overwritten(tmp_path: Path) -> None:
    """The user saved another version during the check."""
    file = tmp_path / "own.py"
    file.write_text("a = 3\n")
    with pytest.raises(UsageError, match="changed during the check"):
        apply(asked(file, "a = 1\n"), "a = 2\n")
    assert file.read_text() == "a = 3\n"


@pytest.mark.parametrize(("before", "after"), [
    ("a\nb\nc\n", "a\nB\nc\n"),
    ("a\nb\nc\n", "a\nc\n"),
    ("a\nb\n", "a\nx\ny\nb\n"),
    ("a\r\nb\r\n", "a\r\nB\r\n"),
    ("a\nb", "a\nB"),
    ("a\n\x0cb\nc", "a\nc\n"),
])  # fmt: skip
def test_edits_make_the_new_text(before: str, after: str) -> None:
    """A program that applies them from the last to the first has the fixed file."""
    lines = before.split("\n")
    starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines) + 1)]
    text = before
    for one in reversed(list_edits(before, after)):
        text = text[: starts[one.line - 1]] + one.content + text[starts[one.end - 1] + one.end_column - 1 :]
    assert text == after


def test_the_diff_is_unified() -> None:
    """It names the file twice and shows the changed line."""
    shown = make_diff(Path("own.py"), "a = 1\nb = 2\n", "a = 1\nb = 3\n")
    assert shown == ["--- a/own.py", "+++ b/own.py", "@@ -1,2 +1,2 @@", " a = 1", "-b = 2", "+b = 3"]
