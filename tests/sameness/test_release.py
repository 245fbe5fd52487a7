"""``harness same`` for releases of torch: two interpreters, a planted change, and releases that pip installs."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from samples.command import Command

from harness.proof.float32 import difference
from harness.record import Judgment, RunFolder

PROGRAM = """\
import runpy, sys

if sys.argv[-1].endswith(".py"):
    import torch
    {patch}
    runpy.run_path(sys.argv[-1], run_name="__main__")
elif sys.argv[-1]:
    {patch}
"""

MORE_PRECISE = "exp = torch.exp; torch.exp = lambda x: exp(x.double()).float()"
ONE_WRONG = "exp = torch.exp; torch.exp = lambda x: torch.where(x == 1.0, 2.0, exp(x))"
LACKING = "del torch.exp"
KINK = "torch.clamp = lambda x, min, max: torch.minimum(torch.maximum(x, torch.tensor(min)), torch.tensor(max))"

pytestmark = pytest.mark.usefixtures("workplace")


def fake(folder: Path, python: str, patch: str) -> str:
    """Return the path of an interpreter whose torch is patched."""
    folder.mkdir(parents=True, exist_ok=True)
    program, patched = folder / "program.txt", folder / "python"
    program.write_text(PROGRAM.format(patch=patch), encoding="utf-8")
    patched.write_text(f'#!/bin/sh\nexec "{python}" "{program}" "$@"\n', encoding="utf-8")
    patched.chmod(0o755)
    return str(patched)


def test_the_same_release_has_no_difference(harness_command: Command, python: str) -> None:
    """Values and gradients are compared, and the sentence says for how many inputs."""
    done = harness_command("same", python, python, "--operations", "exp,clamp", "--sample", "8", code=0)
    names = "exp", "gradient of exp", "clamp", "gradient of clamp"
    lines = [f"SAME BITS   {name}: all results for 524,288 float32 numbers are equal" for name in names]
    assert done.stdout.splitlines()[:4] == lines
    assert done.stdout.endswith("same: 4 same bits\n")


def test_a_release_is_compared_with_this_environment(harness_command: Command, python: str) -> None:
    """The target is torch itself; the answers are records and files, and options for functions do not apply."""
    words = ("same", "torch", "--under", f"release={python}", "--operations", "exp", "--sample", "1")
    done = harness_command(*words, "--json", "it.json", "--run", "it", code=0)
    assert "65,536 float32 numbers are equal" in done.stdout
    first, second = RunFolder.find("it").read(Judgment)
    assert (first.name, second.name) == ("exp", "gradient of exp")
    assert first.first.startswith(f"exp in torch {torch.__version__} with")
    assert harness_command(*words, "--output-format", "concise", code=0).stdout == "same: 2 same bits\n"
    assert "cannot use `--contract` or `--shape`" in harness_command(*words, "--contract", "exp").refusal
    refusal = harness_command("same", "mine.py:f", "mine.py:g", "--sample", "1").refusal
    assert "cannot use `--operations` or `--sample`: they are for releases of torch" in refusal


def test_a_better_release_passes_and_a_worse_one_fails(harness_command: Command, python: str, tmp_path: Path) -> None:
    """The same change in the other direction is worse."""
    words = ("--operations", "exp", "--sample", "128")
    precise = fake(tmp_path / "fake", python, MORE_PRECISE)
    better = harness_command("same", python, precise, *words, code=0).stdout
    assert re.search(r"ROUNDING    exp: [\d,]+ of the results for [\d,]+ float32 numbers .* \([\d,]+ better\)", better)
    assert re.match(r"DIFFERENT   exp: .* worse\)", harness_command("same", precise, python, *words, code=1).stdout)


def test_a_single_wrong_result_is_found(
    harness_command: Command, python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence has the input and both results. Only positive numbers are compared."""
    monkeypatch.setattr(difference, "BLOCKS", 1 << 15)
    wrong = fake(tmp_path / "fake", python, ONE_WRONG)
    done = harness_command("same", python, wrong, "--operations", "exp", "--sample", "256", code=1)
    assert "(1 worse), such as 2.7182817459106445 before and 2.0 after at 1.0" in done.stdout


def test_a_changed_gradient_at_a_kink_is_named(harness_command: Command, python: str, tmp_path: Path) -> None:
    """The derivative of clamp at its bound is 1 up to torch 2.13 and 0 later; that of the patched one is 0.5."""
    other = fake(tmp_path / "fake", python, KINK)
    done = harness_command("same", python, other, "--operations", "clamp", "--sample", "2", code=1)
    assert re.search(
        r"DIFFERENT   gradient of clamp: 2 of .* 131,072 float32 numbers .* [01]\.0 before and 0\.5", done.stdout
    )


def test_an_installed_release_is_used_again(harness_command: Command, python: str) -> None:
    """The environment is below ``.harness``."""
    folder = Path(".harness", "environments", "torch==1.2.3")
    fake(folder / "bin", python, "pass")
    (folder / "complete").touch()
    done = harness_command("same", "torch==1.2.3", python, "--operations", "exp", "--sample", "1", code=0)
    assert done.stdout.endswith("same: 2 same bits\n")


def test_a_release_that_does_not_exist_is_one_sentence(
    harness_command: Command, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip gives the reason."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    done = harness_command("same", "torch==0.0.1.2", python)
    expected = "cannot install `torch==0.0.1.2`: No matching distribution found for torch==0.0.1.2"
    assert done == (2, "", f"harness: {expected}\n")


def test_a_release_that_a_constraint_refuses_is_named_with_the_constraint(
    harness_command: Command, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pip's last line says only that a resolution is impossible."""
    Path("constraints.txt").write_text("torch==1.2.3\n", encoding="utf-8")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_CONSTRAINT", str(Path("constraints.txt").absolute()))
    refusal = harness_command("same", "torch==0.0.1.2", python).refusal
    assert refusal.startswith("harness: cannot install `torch==0.0.1.2`: The user requested torch==0.0.1.2; ")
    assert "The user requested (constraint) torch==1.2.3" in refusal


def test_usage_errors(harness_command: Command, python: str, tmp_path: Path) -> None:
    """Each is one sentence."""
    plain = tmp_path / "plain"
    plain.write_text("no program", encoding="utf-8")
    for words, message in (
        (("torch", python), "it must be a release, such as `torch==2.13.0`, or the path"),
        ((python, python, "--operations", "epx"), "unknown operation `epx`"),
        ((str(plain), python), f"cannot use `{plain}`"),
        ((fake(tmp_path / "none", python, "raise ImportError('no torch')"), python), "ImportError: no torch"),
        ((fake(tmp_path / "old", python, LACKING), python, "--operations", "exp"), "its torch may lack the operation"),
    ):
        assert message in harness_command("same", *words).refusal


def test_an_interrupt_keeps_the_finished_operations(
    harness_command: Command, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lines have them, and the last line says how many there are."""
    compare = difference.Difference.compare

    def interrupted(self: difference.Difference, *given: Any) -> Iterator[int]:
        if self.name == "tanh":
            raise KeyboardInterrupt
        return compare(self, *given)

    monkeypatch.setattr(difference.Difference, "compare", interrupted)
    words = ("--operations", "exp,tanh", "--sample", "1")
    done = harness_command("same", python, python, *words, code=130)
    assert "65,536 float32 numbers" in done.stdout
    assert done.stdout.endswith("same: 2 same bits; interrupted after 2 of 4 pairs\n")
