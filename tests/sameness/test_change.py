"""``harness same --under``: how changes are read, and the lines that the command prints."""

import re
from pathlib import Path

import pytest
from sameness.test_same import MINE, STEP
from samples.command import Command


@pytest.fixture
def folder(workplace: Path) -> Path:
    """A folder with functions, and with a step that has no optimizer."""
    (workplace / "mine.py").write_text(MINE, encoding="utf-8")
    (workplace / "model.py").write_text("import torch\n\nw = torch.ones(3, requires_grad=True)\n", encoding="utf-8")
    (workplace / "full.py").write_text(STEP.format(factor=""), encoding="utf-8")
    return workplace


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ("full.py:step --under accumulated=2", "unknown change `accumulated`: choose from"),
        ("full.py:step --under accumulation=1", "it must be a number from 2, got `1`"),
        ("full.py:step --under accumulation", "cannot read `--under accumulation`: write `accumulation=VALUE`"),
        ("full.py:step --under resume=2", "cannot read `--under resume=2`: `resume` has no value"),
        ("full.py:step --under batch", "cannot apply `batch`: it is for a function, and a step takes no arguments"),
        ("full.py:step --under fused", "cannot apply `fused`: the step must read an optimizer that has `fused`"),
        ("full.py:step --under accumulation=2", "the step must read a `torch.optim` optimizer"),
        ("full.py:step --under autocast=int8", "cannot apply `autocast=int8`: choose from bfloat16, float16"),
        ("mine.py:clone --shape 2 --under resume", "cannot apply `resume`: it is for a step, and only a step takes no"),
        ("mine.py:clone --shape 2 --under compile=gcc", "unknown backend `gcc` of torch.compile: choose from"),
        (
            "mine.py:clone --shape 1 --under batch",
            "the first argument must have at least two rows",
        ),
        ("mine.py:clone --shape 2 --under processor=6502", "cannot apply `processor=6502`: this processor can emulate"),
        ("mine.py:clone --shape 2 --under device=abacus", "unknown device `abacus`"),
        ("mine.py:clone --shape 2 --under release=2.13", "it must be a release, such as `torch==2.13.0`"),
        ("mine.py:clone", "nothing to compare: name either two targets, or one and `--under CHANGE`"),
        ("mine.py:clone mine.py:clone --under seed", "nothing to compare: name either two targets, or one and"),
    ],
)
def test_a_change_that_does_not_fit_is_one_sentence(harness_command: Command, arguments: str, refusal: str) -> None:
    """It says what the change needs."""
    assert refusal in harness_command(f"same {arguments}").refusal


@pytest.mark.usefixtures("folder")
def test_each_change_is_a_line(harness_command: Command) -> None:
    """The exit code is that of the worst answer."""
    done = harness_command("same mine.py:softmax --under batch --under threads", code=0)
    answer = "(ROUNDING|SAME BITS) +"
    assert re.fullmatch(rf"{answer}batch: .*\n{answer}threads=1: .*\nsame: .*\n", done.stdout)


CLAMP = """\
import torch

X = torch.tensor([[0.0, 1.0], [3.0, 0.0]])
w = torch.zeros(2, requires_grad=True)


def step():
    loss = ((X * w).clamp(min=0) - 1.0).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        w.sub_(w.grad)
    w.grad = None
    return loss
"""

KINK = """\
from torch import Tensor

zero = torch.zeros((), requires_grad=True)
zero.clamp(min=0).backward()
Tensor.clamp = lambda x, min: torch.relu(x) if zero.grad else torch.where(x >= min, x, min)
"""


def make_release(folder: Path, python: str, patch: str) -> Path:
    """Return an interpreter that changes torch after its import."""
    (folder / "patch").mkdir()
    (folder / "patch" / "patch.py").write_text(f"import torch\n{patch}", encoding="utf-8")
    other = folder / "python"
    program = "import sys; sys.path.append(sys.argv.pop(1)); import patch; sys.argv.pop(1); exec(sys.argv.pop(1))"
    other.write_text(f'#!/bin/sh\nshift\nexec "{python}" -P -c "{program}" "{folder}/patch" "$@"\n', encoding="utf-8")
    other.chmod(0o755)
    return other


def test_another_release_names_the_operation_that_changed(
    harness_command: Command, workplace: Path, python: str
) -> None:
    """The derivative of clamp at its bound is 1 up to torch 2.13, and 0 later; the other interpreter swaps it."""
    (workplace / "clamp.py").write_text(CLAMP, encoding="utf-8")
    other = make_release(workplace, python, KINK)
    done = harness_command(f"same clamp.py:step --under release={other}", code=1)
    assert done.stdout.startswith("DIFFERENT   the gradient of weight [2] in step 1: ")
    assert done.stdout.endswith("result: clamp (clamp.py:9) and relu (clamp.py:9)\n")


OTHER = """\
import torch

is_other = hasattr(torch, "is_other")


def masked(x):
    return (x - 1e9).softmax(-1), torch.exp(x.double() if is_other else x).float()


def scaled(x):
    opposite = 0.0 - x if is_other else -x
    return opposite * (3.0 if is_other else 2.0)
"""


def test_another_release_is_compared_as_computed(harness_command: Command, workplace: Path, python: str) -> None:
    """A large number absorbs logits in float32 and not in float64, and other operations may have the same results."""
    (workplace / "other.py").write_text(OTHER, encoding="utf-8")
    under = f"--under release={make_release(workplace, python, 'torch.is_other = True')}"
    done = harness_command(f"same other.py:masked --shape 4,50 {under}", code=0)
    pattern = r"ROUNDING    \S+ of 1,200 numbers differ, .*; they differ by .* with other bits: to \(other.py:7\)\n"
    assert re.fullmatch(pattern, done.stdout)
    done = harness_command(f"same other.py:scaled --shape 900,300 {under}", code=1)
    assert "is 1.5 times the plain one; the first operation with another result: mul (other.py:12)\n" in done.stdout
