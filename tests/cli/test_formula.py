"""``harness check --formula``: calls with the inputs of a formula."""

from pathlib import Path

import pytest
from samples.command import Command

SIGNATURES = """
import torch

def hard_mish(x, inplace=False):
    return 0.5 * x * (x + 2).clamp(min=0, max=2)

def behind(x, inplace=False, y=1.0):
    return x - y

def swapped(x, y):
    return y - 2 * x


class Tanh(torch.nn.Module):
    def forward(self, x, context=None):
        return torch.tanh(x), context
"""
ONE_LAW = ("--law", "value", "--dtypes", "float32", "--examples", "4")


@pytest.fixture
def harness(harness_command: Command, one_worker: None, workplace: Path) -> Command:
    """Run the command in a folder with functions of several signatures."""
    Path("own.py").write_text(SIGNATURES, encoding="utf-8")
    return harness_command


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("hard_mish", "x / 2 * clip(x + 2, 0, 2)", ""),
        ("behind", "x - y", "--call 'lambda f, x, y: f(x=x, y=y)'"),
        ("swapped", "y - 2 * x", ""),
        ("swapped", "y - 2 * x", "--call 'lambda f, x, y: f(x, y)'"),
        ("swapped", "y - 2 * x", "--call 'lambda f, y, x: f(x, y)'"),
        ("Tanh", "tanh(x)", "--call 'lambda f, x: f()(x)[0]'"),
    ],
)
def test_inputs_are_bound_by_name(harness: Command, name: str, formula: str, options: str) -> None:
    """The names are parameters of the function or of its adapter. A parameter with a default need not be an input."""
    harness(f"check own.py:{name} --formula '{formula}' {options}", *ONE_LAW, code=0)


def test_the_modes_of_a_class_behind_an_adapter_are_not_switched(harness: Command) -> None:
    """The adapter creates the instances, so the process of the class stays alive."""
    words = ("--formula", "tanh(x)", "--call", "lambda f, x: f()(x)[0]", "--law", "any_mode", "--dtypes", "float32")
    harness("check", "own.py:Tanh", *words, code=0)


def test_a_parameter_before_an_input_is_refused_with_the_call_to_paste(harness: Command) -> None:
    """The message of the checking process is passed on unchanged."""
    refusal = harness("check", "own.py:behind", "--formula", "x - y", *ONE_LAW).refusal
    assert "the parameter `inplace` comes before `y`" in refusal
    assert "`--call 'lambda f, x, y: f(x=x, y=y)'`" in refusal
